import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'

const LIB = join(process.cwd(), 'lib')

type Rule = {
  readonly parts: ReadonlyMap<string, 'all' | 'type'>
  readonly packages: ReadonlySet<string>
  readonly any: boolean
}
type Import = { readonly file: string; readonly typeOnly: boolean; readonly target: string }

/** The program of the dashboard runs in browsers. */
const BROWSER = join('admin', 'dashboard')
const isOurs = (name: string) => name.endsWith('.ts') && !name.startsWith(`${BROWSER}/`)

let rows = 0
const rules = readRules(readFileSync(join(LIB, 'README.md'), 'utf8'))
const imports = readdirSync(LIB, { recursive: true, encoding: 'utf8' }).filter(isOurs).flatMap(readImports)

t.test('every import of lib follows the table in lib/README.md', async (t) => {
  t.ok(imports.length > 100, 'the imports were found')
  t.same(imports.map(findFault).filter(Boolean), [])
})

t.test('every folder and every file of lib stands in the table', async (t) => {
  const parts = new Set(imports.map(({ file }) => partOf(file)))
  t.same(
    [...parts].filter((part) => !rules.has(part)),
    [],
  )
})

t.test('the table is short, and its only files are gateway and index', async (t) => {
  t.ok(rows <= 24, `${rows} rows`)
  const loose = readdirSync(LIB).filter((name) => name.endsWith('.ts'))
  t.same(loose.sort(), ['gateway.ts', 'index.ts'])
})

t.test('no file and no folder of lib imports itself in a circle, by type neither', async (t) => {
  const files = new Map<string, string[]>()
  const folders = new Map<string, string[]>()
  for (const { file, target } of imports) {
    if (!target.startsWith('/')) continue
    const next = relative(LIB, target)
    files.set(file, [...(files.get(file) ?? []), next])
    const [from, to] = [partOf(file), partOf(next)]
    if (from !== to) folders.set(from, [...(folders.get(from) ?? []), to])
  }
  t.same(findCircle(files), undefined)
  t.same(findCircle(folders), undefined)
})

t.test('the dashboard imports its own files, Preact and uPlot, and nothing of the gateway', async (t) => {
  const found = readdirSync(join(LIB, BROWSER), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name))
    .flatMap((name) => readImports(join(BROWSER, name)))
  t.ok(found.length > 30, 'the imports were found')
  const wrong = found.filter(({ target }) =>
    target.startsWith('/')
      ? relative(join(LIB, BROWSER), target).startsWith('..')
      : !/^(preact|uplot)(\/|$)/.test(target),
  )
  t.same(wrong, [])
})

t.test('only lib/index.ts is a barrel', async (t) => {
  const barrels = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
    .filter((name) => isOurs(name) && name !== 'index.ts')
    .filter((name) => /^export (type )?(\*|\{[^}]*\}) from /m.test(readFileSync(join(LIB, name), 'utf8')))
  t.same(barrels, [])
})

t.test('every export of lib and bin is used by lib or bin, not by tests alone', async (t) => {
  // It writes a file of config/, which a test holds to it.
  const generators = ['printSettingsFile']
  const texts = ['lib', 'bin'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(isOurs)
      .map((name) => readFileSync(join(folder, name), 'utf8')),
  )
  const uses = new Map<string, number>()
  for (const [word] of [...texts, readFileSync('bin/portico', 'utf8')].join('\n').matchAll(/\w+/g))
    uses.set(word, (uses.get(word) ?? 0) + 1)
  const exported = texts.flatMap((text) =>
    [...text.matchAll(/^export (?:async )?(?:function\*?|const|class|type|interface) (\w+)/gm)].map(
      ([, name = '']) => name,
    ),
  )
  t.ok(exported.length > 500, 'the exports were found')
  t.same(
    exported.filter((name) => uses.get(name) === 1 && !generators.includes(name)),
    [],
  )
})

function readRules(text: string): ReadonlyMap<string, Rule> {
  const found = new Map<string, Rule>()
  const section = text.split('## Who may import what')[1]?.split('\n## ')[0] ?? ''
  for (const line of section.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim())
    if (cells.length < 5 || cells[1] === 'from' || cells[1]?.startsWith('---')) continue
    const [, from = '', may = '', packages = ''] = cells
    const parts = new Map<string, 'all' | 'type'>()
    for (const word of splitCell(may)) parts.set(word.replace(' (type)', ''), word.endsWith('(type)') ? 'type' : 'all')
    const rule = { parts, packages: new Set(splitCell(packages)), any: may === 'everything' }
    rows++
    for (const part of splitCell(from)) found.set(part, rule)
  }
  return found
}

function splitCell(cell: string): string[] {
  return cell
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

function readImports(file: string): Import[] {
  const text = readFileSync(join(LIB, file), 'utf8')
  const found: Import[] = []
  for (const match of text.matchAll(/^(?:import|export)\s([^'"]*?)from\s+'([^']+)'/gm)) {
    const [, clause = '', specifier = ''] = match
    const names = /\{([^}]*)\}/.exec(clause)?.[1] ?? ''
    const outside = clause.replace(/\{[^}]*\}/, '').replace(/[\s,]/g, '')
    const allTypes = outside === '' && splitCell(names).every((name) => name.startsWith('type '))
    const typeOnly = clause.startsWith('type ') || allTypes
    found.push({ file, typeOnly, target: specifier.startsWith('.') ? join(LIB, file, '..', specifier) : specifier })
  }
  for (const match of text.matchAll(/(?:^import|\bimport\()\s*'([^']+)'/gm)) {
    const specifier = match[1] ?? ''
    found.push({
      file,
      typeOnly: false,
      target: specifier.startsWith('.') ? join(LIB, file, '..', specifier) : specifier,
    })
  }
  return found
}

/** The folder of a file under lib, or the name of a file that stands in lib itself. */
function partOf(file: string): string {
  const [first = '', ...rest] = file.split('/')
  return rest.length > 0 ? first : first.replace(/\.ts$/, '')
}

function findFault({ file, typeOnly, target }: Import): string | undefined {
  const from = partOf(file)
  const rule = rules.get(from)
  if (target.startsWith('node:') || !rule || rule.any) return undefined
  if (!target.startsWith('/')) {
    return rule.packages.has(target) ? undefined : `${file}: ${from} may not import the package ${target}`
  }
  const to = relative(LIB, target)
  if (to.startsWith('..')) return `${file}: imports ${to}, outside lib`
  const part = partOf(to)
  const allowed = part === from ? 'all' : rule.parts.get(part)
  if (allowed === 'all' || (allowed === 'type' && typeOnly)) return undefined
  return `${file}: ${from} may not import ${allowed === 'type' ? 'more than types of ' : ''}${part}`
}

function findCircle(edges: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>()
  const visit = (file: string, trail: readonly string[]): string[] | undefined => {
    if (trail.includes(file)) return [...trail.slice(trail.indexOf(file)), file]
    if (done.has(file)) return undefined
    for (const next of edges.get(file) ?? []) {
      const circle = visit(next, [...trail, file])
      if (circle) return circle
    }
    done.add(file)
    return undefined
  }
  for (const file of edges.keys()) {
    const circle = visit(file, [])
    if (circle) return circle
  }
  return undefined
}

t.test('request/ names no protocol, and no part of Node that speaks one', async (t) => {
  const named = readdirSync(join(LIB, 'request')).flatMap((name) => {
    const text = readFileSync(join(LIB, 'request', name), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')
    return [...text.matchAll(/HTTP\/[\d.]+|node:https?2?'|http2|Http[12]\w+/gi)]
      .map(([found]) => `${name}: ${found}`)
      .filter((found) => !/STATUS_CODES|node:http'/.test(found))
  })
  t.same(named, [])
})
