/** docs/filters.md lists the filters of the registry; docs/adding-a-filter.md shows code that is there. */
import { readFileSync, writeFileSync } from 'node:fs'
import t from 'tap'
import { FILTERS } from '../../lib/filters/registry.ts'
import type { FilterSpec } from '../../lib/filters/spec.ts'
import { ANNOTATION_DOMAIN } from '../../lib/settings/service.ts'
import { translateText } from '../translate/manifests.ts'

const PAGE = 'docs/filters.md'
/** What people write of the page, up to the mark after which the list begins. */
const WRITTEN = /^[\s\S]*?^<!-- filters: .* -->\n/m
/** By the hundreds of the order. */
const PHASES = ['refuses', 'redirects', 'answers', 'changes']
/** Those that stand among others of another kind. */
const OTHERS: ReadonlyMap<string, string> = new Map([
  ['access-log', 'keeps requests out of the log'],
  ['cors', 'answers preflights, changes answers'],
  ['https-redirect', 'redirects'],
])

/** What is said of a row whose Services, Secrets and paths stand elsewhere. */
const WITHOUT_OBJECTS: ReadonlySet<string> = new Set([
  'PORTICO_REF_CONFIG_MAP_NOT_FOUND',
  'PORTICO_REF_SECRET_NOT_FOUND',
  'PORTICO_REF_SERVICE_NOT_FOUND',
  'PORTICO_ROUTE_REDIRECT_INCOMPLETE',
])

t.test('docs/filters.md lists every filter with its annotations and its example', async (t) => {
  const [written] = WRITTEN.exec(readFileSync(PAGE, 'utf8')) ?? []
  t.ok(written, 'the page has the mark')
  const expected = `${written}${printList()}`
  if (process.env.UPDATE === '1') writeFileSync(PAGE, expected)
  t.equal(readFileSync(PAGE, 'utf8'), expected, 'UPDATE=1 rewrites the list')
})

t.test('the table of tasks names every filter, with values that can be used', async (t) => {
  const [table] = /^\| task [\s\S]*?^$/m.exec(readFileSync(PAGE, 'utf8')) ?? ['']
  const named: string[] = []
  for (const row of table.trim().split('\n').slice(2)) {
    const annotations = [...(row.split(' | ')[1] ?? '').matchAll(/`([a-z-]+): ([^`]+)`/g)]
    named.push(...annotations.map(([, name = '']) => name))
    const lines = annotations.map(([, name, value]) => `    ${ANNOTATION_DOMAIN}${name}: ${value}\n`)
    const { diagnostics } = translateText(
      `apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: a\n  annotations:\n${lines.join('') || '    {}\n'}spec:\n  defaultBackend: { service: { name: web, port: { number: 80 } } }\n`,
    )
    const wrong = diagnostics.filter(({ code }) => !WITHOUT_OBJECTS.has(code))
    t.same(wrong, [], row)
  }
  for (const { name, annotations } of FILTERS) {
    const isNamed = Object.keys(annotations).some((annotation) => named.includes(annotation))
    t.ok(isNamed || table.includes(`(#${name})`), name)
  }
})

t.test('docs/adding-a-filter.md shows code as its file has it', async (t) => {
  const page = readFileSync('docs/adding-a-filter.md', 'utf8')
  const blocks = [...page.matchAll(/^```ts (\S+)\n([\s\S]*?)^```$/gm)]
  for (const [, file = '', code = ''] of blocks) t.ok(readFileSync(file, 'utf8').includes(code), `${file}: ${code}`)
  t.ok(blocks.length > 5)
})

function printList(): string {
  return [
    '',
    '| number | filter | what it does | guard |',
    '|---|---|---|---|',
    ...FILTERS.map(({ name, order, isGuard }) => {
      const phase = OTHERS.get(name) ?? PHASES[Math.floor(order / 100) - 1]
      return `| ${order} | [${name}](#${name}) | ${phase} | ${isGuard ? 'yes: a mistake closes the routes' : 'no'} |`
    }),
    ...FILTERS.flatMap(printFilter),
    '',
  ].join('\n')
}

function printFilter({ name, annotations, ofHosts }: FilterSpec): readonly string[] {
  const hasAnnotations = Object.keys(annotations).length > 0
  return [
    '',
    `### ${name}`,
    '',
    ...(ofHosts ? [ofHosts.text, ''] : []),
    ...(hasAnnotations ? ['| annotation | value |', '|---|---|'] : []),
    ...Object.entries(annotations).map(
      ([annotation, { about }]) => `| \`${ANNOTATION_DOMAIN}${annotation}\` | ${about.replaceAll('|', '\\|')} |`,
    ),
    ...(hasAnnotations ? [''] : []),
    '```yaml',
    readFileSync(`examples/filters/${name}.yaml`, 'utf8').trimEnd(),
    '```',
  ]
}
