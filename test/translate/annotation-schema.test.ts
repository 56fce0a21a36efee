/** config/annotations.schema.json: editors refuse what the gateway refuses, as far as a pattern can say, and nothing else. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { FILTERS } from '../../lib/filters/registry.ts'
import { readFilter } from '../../lib/filters/spec.ts'
import { ANNOTATION_DOMAIN, SERVICE_SETTINGS_BY_ANNOTATION } from '../../lib/settings/service.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import { ANNOTATIONS, createAnnotationsSchema } from '../../lib/translate/annotation.ts'
import { parseDocuments } from '../helpers/documents.ts'
import { translateText } from './manifests.ts'

const FILE = 'config/annotations.schema.json'

const validate = new Ajv2020({ strict: false }).compile(createAnnotationsSchema())

function isValid(kind: string, annotations: Readonly<Record<string, unknown>>): boolean {
  return validate({ kind, metadata: { annotations } })
}

t.test(`${FILE} is the schema of the annotations that there are`, async (t) => {
  const expected = `${JSON.stringify(createAnnotationsSchema(), undefined, 2)}\n`
  if (process.env.UPDATE === '1') writeFileSync(FILE, expected)
  t.equal(readFileSync(FILE, 'utf8'), expected, 'UPDATE=1 writes it anew')
})

/** Manifests of the examples and of the tests, by file. */
const MANIFESTS = ['examples', 'test/fixtures/translate'].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => [join(folder, name), readFileSync(join(folder, name), 'utf8')] as const),
)

t.test('good annotations of examples and fixtures pass, and unknown names do not', async (t) => {
  let [good, bad] = [0, 0]
  for (const [file, text] of MANIFESTS) {
    const { diagnostics } = translateText(text)
    const refused = new Set(
      diagnostics.filter(({ code }) => /^PORTICO_ANN_(?:VALUE|UNKNOWN)$/.test(code)).map(({ resource }) => resource),
    )
    const { documents } = parseDocuments(sourceFromText(file, text), new DiagnosticList())
    for (const { value } of documents) {
      const { kind, metadata } = (value ?? {}) as { kind: string; metadata?: Record<string, unknown> }
      const annotations = (metadata?.annotations ?? {}) as Record<string, unknown>
      const own = Object.keys(annotations).filter((name) => name.startsWith(ANNOTATION_DOMAIN))
      if (own.length === 0 || own.some((name) => typeof annotations[name] !== 'string')) continue
      if (refused.has(`${kind} ${metadata?.namespace ?? 'default'}/${metadata?.name}`)) {
        if (own.some((name) => !ANNOTATIONS.get(name)?.kinds.includes(kind))) {
          bad++
          t.notOk(validate(value), `${file}: ${kind} ${metadata?.name} has an unknown name`)
        }
        continue
      }
      good++
      t.ok(validate(value), `${file}: ${kind} ${metadata?.name}: ${JSON.stringify(validate.errors)}`)
    }
  }
  t.ok(good > 30 && bad > 0, `${good} good and ${bad} bad ones`)
})

const WORDS = [
  ...[
    'true',
    'false',
    'yes',
    '',
    ' ',
    '0',
    '1',
    '007',
    '1.5',
    '-1',
    '70000',
    '65535',
    '301',
    '308',
    '99',
    '204',
    '600',
  ],
  ...[
    '10/s',
    '0/s',
    '1000000/h',
    '1000001/h',
    '10/d',
    '5s',
    '1m30s',
    '0',
    '500ms',
    '5',
    '64Ki',
    'http',
    'https',
    'HTTP',
  ],
  ...[
    '/',
    '/a b',
    '/a/%2f',
    'a',
    '/$1',
    '^/(.*)$',
    'x'.repeat(501),
    'x'.repeat(1001),
    'a.test',
    'a.test:80',
    'a/b',
    '@',
  ],
  ...[
    'http://a.test/x',
    'ftp://a.test',
    'https://',
    'pages/a.html',
    'a/b/c',
    'Pages/a',
    'X-A: b',
    'X-A b',
    'X-A:',
    ': b',
  ],
  ...[
    'X-A: b\nX-B: c',
    'X-A: b\nnone',
    'X-A, X-B',
    ' , ',
    'X A',
    'X(A)',
    'text/html',
    'a\nb',
    'ä',
    '💡',
    'round-robin',
    'hash',
  ],
  ...['200-399', 'header:X-A', 'cookie:', 'client-ip', '127.0.0.1:80', 'connect-failure,5xx', 'GET,HEAD', 'L4', 'L7'],
]
const value = fc.oneof(
  fc.constantFrom(...WORDS),
  fc.array(fc.constantFrom(...WORDS), { minLength: 2, maxLength: 3 }).map((words) => words.join(',')),
  fc.string({ unit: 'grapheme-ascii', maxLength: 30 }),
)

for (const spec of FILTERS.filter(({ read }) => read)) {
  t.test(`${spec.name}: the schema says what its forms say`, async (t) => {
    for (const [name, { form }] of Object.entries(spec.annotations)) {
      const compare = (text: string): void => {
        const refused: string[] = []
        const refuse = (of: string, message: string) => refused.push(`${of} ${message}`)
        const content = () => undefined
        readFilter(spec, {
          text: (asked) => (asked === name ? text.trim() : undefined),
          content,
          entries: content,
          upstream: content,
          server: content,
          secret: content,
          refuse,
        })
        const passes = isValid('Ingress', { [ANNOTATION_DOMAIN + name]: text })
        if (form === undefined && !passes) throw new Error(`${name} takes any text`)
        const isFormed = form === undefined || form.pattern.test(text.trim())
        // A value among a few is listed as it is, for editors to offer.
        if (passes !== isFormed && !(form?.choices && text !== text.trim())) throw new Error(`${name}: "${text}"`)
        if (!passes && refused.length === 0 && text === text.trim()) throw new Error(`${name}: "${text}" is used`)
      }
      for (const word of WORDS) compare(word)
      fc.assert(fc.property(value, compare), { numRuns: 300 })
    }
    t.notOk(
      isValid('EndpointSlice', { [`${ANNOTATION_DOMAIN}${Object.keys(spec.annotations)[0]}`]: '1' }),
      'on Ingresses and Services alone',
    )
  })
}

t.test('a setting of Services takes no text that the schema refuses', async (t) => {
  let refused = 0
  for (const [name, setting] of SERVICE_SETTINGS_BY_ANNOTATION) {
    const compare = (text: string): void => {
      if (isValid('Service', { [name]: text })) return
      refused++
      const read = setting.read(text.trim(), 'text', name)
      if ('value' in read && text === text.trim()) throw new Error(`${name}: "${text}"`)
    }
    for (const word of WORDS) compare(word)
    fc.assert(fc.property(value, compare), { numRuns: 100 })
    t.equal(isValid('Ingress', { [name]: String(setting.write(setting.default)) }), setting.route === true, name)
  }
  t.ok(refused > 1_000, `${refused} refused`)
})

t.test('values that are no strings are refused, and what is not Portico’s own passes', async (t) => {
  t.notOk(isValid('Ingress', { 'portico.dev/maintenance': true }))
  t.notOk(isValid('Ingress', { 'portico.dev/redirect-code': 301 }))
  t.ok(isValid('Ingress', { 'nginx.ingress.kubernetes.io/x': 1, 'portico.dev/maintenance': 'true' }))
  t.ok(isValid('Deployment', { 'portico.dev/anything': 1 }))
  t.ok(validate({ kind: 'Ingress', metadata: { name: 'a', annotations: null }, spec: { rules: [] } }))
  t.ok(validate(null), 'an empty document')
  const item = { kind: 'Ingress', metadata: { annotations: { 'portico.dev/rate-limit': '10' } } }
  t.notOk(validate({ kind: 'List', items: [item] }), 'items of lists')
})
