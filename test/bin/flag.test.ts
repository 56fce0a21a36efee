import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import t from 'tap'
import { type Flag, readFlags } from '../../bin/flag.ts'
import { readOverrides, SET_FLAG, SETTING_FLAGS } from '../../bin/setting-flag.ts'
import { UsageError } from '../../bin/usage-error.ts'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { resolveSettings, SETTING_LIST } from '../../lib/settings/resolve.ts'

const flags: readonly Flag[] = [
  { name: 'filename', short: 'f', value: 'FILE', repeatable: true, doc: '' },
  { name: 'http-port', value: 'PORT', doc: '' },
  { name: 'strict', doc: '' },
]

function refuse(words: readonly string[]): UsageError {
  try {
    readFlags(words, flags)
  } catch (error) {
    if (error instanceof UsageError) return error
    throw error
  }
  throw new Error(`${words.join(' ')} was taken`)
}

t.test('flags are read in every usual form', async (t) => {
  const typed = readFlags(['-f', 'a', '--filename=b', '-fc', 'word', '-f', '-', '--strict'], flags)
  t.strictSame(typed.values('filename'), ['a', 'b', 'c', '-'])
  t.ok(typed.has('strict'))
  t.notOk(typed.has('http-port'))
  t.equal(typed.value('http-port'), undefined)
  t.strictSame(typed.positionals, ['word'])
})

t.test('the last value of a repeated flag counts', async (t) => {
  t.equal(readFlags(['--http-port', '1', '--http-port=2'], flags).value('http-port'), '2')
})

t.test('after -- nothing is a flag', async (t) => {
  const typed = readFlags(['--', '--strict', '-f'], flags)
  t.notOk(typed.has('strict'))
  t.strictSame(typed.positionals, ['--strict', '-f'])
})

t.test('an unknown flag is refused, with the nearest one', async (t) => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['--strcit', 'did you mean --strict?'],
    ['--http', 'did you mean --http-port?'],
    ['--Strict', 'did you mean --strict?'],
    ['--file', 'did you mean --filename?'],
    ['--http-prot', 'did you mean --http-port?'],
    ['--quux', undefined],
  ]
  for (const [word, help] of cases) {
    const error = refuse([word])
    t.equal(error.message, `unknown flag ${word}`)
    t.equal(error.help, help, word)
  }
})

t.test('a value that is missing, or looks like a flag, is refused', async (t) => {
  t.match(refuse(['--http-port']).message, '--http-port needs a value: --http-port PORT')
  t.match(refuse(['-f']).message, '-f needs a value')
  t.match(refuse(['--filename=']).message, 'needs a value')
  t.match(refuse(['-f', '--strict']).message, 'is written -f=FILE')
})

t.test('a switch takes no value', async (t) => {
  t.match(refuse(['--strict=yes']).message, 'takes no value, not "yes"')
})

t.test('every setting has a flag, and the settings accept what it says', async (t) => {
  const folder = t.testdir({ 'ca.pem': rootCertificates[0]!, token: 'secret' })
  const samples: Record<string, string> = {
    TEXT: 'x',
    NAME: 'x',
    NUMBER: '50',
    PORT: '8081',
    ADDRESS: '127.0.0.1',
    TIME: '30s',
    SIZE: '64Ki',
    CIDR: '10.96.0.0/12',
    ADDRESSES: '192.0.2.1-192.0.2.9',
    'PORT-PORT': '30000-30100',
    'NS/NAME=HOST:PORT': 'default/web=127.0.0.1:3000',
    'NS/NAME:SETTING=VALUE': 'default/web:tries=3',
    'NS/NAME': 'default/web',
    'OPTION=VALUE': 'rateLimit=100/s',
    CODE: 'PORTICO_REF_NO_ENDPOINTS',
    'client|endpoint|HOST': 'endpoint',
    'NUMBER|auto': 'auto',
    STATUSES: '200-399',
    SHARE: '5%',
    TEMPLATE: '$status',
    FIELD: 'trace_id',
  }
  for (const { name, word, choices } of SETTING_LIST) {
    const found = SETTING_FLAGS.filter((flag) => flag.setting === name)
    t.equal(found.filter(({ listed }) => listed).length, 1, `${name} is listed once`)
    for (const flag of found) {
      // The file must be there and hold a certificate.
      const given: Record<string, string> = {
        'admin.tokenFile': join(folder, 'token'),
        'upstream.caFile': join(folder, 'ca.pem'),
        'accessLog.format': 'json',
        'accessLog.to': 'stdout',
        'accessLog.syslog': 'udp://[::1]:514',
        'dns.forward': 'system',
        controllerConfigmap: 'ingress-nginx/edge',
        controllerWorkload: 'ingress-nginx/edge',
        annotationsPrefix: 'edge.test',
        defaultBackendService: 'default/rest',
        defaultSslCertificate: 'default/all',
        tcpServicesConfigmap: 'ingress-nginx/tcp',
        udpServicesConfigmap: 'ingress-nginx/udp',
        // Other values need trustedProxies.
        'http.proxyProtocol': 'none',
        'https.proxyProtocol': 'none',
        'upstream.hash.by': 'header:X-User',
        'upstream.affinity.cookie.path': '/shop',
        'upstream.retry.conditions': 'reset,503',
        'upstream.retry.methods': 'POST',
        'upstream.tries': '10',
        'tracing.endpoint': 'http://127.0.0.1:4318/v1/traces',
        secretFolders: '/etc/portico/secrets',
      }
      const value = given[name] ?? choices?.at(-1) ?? samples[String(word)]
      const words = flag.value ? [`--${flag.name}`, value as string] : [`--${flag.name}`]
      const overrides = readOverrides(readFlags(words, SETTING_FLAGS))
      const diagnostics = new DiagnosticList()
      // Writes need to know who asks.
      const environment = name === 'admin.writes' ? { PORTICO_ADMIN_TOKEN: 'a-long-enough-token' } : {}
      const { provenance } = resolveSettings({ flags: overrides, environment }, diagnostics)
      t.strictSame(diagnostics.items, [], `--${flag.name}`)
      t.equal(provenance.get(name), 'flag', `--${flag.name}`)
    }
  }
})

t.test('a value that is refused is named by the flag as it was typed', async (t) => {
  const all = [SET_FLAG, ...SETTING_FLAGS]
  for (const [words, label] of [
    [['--drain-timeout', '5'], '--drain-timeout'],
    [['--timeouts-drain=5'], '--timeouts-drain'],
    [['--set', 'timeouts.drain=5'], '--set timeouts.drain'],
    [['--drain-timeout', '5s', '--set', 'timeouts.drain=5'], '--set timeouts.drain'],
  ] as const) {
    const diagnostics = new DiagnosticList()
    resolveSettings({ flags: readOverrides(readFlags(words, all)), environment: {} }, diagnostics)
    t.match(diagnostics.items, [{ message: `${label}: "5" has no unit` }], words.join(' '))
  }
})

t.test('a setting that is not there is told with a way to find the name', async (t) => {
  const explain = (name: string) => {
    const diagnostics = new DiagnosticList()
    const flags = readOverrides(readFlags(['--set', `${name}=1`], [SET_FLAG]))
    resolveSettings({ flags, environment: {} }, diagnostics)
    return diagnostics.items.map(({ help }) => help)
  }
  t.strictSame(explain('http.prot'), ['did you mean --http-port?'])
  t.strictSame(explain('maxQueue'), ['did you mean --upstream-max-queue?'])
  t.strictSame(explain('foo.bar'), ['portico get settings -f FILE lists every setting'])
})

t.test('a flag of a setting that has another name now is told with the flag of that name', async (t) => {
  const error = refuse(['--upstream-retry-timeout', '5s'])
  t.equal(error.message, '--upstream-retry-timeout has another name now')
  t.equal(error.help, 'write --upstream-timeouts-request')
})

t.test('a flag of a setting that became a constant is told with the value it has now', async (t) => {
  const error = refuse(['--upstream-circuit-half-open-requests=5'])
  t.equal(error.message, '--upstream-circuit-half-open-requests is no longer a setting: it is always 3')
  t.equal(error.help, 'take it out')
})

t.test('the doc of a switch says what the switch does', async (t) => {
  const doc = (name: string) => SETTING_FLAGS.find((flag) => flag.name === name)?.doc
  t.equal(doc('no-http'), 'Do not serve plain HTTP.')
  t.equal(doc('http'), 'Serve plain HTTP.')
  t.equal(doc('no-watch'), 'Do not reload when a file changes.')
  for (const flag of SETTING_FLAGS) if (flag.to === 'false') t.match(flag.doc, /^Do not [a-z]/, flag.name)
})

t.test('flag names are unique', async (t) => {
  const names = SETTING_FLAGS.map(({ name }) => name)
  t.equal(new Set(names).size, names.length)
})

t.test('short names, switches and --set come to the same settings', async (t) => {
  const all = [SET_FLAG, ...SETTING_FLAGS]
  const read = (...words: string[]) => {
    const overrides = Object.entries(readOverrides(readFlags(words, all)))
    return Object.fromEntries(overrides.map(([name, { value }]) => [name, value]))
  }
  t.strictSame(read('--no-watch', '--strict', '--no-access-log', '--no-redirect'), {
    watch: 'false',
    strict: 'true',
    'log.access': 'false',
    'https.redirect': 'false',
  })
  t.strictSame(read('--drain-timeout', '3s'), read('--set', 'timeouts.drain=3s'))
  t.strictSame(read('--drain-timeout', '3s'), read('--timeouts-drain', '3s'))
  t.strictSame(read('--trusted-proxy', '10.0.0.0/8', '--trusted-proxy', '::1'), {
    trustedProxies: ['10.0.0.0/8', '::1'],
  })
  t.strictSame(read('--endpoints', 'a/b=127.0.0.1:1', '--set', 'endpoints=a/c=127.0.0.1:2'), {
    endpoints: ['a/b=127.0.0.1:1', 'a/c=127.0.0.1:2'],
  })
  t.throws(() => read('--set', 'http.port'), /--set needs a name and a value, not "http.port"$/)
  t.throws(() => read('--set', 'admin.token:hunter2'), /--set needs a name and a value, not "admin.token"$/)
})
