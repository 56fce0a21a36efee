/** docs/ingress-nginx.md lists all annotations with their support; its rules are those that tests name. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ANNOTATIONS } from '../../../../lib/translate/annotation.ts'
import { NGINX_FEATURES, NGINX_NAMES } from '../../../../lib/translate/ingress/nginx/features.ts'
import { IDLE, REFUSED } from '../../../../lib/translate/ingress/nginx/without-effect.ts'
import { translateOne } from './nginx-ingress.ts'

const PAGE = 'docs/ingress-nginx.md'
/** What people write of the page, up to the mark after which the list begins. */
const WRITTEN = /^[\s\S]*?^<!-- annotations: .* -->\n/m
const TESTS = 'test/translate/ingress/nginx'

t.test('docs/ingress-nginx.md lists every annotation with its support', async (t) => {
  const [written] = WRITTEN.exec(readFileSync(PAGE, 'utf8')) ?? []
  t.ok(written, 'the page has the mark')
  const expected = `${written}${printTable()}`
  if (process.env.UPDATE === '1') writeFileSync(PAGE, expected)
  t.equal(readFileSync(PAGE, 'utf8'), expected, 'UPDATE=1 rewrites the list')
})

t.test('an annotation stands in one list alone', async (t) => {
  t.equal(new Set(NGINX_NAMES).size, NGINX_NAMES.length)
  t.ok(NGINX_NAMES.length >= 130)
})

t.test('options exist, or are explained in words', async (t) => {
  for (const { annotations } of NGINX_FEATURES) {
    for (const [name, { options }] of Object.entries(annotations)) {
      for (const option of options)
        t.ok(option.includes('`') || ANNOTATIONS.has(`portico.dev/${option}`), `${name}: ${option}`)
    }
  }
})

t.test(
  'every annotation that is done is named by a test, and every rule of the page by the title of one',
  async (t) => {
    const texts = readdirSync(TESTS)
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => readFileSync(join(TESTS, name), 'utf8'))
    const all = texts.join('\n')
    for (const { annotations } of NGINX_FEATURES) {
      for (const name of Object.keys(annotations)) t.match(all, new RegExp(`(?<![\\w-])${name}(?![\\w-])`), name)
    }
    const named = new Set(
      [...all.matchAll(/t\.test\(\s*(['"`])(.*?)\1,/g)].flatMap(
        ([, , title = '']) => title.match(/\b[A-Z]{1,3}\d+\b/g) ?? [],
      ),
    )
    const rules = [...readFileSync(PAGE, 'utf8').matchAll(/^\| ([A-Z]{1,3}\d+) \|/gm)].map(([, rule = '']) => rule)
    t.ok(rules.length > 60)
    t.same(
      rules.filter((rule) => !named.has(rule)),
      [],
      'rules without a test',
    )
    t.same(
      [...named].filter((rule) => rule !== 'RE2' && !rules.includes(rule)),
      [],
      'rules that the page does not tell',
    )
  },
)

t.test('what is idle is not mentioned, what is refused is', async (t) => {
  for (const name of Object.keys(IDLE)) t.same(translateOne({ [name]: '1' }).diagnostics, [], name)
  for (const name of Object.keys(REFUSED)) {
    const value = /snippet/.test(name) ? 'deny all;' : 'true'
    const { diagnostics } = translateOne({ [name]: value })
    const codes = diagnostics.map(({ code }) => code)
    t.match(codes[0], /^PORTICO_ANN_(?:UNSUPPORTED|GUARD_UNSUPPORTED)$/, name)
  }
})

function printTable(): string {
  const rows = [
    ...NGINX_FEATURES.flatMap(({ scope, annotations }) =>
      Object.entries(annotations).map(([name, { options, differs }]) => {
        const here = options.map((option) => (option.includes('`') ? option : `\`${option}\``)).join(', ')
        return [name, scope, differs === undefined ? 'exact' : 'differs', [here, differs].filter(Boolean).join('; ')]
      }),
    ),
    ...(
      [
        ['idle', IDLE],
        ['refused', REFUSED],
      ] as const
    ).flatMap(([support, names]) => Object.entries(names).map(([name, why]) => [name, '', support, why])),
  ]
  const count = (support: string) => rows.filter((row) => row[2] === support).length
  const totals = ['exact', 'differs', 'idle', 'refused'].map((support) => `${count(support)} ${support}`)
  return [
    '',
    `${rows.length} annotations: ${totals.join(', ')}.`,
    '',
    '| annotation | acts on | support | here |',
    '|---|---|---|---|',
    ...rows.map(([name, scope, support, here]) => `| \`${name}\` | ${scope} | ${support} | ${here} |`),
    '',
  ].join('\n')
}
