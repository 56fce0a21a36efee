/** Rule ids that code and tests cite lead to docs/semantics.md, and every rule there leads to the tests that hold it. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import t from 'tap'

const PAGE = 'docs/semantics.md'
const FOLDERS = ['lib', 'bin', 'test']
/** Measures of the benchmarks are called P50 and P99. */
const MEASURES = 'test/bench/'
const ID = /(?:[DENPSVW]|I-|(?:AD|CF|H2|HD|LC|OV|SL|TLS|WS)-)\d{1,2}[a-e]?/
const CITED = new RegExp(`(?<![\\w./%:-])(${ID.source})(?: to (${ID.source}))?(?![\\w.-]*\\w)`, 'g')
/** `| **S26, S26a** | field | rule | tests |` */
const ROW = /^\| \*\*([^*]+)\*\* \|.*\| (?=[^|]*\|$)/

const files = FOLDERS.flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => /\.(ts|yaml)$/.test(file) && !file.startsWith(MEASURES) && file !== 'test/semantics.test.ts'),
)

/** The files that cite each id. */
const citations = new Map<string, string[]>()
for (const file of files.sort()) {
  const ids = [...readFileSync(file, 'utf8').matchAll(CITED)].flatMap(([, id = '', last]) => expandRange(id, last))
  for (const id of new Set(ids)) citations.set(id, [...(citations.get(id) ?? []), file])
}

/** `I-6 to I-8` is I-6, I-7 and I-8. */
function expandRange(first: string, last: string | undefined): string[] {
  if (last === undefined) return [first]
  const [, family = '', from = ''] = /^(.*?)(\d+)$/.exec(first) ?? []
  const to = Number(last.slice(family.length))
  return Array.from({ length: to - Number(from) + 1 }, (_, index) => `${family}${Number(from) + index}`)
}

function findTests(ids: readonly string[]): string[] {
  const found = ids.flatMap((id) => citations.get(id) ?? []).filter((file) => file.startsWith('test/'))
  return [...new Set(found)].sort()
}

function printTest(file: string): string {
  const name = file.replace(/^test\/(fixtures\/translate\/)?/, '').replace(/(\.test)?\.ts$|\/in\.yaml$/, '')
  return `[${name}](${relative('docs', file)})`
}

function printPage(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const row = ROW.exec(line)
      return row === null
        ? line
        : `${row[0]}${findTests(splitIds(row[1] ?? ''))
            .map(printTest)
            .join(', ')} |`
    })
    .join('\n')
}

function splitIds(cell: string): string[] {
  return cell.split(', ')
}

t.test('docs/semantics.md names the tests of each rule', async (t) => {
  const expected = printPage(readFileSync(PAGE, 'utf8'))
  if (process.env.UPDATE === '1') writeFileSync(PAGE, expected)
  t.equal(readFileSync(PAGE, 'utf8'), expected, 'UPDATE=1 rewrites the last column')
})

t.test('every cited id is a rule of the page, once, and every rule is cited by a test', async (t) => {
  const rules = readFileSync(PAGE, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const row = ROW.exec(line)
      return row === null ? [] : [splitIds(row[1] ?? '')]
    })
  const ids = rules.flat()
  t.ok(ids.length > 200)
  t.same(
    ids.filter((id, index) => ids.indexOf(id) !== index),
    [],
    'no id stands twice',
  )
  for (const [id, places] of citations) t.ok(ids.includes(id), `${id} is cited in ${places.join(', ')}`)
  for (const rule of rules) t.ok(findTests(rule).length > 0, `${rule.join(', ')} is held by a test`)
})
