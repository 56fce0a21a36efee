/** What holds for every filter, those to come included. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import { CONFIG_MAP_KEY, CONFIG_MAP_NAME, SECRET_NAME, SERVICE_PORT } from '../../lib/filters/annotation-form.ts'
import { Notes } from '../../lib/filters/notes.ts'
import { FILTERS } from '../../lib/filters/registry.ts'
import {
  type FilterEnvironment,
  type FilterRequest,
  type FilterSpec,
  PendingOutcome,
  readFilter,
} from '../../lib/filters/spec.ts'
import { BACKUP_ANNOTATION, ENDPOINTS_ANNOTATION } from '../../lib/kubernetes/resource.ts'
import {
  ANNOTATION_DOMAIN,
  explainFormerAnnotation,
  SERVICE_SETTINGS_BY_ANNOTATION,
} from '../../lib/settings/service.ts'
import { LAYER_ANNOTATION, PROXY_PROTOCOL_ANNOTATION } from '../../lib/translate/exposure/listener-option.ts'

const FOLDER = 'lib/filters'
const registry = readFileSync(join(FOLDER, 'registry.ts'), 'utf8')

/** The files that define a filter. */
const files = readdirSync(FOLDER)
  .map((name) => join(FOLDER, name))
  .filter((file) => /= defineFilter\b/.test(readFileSync(file, 'utf8')))

t.test('a filter is one file and one line of the registry', async (t) => {
  const list = /FILTERS\b.*= \[([^\]]*)\]/.exec(registry)?.[1]?.match(/\w+/g) ?? []
  for (const file of files) {
    const constants = [...readFileSync(file, 'utf8').matchAll(/^export const (\w+) = defineFilter\b/gm)]
    t.equal(constants.length, 1, `${file} exports one filter`)
    const constant = constants[0]?.[1]
    t.equal(list.filter((name) => name === constant).length, 1, `${constant} stands in the registry once`)
    t.ok(registry.includes(`import { ${constant} } from './${basename(file)}'\n`), `${constant} is imported once`)
  }
  t.equal(list.length, files.length, 'nothing else stands in the registry')
  t.equal(FILTERS.length, files.length)
  t.ok(files.length > 1)
})

t.test('the registry alone names the file of a filter', async (t) => {
  const names = files.map((file) => basename(file, '.ts')).join('|')
  const inFolder = new RegExp(`from '\\./(?:${names})\\.ts'`)
  const outside = new RegExp(`['/]filters/(?:${names})\\.ts'`)
  const found = ['lib', 'bin']
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)))
    .filter((file) => file.endsWith('.ts') && file !== join(FOLDER, 'registry.ts'))
    .filter((file) => (file.startsWith(`${FOLDER}/`) ? inFolder : outside).test(readFileSync(file, 'utf8')))
  t.same(found, [])
})

t.test('a filter has a test and an example of its name', async (t) => {
  for (const { name } of FILTERS) {
    t.ok(existsSync(`test/filters/${name}.test.ts`), `test of ${name}`)
    t.ok(existsSync(`examples/filters/${name}.yaml`), `example of ${name}`)
  }
})

t.test('names, orders and annotations are unique, and no annotation is one of a setting', async (t) => {
  const annotations = FILTERS.flatMap((spec) => Object.keys(spec.annotations))
  t.same(findDuplicates(FILTERS.map(({ name }) => name)), [])
  t.same(findDuplicates(FILTERS.map(({ order }) => order)), [], 'the order does not hang on the registry')
  t.same(findDuplicates(annotations), [])
  const others = [ENDPOINTS_ANNOTATION, BACKUP_ANNOTATION, LAYER_ANNOTATION, PROXY_PROTOCOL_ANNOTATION]
  for (const annotation of annotations) {
    t.match(annotation, /^[a-z]+(-[a-z0-9]+)*$/)
    const whole = ANNOTATION_DOMAIN + annotation
    t.notOk(SERVICE_SETTINGS_BY_ANNOTATION.has(whole), annotation)
    t.notOk(explainFormerAnnotation(whole), annotation)
    t.notOk(others.includes(whole), annotation)
  }
  for (const { name, order } of FILTERS) t.ok(order >= 100 && order < 500, `${name} acts in one of the four phases`)
})

/** Words that readers look for, so that more is reached than the first refusal. */
const WORDS = [
  ...[
    'true',
    'false',
    'on',
    'any',
    '',
    ' ',
    '0',
    '1',
    '-1',
    '1.5',
    '1e9',
    '301',
    '404',
    '503',
    '5xx',
    '404=a/b',
    '999',
    '99999999999999999999',
  ],
  ...['10/s', '5/m', '1/h', '5s', '10m', '1h', '64Ki', '1Mi', 'GET', 'http', 'https', 'client', 'address', 'prefix'],
  ...[
    '/',
    '/a',
    '/a/',
    '//',
    '/a/$1',
    '$1',
    '^/(a+)+$',
    '(',
    '[',
    '\\',
    '.*',
    '/%2f',
    'a.test',
    '*.test',
    '[::1]',
    ':',
  ],
  ...['https://a.test/x?y=z', 'http://127.0.0.1:80', 'http://u:p@a.test', 'https://', '10.0.0.0/8', '::1/128', '/33'],
  ...[
    'X-A: b',
    'X-A: b\nX-C: d',
    'X-A:',
    ': b',
    'Host: a',
    'X-A: \u0000',
    'x-a, x-b',
    'text/plain',
    '{}',
    '[1]',
    'a=b',
    '404=pages/404.html, 5xx',
    '404=pages/404.html',
    'errors:8080',
    'a.test b.test',
    '/a /b; Secure',
    `https://\${request.host}/\${request.path}`,
    `\${`,
  ],
  ...['\r\n', '\u2028', '\ud800', 'ä', '💡', '__proto__', 'constructor', 'x'.repeat(3000), 'X-A: b\n'.repeat(50)],
]

const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...WORDS) },
  { weight: 1, arbitrary: fc.array(fc.constantFrom(...WORDS), { maxLength: 4 }).map((words) => words.join(' ')) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 40 }) },
)

/** What a Secret may hold: the users of an htpasswd file, or something else. */
const SECRETS = ['\u00ff\u0000', '', `alice:{SHA}${'A'.repeat(27)}=\n`, 'alice:secret']

const environment: FilterEnvironment = {
  clock: { now: () => 0, monotonic: () => 0 },
  processes: 2,
  httpsPort: () => 443,
  warn: () => {},
  shared: (make) => make(),
}

const REQUEST: FilterRequest = {
  id: '1',
  method: 'GET',
  scheme: 'http',
  clientHostname: 'a.test',
  clientAuthority: 'a.test',
  pathname: '/a/b',
  matchPath: '/a/b',
  query: '?c',
  target: '/a/b?c',
  match: { type: 'prefix', path: '/a' },
  protocol: 'HTTP/1.1',
  startedAt: 0,
  tls: undefined,
  route: 'a.test/a',
  clientAddress: '127.0.0.1',
  clientNetwork: '127.0.0.1',
  lines: '',
  header: () => undefined,
  parameter: () => undefined,
  notes: new Notes(),
  connectionNotes: new Notes(),
  holdToEnd: (lease) => lease.release(),
  ask: () => ({ answer: new Promise(() => {}), cancel: () => {} }),
}

for (const spec of FILTERS) {
  const { read } = spec
  t.equal(read !== undefined, Object.keys(spec.annotations).length > 0, `${spec.name} reads annotations if it has any`)
  t.ok(read || spec.ofHosts, `${spec.name} is of routes or of hosts`)
  if (spec.ofHosts) checkOfHosts(spec, spec.ofHosts)
  if (read === undefined) continue
  t.test(`${spec.name} refuses what it cannot use, and takes what it can to another process`, async (t) => {
    const names = Object.keys(spec.annotations)
    // More at once would mostly be refused.
    const written = fc
      .subarray(names, { maxLength: Math.min(3, names.length) })
      .chain((some) => fc.record(Object.fromEntries(some.map((name) => [name, value]))))
    let used = 0
    const readOne = (annotations: Readonly<Record<string, string>>): void => {
      if (check(spec, annotations)) used++
    }
    for (const name of names) for (const word of WORDS) readOne({ [name]: word })
    for (const word of WORDS) readOne(Object.fromEntries(names.map((name) => [name, word])))
    fc.assert(fc.property(written, readOne), { numRuns: 2000 })
    t.ok(used > 0, 'some of it can be used')
    t.equal(
      read({
        text: () => undefined,
        content: () => undefined,
        entries: () => undefined,
        upstream: () => undefined,
        server: () => 'http://127.0.0.1:9',
        secret: () => undefined,
        refuse: () => t.fail(),
      }),
      undefined,
      'without annotations there is no filter',
    )
  })
}

/** True if the annotations make a filter. */
function check(spec: FilterSpec, annotations: Readonly<Record<string, string>>): boolean {
  const refused: string[] = []
  const claim = (name: string) => {
    if (!Object.hasOwn(spec.annotations, name)) throw new Error(`${name} is not an annotation of ${spec.name}`)
  }
  const options = readFilter(spec, {
    text(name) {
      claim(name)
      return annotations[name]?.trim()
    },
    entries(name) {
      claim(name)
      const reference = annotations[name]?.trim()
      if (reference === undefined) return undefined
      if (!CONFIG_MAP_NAME.pattern.test(reference)) throw new Error(`${name}: "${reference}" is looked for`)
      if (reference.length % 2 === 0)
        return [
          ['X-A', `\${request.host}`],
          [reference, '\u00ff\u0000'],
        ]
      refused.push(name)
      return undefined
    },
    content(name, reference = annotations[name]?.trim()) {
      claim(name)
      if (reference === undefined) return undefined
      if (!CONFIG_MAP_KEY.pattern.test(reference)) throw new Error(`${name}: "${reference}" is looked for`)
      if (reference.length % 2 === 0) return { source: reference, bytes: '\u00ff\u0000' }
      refused.push(name)
      return undefined
    },
    server(name) {
      claim(name)
      return 'http://127.0.0.1:9'
    },
    upstream(name) {
      claim(name)
      const reference = annotations[name]?.trim()
      if (reference === undefined) return undefined
      if (!SERVICE_PORT.pattern.test(reference)) throw new Error(`${name}: "${reference}" is looked for`)
      if (reference.length % 2 === 0) return `default/${reference}`
      refused.push(name)
      return undefined
    },
    secret(name) {
      claim(name)
      const secret = annotations[name]?.trim()
      if (secret === undefined) return undefined
      if (!SECRET_NAME.pattern.test(secret)) throw new Error(`${name}: "${secret}" is looked for`)
      if (secret.length % 2 === 0)
        return { source: `Secret ${secret}`, content: { auth: SECRETS[(secret.length / 2) % SECRETS.length]! } }
      refused.push(name)
      return undefined
    },
    refuse(name, message, help) {
      claim(name)
      if (message === '' || help === '') throw new Error(`${name} is refused without a word`)
      refused.push(name)
    },
  })
  if (options === undefined || refused.length > 0) return false
  useOptions(spec, options)
  return true
}

/** Of the settings that it may go by, all are tried. */
function checkOfHosts(spec: FilterSpec, { read, text }: NonNullable<FilterSpec['ofHosts']>): void {
  t.test(`${spec.name} acts on whole hosts`, async (t) => {
    t.not(text, '')
    const each = [false, true]
    const options = each
      .flatMap((isSecured) => each.map((redirect) => ({ isSecured, redirect })))
      .flatMap(({ isSecured, redirect }) =>
        [0, 443].map((redirectPort) => read({ isSecured, https: { enabled: true, redirect, redirectPort } })),
      )
      .filter((some) => some !== undefined)
    t.ok(options.length > 0)
    for (const some of options) {
      useOptions(spec, some)
      t.same(Object.keys(spec.create(some, environment)), ['request'], 'hosts have no other function of filters')
    }
  })
}

/** Throws where the options cannot be sent, printed or used. */
function useOptions(spec: FilterSpec, options: Readonly<Record<string, unknown>>): void {
  // Options go to workers as messages.
  const sent = structuredClone(options)
  if (!isDeepStrictEqual(sent, options)) throw new Error('the options are not plain data')
  const printed = spec.print(sent)
  if (printed === '' || printed !== spec.print(options)) throw new Error(`printed "${printed}"`)
  if (/[\r\n]/.test(printed)) throw new Error('it is printed in more than one line')
  const filter = spec.create(sent, environment)
  const functions = [
    'request',
    'check',
    'joinsChecks',
    'isUnlogged',
    'upstreamRequest',
    'errorPage',
    'mirror',
    'response',
    'requestBody',
    'responseBody',
  ] as const
  if (functions.every((name) => filter[name] === undefined)) throw new Error('the filter does nothing')
  const ask = spec.dependsOn === undefined ? [filter.request, filter.check] : []
  if (ask.some((each) => each?.(REQUEST) instanceof PendingOutcome)) {
    throw new Error('the filter waits, and its spec does not say what for')
  }
}

function findDuplicates<T>(values: readonly T[]): readonly T[] {
  return values.filter((each, at) => values.indexOf(each) !== at)
}
