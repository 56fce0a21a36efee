/** Files that need more than any manifest: they are refused, within bounds, and the other files are read. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import { FileReader } from '../../../lib/providers/files/file-reader.ts'

const LIMITS = { maxBytes: 16_777_216, maxCount: 100 }
const LENGTH = 15_000_000
/** Beyond what the process has before: a thread and the text, where reading it whole takes gigabytes. */
const MOST_MIB = 400

const serviceYaml = (name: string, port = 80): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: ${port}}]}\n`
const fill = (unit: string, length = LENGTH): string => unit.repeat(Math.floor(length / unit.length))

const FILES: Readonly<Record<string, string>> = {
  'equal ports': `apiVersion: v1\nkind: Service\nmetadata: {name: big}\nspec: {ports: [${fill('{port: 80},', 5_000_000)}]}\n`,
  'tiny documents': fill('---\na: 1\n'),
  'tiny objects in JSON': fill('{"kind":"A"}'),
  'a list on one line': `[${fill('1,')}1]`,
  'a list of lines': fill('- 1\n'),
  'a list of many items': `apiVersion: v1\nkind: List\nitems:\n${fill('- {kind: A}\n')}`,
  'commas alone': `[${fill(',')}]`,
  'a long text': `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\ndata: {a: "${fill('x')}"}\n`,
}

function createFolder(t: Test, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'portico-large-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

const residentMiB = (): number => process.resourceUsage().maxRSS / 1024

for (const [name, text] of Object.entries(FILES)) {
  t.test(`${name}: refused, and the last good version stays`, { timeout: 120_000 }, async (t) => {
    const folder = createFolder(t, { 'a.yaml': serviceYaml('a'), 'big.yaml': serviceYaml('big') })
    const provider = new FileReader({ sources: [folder], clock: systemClock })
    await provider.read(LIMITS)
    writeFileSync(join(folder, 'big.yaml'), text)
    writeFileSync(join(folder, 'a.yaml'), serviceYaml('a', 81))
    const before = residentMiB()
    let turns = 0
    const timer = setInterval(() => turns++, 10)
    const manifests = await provider.read(LIMITS)
    clearInterval(timer)
    t.match(manifests.diagnostics, [{ code: 'PORTICO_YAML_LIMIT', message: /big\.yaml cannot be read: / }])
    t.match(manifests.diagnostics[0]?.notes.at(-1)?.message, /still serving/)
    t.same(
      manifests.resources.map((resource) => [
        resource.meta.name,
        resource.kind === 'Service' && resource.ports.map(({ port }) => port),
      ]),
      [
        ['a', [81]],
        ['big', [80]],
      ],
    )
    t.ok(turns >= 5, 'others had their turn meanwhile')
    t.ok(residentMiB() - before < MOST_MIB, `${Math.round(residentMiB() - before)} MiB more at the peak`)
  })
}

t.test(
  'a list of many objects is read item by item, with the same result as in one piece',
  { timeout: 60_000 },
  async (t) => {
    const item = (index: number): string => serviceYaml(`s${index}`).replaceAll(/^/gm, '  ').trim()
    const items = Array.from({ length: 3_000 }, (_, index) => `- ${item(index)}\n`)
    const yaml = `apiVersion: v1\nitems:\n${items.join('')}kind: List\nmetadata: {resourceVersion: ""}\n`
    const objects = items.map((_, index) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: `s${index}` },
      spec: { ports: [{ port: 80 }] },
    }))
    const json = JSON.stringify({ apiVersion: 'v1', items: objects, kind: 'List' }, undefined, 2)
    for (const text of [yaml, json]) {
      const { resources, diagnostics, objects } = await read(text)
      t.same([resources.length, diagnostics.length, objects], [3_000, 0, 3_000])
      const last = resources.at(-1)
      const { line, column, excerpt } = last!.origin.locate(['metadata', 'name'])
      const written = text.split('\n')
      t.same([excerpt, line], [written[line - 1], written.findLastIndex((one) => one.includes('s2999')) + 1])
      t.match(excerpt.slice(column - 1), /^"?s2999/)
    }
    const broken = await read(yaml.replace('name: s2000}', 'name: s2000'))
    t.same([broken.resources.length, broken.diagnostics.length], [0, 1], 'one error leaves all of the list out')
    t.match(broken.diagnostics, [{ code: 'PORTICO_YAML_SYNTAX', position: { line: 2000 * 4 + 5 } }])
    const aliased = yaml.replace('metadata: {name: s10}', 'metadata: &m {name: s10}').replace('{name: s11}', '*m')
    const { resources, diagnostics } = await read(aliased)
    t.equal(resources.length, 3_000, 'an alias of what stands in another item')
    t.same(diagnostics, [])

    async function read(text: string) {
      const folder = createFolder(t, { 'list.yaml': text })
      return await new FileReader({ sources: [folder], clock: systemClock }).read(LIMITS)
    }
  },
)

t.test('problems are told up to a number, and how many more there are', async (t) => {
  const ports = '{port: 0},'.repeat(3_000)
  const folder = createFolder(t, {
    'a.yaml': `apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [${ports}]}\n`,
    'b.yaml': `${serviceYaml('b', 0)}---\n`.repeat(3_000),
  })
  const { diagnostics } = await new FileReader({ sources: [folder], clock: systemClock }).read(LIMITS)
  const inFile = (name: string) => diagnostics.filter(({ position }) => position?.file.endsWith(name))
  t.equal(inFile('a.yaml').length, 101)
  t.match(inFile('a.yaml').at(-1), { code: 'PORTICO_RES_MORE', severity: 'error', resource: 'Service default/a' })
  t.match(inFile('a.yaml').at(-1)?.message, /^Service default\/a: \d+ more problems are not listed$/)
  t.equal(inFile('b.yaml').length, 1_001)
  t.match(inFile('b.yaml').at(-1)?.message, /b\.yaml: 2000 more problems are not listed$/)
})
