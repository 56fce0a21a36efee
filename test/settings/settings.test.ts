import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Diagnostic, DiagnosticList } from '../../lib/base/diagnostics.ts'
import { printDuration } from '../../lib/base/measure.ts'
import { createSettingsSchema, printSettingsFile } from '../../lib/settings/print.ts'
import {
  chooseSettingsDocument,
  environmentName,
  findRestartSettings,
  flagName,
  keepRestartSettings,
  resolveSettings,
  SETTING_LIST,
  type SettingsInput,
} from '../../lib/settings/resolve.ts'
import { SERVICE_SETTINGS_BY_NAME } from '../../lib/settings/service.ts'
import { describeOptions } from '../../lib/translate/route-policy/policy-schema.ts'
import { parseDocuments } from '../helpers/documents.ts'

const HEAD = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n'

function readDocuments(t: Test, text: string) {
  const diagnostics = new DiagnosticList()
  const source = { name: 'portico.yaml', path: undefined, text, hash: '' }
  const { documents } = parseDocuments(source, diagnostics)
  t.same(diagnostics.items, [])
  return documents
}

function resolve(t: Test, { yaml, environment = {}, flags = {} }: Partial<SettingsInput> & { yaml?: string }) {
  const diagnostics = new DiagnosticList()
  const document = yaml === undefined ? undefined : readDocuments(t, HEAD + yaml)[0]
  const { settings, provenance } = resolveSettings({ document, environment, flags }, diagnostics)
  return { settings, provenance, diagnostics: diagnostics.items, lines: diagnostics.items.map(printLine) }
}

function printLine({ code, message, help, position }: Diagnostic): string {
  const place = position ? `${position.line}:${position.column} ` : ''
  return `${place}${code} ${message}${help ? ` | ${help}` : ''}`
}

t.test('without any input every setting has its default', async (t) => {
  const { settings, provenance, diagnostics } = resolve(t, {})
  t.same(diagnostics, [])
  t.equal(settings.http.port, 8080)
  t.equal(settings.timeouts.connect, 5_000)
  t.same([...new Set(provenance.values())], ['default'])
  t.equal(provenance.size, SETTING_LIST.length)
  t.ok(Object.isFrozen(settings) && Object.isFrozen(settings.http) && Object.isFrozen(settings.trustedProxies))
})

t.test('a flag beats the environment, that the file, that the default', async (t) => {
  const yaml = 'http: {port: 1000}\nhttps: {port: 1001, redirectPort: 1}\nadmin: {port: 1002}\n'
  const environment = { PORTICO_HTTP_PORT: '2000', PORTICO_HTTPS_PORT: '2001' }
  const { settings, provenance, diagnostics } = resolve(t, { yaml, environment, flags: { 'http.port': '3000' } })
  t.same(diagnostics, [])
  t.same([settings.http.port, settings.https.port, settings.admin.port], [3000, 2001, 1002])
  const names = ['http.port', 'https.port', 'admin.port', 'http.address']
  t.same(
    names.map((name) => provenance.get(name)),
    ['flag', 'environment', 'file', 'default'],
  )
})

t.test('names of flags and environment variables follow from the name of the setting', async (t) => {
  t.equal(environmentName('https.redirectPort'), 'PORTICO_HTTPS_REDIRECT_PORT')
  t.equal(environmentName('dataDir'), 'PORTICO_DATA_DIR')
  t.equal(environmentName('externalIPs.enabled'), 'PORTICO_EXTERNAL_IPS_ENABLED')
  t.equal(flagName('externalIPs.enabled'), '--external-ips-enabled')
  t.equal(flagName('nodePorts.range'), '--node-ports-range')
  t.equal(flagName('https.redirectPort'), '--https-redirect-port')
  t.equal(new Set(SETTING_LIST.map(({ name }) => environmentName(name))).size, SETTING_LIST.length)
})

t.test('options of all routes are read from the file and from text', async (t) => {
  const { settings, lines } = resolve(t, { yaml: 'routes: {rateLimit: 1/s, redirectCode: 301, compress: null}\n' })
  t.same([settings.routes, lines], [{ rateLimit: '1/s', redirectCode: 301, compress: null }, []])
  const text = { flags: { routes: ['rateLimit=1/s', 'authUrl=http://a.test/?b=c'] } }
  t.same(resolve(t, text).settings.routes, { rateLimit: '1/s', authUrl: 'http://a.test/?b=c' })
  t.same(resolve(t, { environment: { PORTICO_ROUTES: 'rateLimit=1/s compress=true' } }).settings.routes, {
    rateLimit: '1/s',
    compress: 'true',
  })
  t.match(resolve(t, { yaml: 'routes: [a]\n' }).lines, [/routes: must be a mapping of options/])
  t.match(resolve(t, { flags: { routes: 'rateLimit' } }).lines, [/--routes: "rateLimit" is no option/])
})

t.test('an empty environment variable says nothing', async (t) => {
  const { settings, diagnostics } = resolve(t, { environment: { PORTICO_HTTP_PORT: '' } })
  t.same([settings.http.port, diagnostics], [8080, []])
})

t.test('a value that cannot be used is reported, and the next source down counts', async (t) => {
  const { settings, lines } = resolve(t, { yaml: 'http: {port: 1000}\n', environment: { PORTICO_HTTP_PORT: '80x' } })
  t.equal(settings.http.port, 1000)
  t.same(lines, ['PORTICO_SET_FIELD_VALUE PORTICO_HTTP_PORT: "80x" is not a whole number | write digits alone'])
})

t.test('each kind of setting is read from the file and from text', async (t) => {
  const yaml = [
    'http: {enabled: false, address: 127.0.0.1}',
    'dataDir: /var/lib/portico',
    'ingressClasses: [nginx, portico]',
    'endpoints:',
    '  default/api: ["127.0.0.1:3000;weight=2", "[::1]:3001"]',
    '  default/web:http: host.docker.internal:80',
    'trustedProxies: [10.0.0.0/8, "::1"]',
    'limits: {bodyBytes: 10Mi, targetBytes: 1000}',
    'timeouts: {drain: 1m30s, connect: 1.5s, responseIdle: 0}',
    'log: {level: warn}',
    'nodePorts: {addresses: [127.0.0.1, "::1"], range: 31000-31999}',
    'loadBalancers: {pool: [192.0.2.7, 192.0.2.10-192.0.2.20, 192.0.2.64/28]}',
    'clusterNetwork: {enabled: true, range: 10.96.0.0/12}',
  ].join('\n')
  const file = resolve(t, { yaml })
  t.same(file.lines, [])
  const flags = {
    'http.enabled': 'false',
    'http.address': '127.0.0.1',
    dataDir: '/var/lib/portico',
    ingressClasses: ['nginx', 'portico'],
    endpoints: ['default/api=127.0.0.1:3000;weight=2,[::1]:3001', 'default/web:http=host.docker.internal:80'],
    trustedProxies: '10.0.0.0/8, ::1',
    'limits.bodyBytes': '10Mi',
    'limits.targetBytes': '1000',
    'timeouts.drain': '1m30s',
    'timeouts.connect': '1.5s',
    'timeouts.responseIdle': '0',
    'log.level': 'warn',
    'nodePorts.addresses': '127.0.0.1, ::1',
    'nodePorts.range': '31000-31999',
    'loadBalancers.pool': ['192.0.2.7', '192.0.2.10-192.0.2.20', '192.0.2.64/28'],
    'clusterNetwork.enabled': 'true',
    'clusterNetwork.range': '10.96.0.0/12',
  }
  const flag = resolve(t, { flags })
  t.same(flag.lines, [])
  t.same({ ...flag.settings }, { ...file.settings })
  const environment = Object.fromEntries(
    Object.entries(flags).map(([name, value]) => [
      environmentName(name),
      Array.isArray(value) ? value.join(name === 'endpoints' ? ' ' : ',') : value,
    ]),
  )
  t.same({ ...resolve(t, { environment }).settings }, { ...file.settings })
  const { settings } = file
  t.same([settings.limits.bodyBytes, settings.timeouts.drain, settings.timeouts.connect], [10_485_760, 90_000, 1_500])
  t.same(settings.endpoints['default/web:http'], ['host.docker.internal:80'])
  const repeated = resolve(t, { flags: { endpoints: ['default/api=127.0.0.1:3000', 'default/api=127.0.0.1:3001'] } })
  t.same(repeated.settings.endpoints['default/api'], ['127.0.0.1:3000', '127.0.0.1:3001'], 'a repeated flag adds up')
})

t.test('ranges of ports and addresses are checked', async (t) => {
  const cases: [name: string, written: string, problem: string][] = [
    ['nodePorts.range', '30000', '30000 is not a range of ports | write 30000-32767'],
    ['nodePorts.range', '32767-30000', '"32767-30000" is not a range of ports | write 30000-32767'],
    ['nodePorts.range', '0-70000', '"0-70000" is not a range of ports | write 30000-32767'],
    [
      'clusterNetwork.range',
      '10.96.0.1',
      '"10.96.0.1" is not a CIDR range | write 127.96.0.0/16 or another CIDR range',
    ],
    ['clusterNetwork.range', '10', '10 is not a CIDR range | write 127.96.0.0/16 or another CIDR range'],
    [
      'clusterNetwork.range',
      '10.96.0.1/16',
      '"10.96.0.1/16" has bits set beyond the prefix length | write 127.96.0.0/16 or another CIDR range',
    ],
    [
      'clusterNetwork.range',
      '10.96.0.0/31',
      '"10.96.0.0/31" holds no address that a Service could have | write 127.96.0.0/16 or another CIDR range',
    ],
    ['clusterNetwork.range', '224.0.0.0/8', '"224.0.0.0/8" is multicast | name addresses that this machine has'],
  ]
  for (const [name, written, problem] of cases) {
    const [group, key] = name.split('.')
    const [line = '', ...others] = resolve(t, { yaml: `${group}: {${key}: ${written}}` }).lines
    t.ok(line.endsWith(` PORTICO_SET_FIELD_VALUE ${name}: ${problem}`), line)
    t.same(others, [])
  }
  const lists: [name: string, written: string, problem: string][] = [
    ['nodePorts.addresses', '[localhost]', '[0]: "localhost" is not an IP address'],
    ['loadBalancers.pool', '[x]', '[0]: "x" is not an address, a range or a CIDR range'],
    ['loadBalancers.pool', '["::"]', '[0]: "::" is unspecified'],
    ['loadBalancers.pool', '[192.0.2.0/24, 192.0.2.7]', ': "192.0.2.7" has addresses of "192.0.2.0/24"'],
  ]
  for (const [name, written, problem] of lists) {
    const [group, key] = name.split('.')
    const [line = ''] = resolve(t, { yaml: `${group}: {${key}: ${written}}` }).lines
    t.ok(line.includes(` PORTICO_SET_FIELD_VALUE ${name}${problem}`), line)
  }
})

t.test('CF-17 durations need a unit, sizes a known one, and both keep to their range', async (t) => {
  const cases: [name: string, written: string, problem: string][] = [
    ['timeouts.connect', '10', '10 has no unit | write it with its unit: 500ms, 10s, 5m or 1h'],
    ['timeouts.connect', '"10"', '"10" is not a duration | write it with its unit: 500ms, 10s, 5m or 1h'],
    ['timeouts.connect', '10 s', '"10 s" is not a duration | write it with its unit: 500ms, 10s, 5m or 1h'],
    ['timeouts.connect', '1y', '"1y" is not a duration | write it with its unit: 500ms, 10s, 5m or 1h'],
    ['timeouts.connect', '-1s', '"-1s" is not a duration | write it with its unit: 500ms, 10s, 5m or 1h'],
    ['timeouts.connect', '0', '0 is out of range | allowed: at least 50ms'],
    ['timeouts.connect', '1ms', '1ms is out of range | allowed: at least 50ms'],
    ['timeouts.connect', '10000h', '10000h is out of range | allowed: 50ms to 596h31m23s647ms'],
    ['limits.headerBytes', '1Gi', '1Gi is out of range | allowed: 1Ki to 1Mi'],
    ['limits.headerBytes', '-1', '-1 is not a size | write bytes as a number, or with Ki, Mi or Gi: 65536, 64Ki'],
    ['limits.headerBytes', '1 Ki', '"1 Ki" is not a size | write bytes as a number, or with Ki, Mi or Gi: 65536, 64Ki'],
    ['limits.headerCount', '1.5', '1.5 is not a whole number | write digits alone, without quotes'],
    ['limits.uploadRate', '2Mi', '2Mi is out of range | allowed: 0 to 1Mi'],
    ['files.maxBytes', '1Gi', '1Gi is out of range | allowed: 1Ki to 256Mi'],
    ['files.maxCount', '2000000', '2000000 is out of range | allowed: 1 to 1000000'],
    ['limits.connections', '99999999999', '99999999999 is out of range | allowed: 0 to 2147483647'],
    ['upstream.maxQueue', '2147483648', '2147483648 is out of range | allowed: 0 to 2147483647'],
    ['limits.headerCount', '1', '1 is out of range | allowed: 10 to 1000'],
    ['http.port', '70000', '70000 is out of range | allowed: 0 to 65535'],
    ['http.port', '"80"', '"80" is not a whole number | write digits alone, without quotes'],
    ['http.enabled', 'maybe', '"maybe" is neither true nor false | write true or false, without quotes'],
    ['http.address', '"[::1]"', '"[::1]" is not an IP address | write it without brackets: "::1"'],
    ['upstream.host', '""', '"" is not a Host | write client, endpoint, or a host name with or without a port'],
    ['upstream.host', '"a b"', '"a b" is not a Host | write client, endpoint, or a host name with or without a port'],
    ['upstream.host', '"a:0"', '"a:0" is not a Host | write client, endpoint, or a host name with or without a port'],
    [
      'upstream.sni',
      '"a.test:443"',
      '"a.test:443" is not a host name | write a DNS name such as api.example.com, without scheme and port',
    ],
    [
      'upstream.sni',
      '"::1"',
      '"::1" is not a host name | write a DNS name such as api.example.com, without scheme and port',
    ],
    ['upstream.addressFamily', 'ipv5', '"ipv5" is not one of auto, ipv4, ipv6 | did you mean "ipv4"?'],
    ['log.level', 'warning', '"warning" is not one of debug, info, warn, error, silent | did you mean "warn"?'],
  ]
  for (const [name, written, problem] of cases) {
    const [group = '', key = ''] = name.split('.')
    const { settings, lines } = resolve(t, { yaml: `${group}:\n  ${key}: ${written}\n` })
    t.same(lines, [`4:${key.length + 5} PORTICO_SET_FIELD_VALUE ${name}: ${problem}`], `${name}: ${written}`)
    t.same({ ...settings }, { ...resolve(t, {}).settings }, 'the default counts')
  }
})

t.test('problems inside lists and mappings point at the entry', async (t) => {
  const yaml = [
    'trustedProxies:',
    '  - 10.0.0.0/8',
    '  - 10.0.0.0/33',
    'endpoints:',
    '  default/api: ["127.0.0.1", "http://a:1"]',
    '  api: ["127.0.0.1:1"]',
    '  default/web: 5',
    'resolver: {servers: [192.0.2.53, "192.0.2.53:5353", "[::1]:53", "::1", dns.test, "192.0.2.53:", system]}',
    'externalNames: {allowPrivateFor: [default/web, web]}',
  ].join('\n')
  t.same(
    resolve(t, { yaml }).diagnostics.map(({ message, position }) => `${position?.line}:${position?.column} ${message}`),
    [
      '7:17 endpoints[default/api][0]: "127.0.0.1" has no port',
      '7:30 endpoints[default/api][1]: "http://a:1" is a URL, not an endpoint',
      '8:8 endpoints.api: "api" names no Service',
      '9:16 endpoints[default/web]: must be a list of endpoints',
      '11:48 externalNames.allowPrivateFor[1]: "web" names no Service',
      '10:72 resolver.servers[4]: "dns.test" is not the address of a DNS server',
      '10:82 resolver.servers[5]: "192.0.2.53:" is not the address of a DNS server',
      '10:97 resolver.servers[6]: "system" is not the address of a DNS server',
      '5:5 trustedProxies[1]: "10.0.0.0/33" is not an address or a CIDR range',
    ],
  )
})

t.test('an unknown setting is an error that names the nearest known one', async (t) => {
  const yaml = 'metadata: {name: x}\nhttp:\n  prot: 80\nredirectPort: 443\nspec: {}\nwobble: 1\nhttps: 5\n'
  t.same(resolve(t, { yaml }).lines, [
    '5:3 PORTICO_SET_FIELD_UNKNOWN unknown setting "prot" in http | did you mean "port"?',
    '6:1 PORTICO_SET_FIELD_UNKNOWN unknown setting "redirectPort" | did you mean https.redirectPort?',
    '7:1 PORTICO_SET_FIELD_UNKNOWN unknown setting "spec" | settings stand at the top level, beside kind',
    `8:1 PORTICO_SET_FIELD_UNKNOWN unknown setting "wobble" | known here: ${Object.keys(resolve(t, {}).settings).join(', ')}`,
    `9:8 PORTICO_SET_FIELD_VALUE https: must be a mapping | its settings are ${Object.keys(resolve(t, {}).settings.https).join(', ')}`,
  ])
})

t.test('a setting that has another name now is told with it, wherever it is given', async (t) => {
  const yaml = 'upstream:\n  retry: {timeout: 1s}\nservices:\n  default/web: {retry: {timeout: 1s}}\n'
  const environment = { PORTICO_UPSTREAM_RETRY_TIMEOUT: '1s' }
  const { diagnostics, lines } = resolve(t, { yaml, environment, flags: { 'upstream.retry.timeout': '2s' } })
  t.same(lines, [
    '4:11 PORTICO_SET_FIELD_UNKNOWN upstream.retry.timeout has another name now | write upstream.timeouts.request',
    'PORTICO_SET_FIELD_UNKNOWN upstream.retry.timeout has another name now | write upstream.timeouts.request',
    'PORTICO_SET_FIELD_UNKNOWN PORTICO_UPSTREAM_RETRY_TIMEOUT has another name now | write PORTICO_UPSTREAM_TIMEOUTS_REQUEST',
    '6:34 PORTICO_SET_FIELD_VALUE services[default/web].retry.timeout: upstream.retry.timeout has another name now | write timeouts.request',
  ])
  t.same(
    diagnostics.map(({ severity }) => severity),
    ['error', 'error', 'warning', 'error'],
  )
})

t.test('a setting that became a constant is told with the value it has now, wherever it is given', async (t) => {
  const yaml =
    'upstream:\n  circuit: {interval: 1s}\nservices:\n  default/web: {tries: 3, circuit: {halfOpenRequests: 1}}\n'
  const environment = { PORTICO_DNS_MAX_FORWARDS: '1' }
  const flags = { 'upstream.circuit.maxOpenTime': '2m' }
  const { settings, diagnostics, lines } = resolve(t, { yaml, environment, flags })
  t.same(lines, [
    '4:13 PORTICO_SET_FIELD_UNKNOWN upstream.circuit.interval is no longer a setting: it is always 10s | take it out',
    'PORTICO_SET_FIELD_UNKNOWN upstream.circuit.maxOpenTime is no longer a setting: it is always 1m | take it out',
    'PORTICO_SET_FIELD_UNKNOWN PORTICO_DNS_MAX_FORWARDS is no longer a setting: it is always 512 | unset it',
    '6:55 PORTICO_SET_FIELD_VALUE services[default/web].circuit.halfOpenRequests: upstream.circuit.halfOpenRequests is no longer a setting: it is always 3 | take it out',
  ])
  t.same(
    diagnostics.map(({ severity }) => severity),
    ['warning', 'error', 'warning', 'warning'],
  )
  t.same({ ...settings.services['default/web'] }, { tries: 3 })
})

t.test('a group left empty says nothing', async (t) => {
  t.same(resolve(t, { yaml: 'http:\n' }).lines, [])
})

t.test('another apiVersion is an error', async (t) => {
  const diagnostics = new DiagnosticList()
  const [document] = readDocuments(t, 'apiVersion: portico.dev/v1\nkind: GatewayConfiguration\n')
  resolveSettings({ document, environment: {}, flags: {} }, diagnostics)
  t.same(diagnostics.items.map(printLine), [
    '1:13 PORTICO_SET_FIELD_VALUE apiVersion: "portico.dev/v1" is not known | write apiVersion: portico.dev/v1alpha1',
  ])
})

t.test('a variable is near a setting by what follows the prefix', async (t) => {
  const { diagnostics } = resolve(t, { environment: { PORTICO_FOO: '1', PORTICO_ZON: '1' } })
  t.same(
    diagnostics.map(({ help }) => help),
    ['unset it, or give it another name', 'did you mean PORTICO_ZONE?'],
  )
})

t.test('unknown flags are errors, unknown PORTICO_ variables warnings', async (t) => {
  const { diagnostics, lines } = resolve(t, { flags: { 'http.prot': '1' }, environment: { PORTICO_HTTP_PROT: '1' } })
  t.same(lines, [
    'PORTICO_SET_FIELD_UNKNOWN unknown setting "http.prot" given by flag | did you mean --http-port?',
    'PORTICO_SET_FIELD_UNKNOWN environment variable PORTICO_HTTP_PROT names no setting | did you mean PORTICO_HTTP_PORT?',
  ])
  t.same(
    diagnostics.map(({ severity }) => severity),
    ['error', 'warning'],
  )
})

t.test('variables that Kubernetes and Docker set for a Service called portico are passed over', async (t) => {
  const environment = {
    PORTICO_SERVICE_HOST: '10.0.0.1',
    PORTICO_SERVICE_PORT_HTTP: '80',
    PORTICO_PORT: 'tcp://10.0.0.1:80',
    PORTICO_PORT_80_TCP_ADDR: '10.0.0.1',
  }
  t.same(resolve(t, { environment }).lines, [])
  t.match(resolve(t, { environment: { PORTICO_HTTP_PORT: 'tcp://10.0.0.1:80' } }).lines[0], /enableServiceLinks: false/)
})

t.test('CF-30 variables in the file are refused, never replaced', async (t) => {
  const { settings, lines } = resolve(t, { yaml: `admin:\n  token: "\${TOKEN}"\n`, environment: { TOKEN: 'x' } })
  t.same(lines, [
    '4:10 PORTICO_SET_FIELD_VALUE admin.token: variables are not replaced in this file | give the value in the environment variable PORTICO_ADMIN_TOKEN',
  ])
  t.equal(settings.admin.token, '')
})

t.test('an admin address that others can reach needs a token', async (t) => {
  const refused = resolve(t, { yaml: 'admin: {address: 0.0.0.0}\n' })
  t.equal(refused.settings.admin.address, '127.0.0.1')
  t.match(refused.lines, [/^3:18 PORTICO_SET_FIELD_VALUE admin.address: "0.0.0.0" can be reached from other machines/])
  t.same(resolve(t, { yaml: 'admin: {address: 0.0.0.0, token: secret}\n' }).lines, [])
  t.same(resolve(t, { yaml: 'admin: {address: "127.0.0.2"}\n' }).lines, [])
})

t.test('the zone of the DNS server is a domain, and other names are looked up at addresses', async (t) => {
  const wrong = resolve(t, { yaml: 'dns:\n  zone: "bad zone"\n  forward: [192.0.2.1, dns.test]\n' })
  t.match(wrong.settings.dns, { zone: 'cluster.local', forward: [] })
  t.match(wrong.lines, [
    /^5:24 PORTICO_SET_FIELD_VALUE dns.forward\[1\]: "dns.test" is not the address of a DNS server \| write .* or system$/,
    /^4:9 PORTICO_SET_FIELD_VALUE dns.zone: "bad zone" is not a domain name \| write it as cluster.local$/,
  ])
  const good = 'dns: {zone: Corp.Test., forward: [system, 192.0.2.1, "192.0.2.1:5353", "[2001:db8::1]:53"]}\n'
  t.same(resolve(t, { yaml: good }).lines, [])
  t.same(resolve(t, { environment: { PORTICO_DNS_FORWARD: 'system,192.0.2.1' } }).settings.dns.forward, [
    'system',
    '192.0.2.1',
  ])
  const met = resolve(t, { yaml: 'dns: {enabled: true, port: 9901}\n' })
  t.match(met.lines, [/dns.port: port 9901 is taken by admin.port/])
  t.equal(met.settings.dns.port, 8053)
  t.same(resolve(t, { yaml: 'dns: {port: 9901}\n' }).lines, [], 'it is off')
})

t.test('a PROXY header that nobody may send is not required', async (t) => {
  const refused = resolve(t, { yaml: 'http: {proxyProtocol: required}\nhttps: {proxyProtocol: required}\n' })
  t.match(refused.lines, [
    /^3:23 PORTICO_SET_FIELD_VALUE http.proxyProtocol: trustedProxies names nobody .* \| set trustedProxies/,
    /^4:24 PORTICO_SET_FIELD_VALUE https.proxyProtocol: /,
  ])
  t.equal(refused.settings.http.proxyProtocol, 'none')
  const trusted = resolve(t, { yaml: 'http: {proxyProtocol: required}\ntrustedProxies: [10.0.0.0/8]\n' })
  t.same(trusted.lines, [])
  t.equal(trusted.settings.http.proxyProtocol, 'required')
})

t.test('CF-12 two listeners on one port are refused', async (t) => {
  const { settings, provenance, lines } = resolve(t, { yaml: 'https: {port: 8080}\n' })
  t.same([settings.https.port, provenance.get('https.port')], [8443, 'default'])
  t.same(lines, ['3:15 PORTICO_SET_FIELD_VALUE https.port: port 8080 is taken by http.port | give each its own port'])
  t.same(resolve(t, { yaml: 'http: {port: 0}\nhttps: {port: 0}\nadmin: {port: 0}\n' }).lines, [], 'port 0 is any port')
  const apart = 'http: {port: 9000, address: 127.0.0.1}\nhttps: {port: 9000, address: 127.0.0.2}\n'
  t.same(resolve(t, { yaml: apart }).lines, [], 'another address is another port')
  t.same(resolve(t, { yaml: 'http: {enabled: false}\nhttps: {port: 8080}\n' }).lines, [])
})

t.test('a file of authorities that cannot be read is refused', async (t) => {
  const dir = t.testdir({ 'empty.pem': '' })
  t.match(resolve(t, { flags: { 'upstream.caFile': join(dir, 'none.pem') } }).lines, [/cannot be read \(ENOENT\)/])
  t.match(resolve(t, { flags: { 'upstream.caFile': join(dir, 'empty.pem') } }).lines, [/holds no certificate/])
})

t.test('CF-10 the first of two settings documents counts, and the other is told where that is', async (t) => {
  const diagnostics = new DiagnosticList()
  const documents = readDocuments(t, `${HEAD}http: {port: 1}\n---\n${HEAD}http: {port: 2}\n`)
  t.equal(chooseSettingsDocument(documents, diagnostics), documents[0])
  t.match(diagnostics.items, [
    { code: 'PORTICO_SET_DUPLICATE', position: { line: 6 }, notes: [{ position: { line: 2 } }] },
  ])
})

t.test('LC-07 settings that need a restart are told from those that do not', async (t) => {
  const before = resolve(t, { yaml: 'http: {port: 1}\ntimeouts: {connect: 1s}\n' }).settings
  const after = resolve(t, { yaml: 'http: {port: 2}\ntimeouts: {connect: 2s}\n' }).settings
  t.same(findRestartSettings(before, after), ['http.port'])
  const merged = keepRestartSettings(before, after)
  t.same([merged.http.port, merged.timeouts.connect], [1, 2_000])
})

t.test('config/portico.yaml holds every setting with its default, and reads back as the defaults', async (t) => {
  const text = printSettingsFile()
  holdFile(t, 'config/portico.yaml', text)
  const diagnostics = new DiagnosticList()
  const [document] = readDocuments(t, text)
  const { settings, provenance } = resolveSettings({ document, environment: {}, flags: {} }, diagnostics)
  t.same(diagnostics.items.map(printLine), [])
  t.same({ ...settings }, { ...resolve(t, {}).settings })
  t.same([...new Set(provenance.values())], ['file'])
})

t.test('config/portico.schema.json is the JSON Schema of the same table', async (t) => {
  holdFile(
    t,
    'config/portico.schema.json',
    `${JSON.stringify(createSettingsSchema(describeOptions('Setting')), undefined, 2)}\n`,
  )
})

t.test('items of a list are held to their form; numbers need no quotes', async (t) => {
  const yaml = 'upstream: {retry: {conditions: [reset, 503, 5xx, 200, teapot], methods: [post]}}\n'
  t.match(resolve(t, { yaml }).lines, [
    /"200" cannot stand here/,
    /"teapot" cannot stand here.*connect-failure/,
    /"post".*capitals/,
  ])
  const good = resolve(t, { yaml: 'upstream: {retry: {conditions: [reset, 503, 5xx], methods: []}}\n' })
  t.same(good.lines, [])
  t.same(good.settings.upstream.retry.conditions, ['reset', '503', '5xx'])
  const text = resolve(t, { flags: { 'upstream.retry.conditions': 'gateway-error,429' } })
  t.same(text.settings.upstream.retry.conditions, ['gateway-error', '429'])
})

t.test('durations print in the form in which they are read', async (t) => {
  t.same([0, 500, 1_500, 90_000, 3_600_000].map(printDuration), ['0', '500ms', '1s500ms', '1m30s', '1h'])
})

t.test('a size that may be unlimited is written and read so, in whatever form it comes', async (t) => {
  const most = Number.MAX_SAFE_INTEGER
  t.equal(resolve(t, { yaml: 'upstream: {bodyLimit: unlimited}\n' }).settings.upstream.bodyLimit, most)
  t.equal(resolve(t, { flags: { 'upstream.bodyLimit': 'unlimited' } }).settings.upstream.bodyLimit, most)
  t.equal(SERVICE_SETTINGS_BY_NAME.get('bodyLimit')?.write(most), 'unlimited')
  t.equal(SERVICE_SETTINGS_BY_NAME.get('bodyLimit')?.write(1024), '1Ki')
  t.match(resolve(t, { yaml: 'limits: {bodyBytes: unlimited}\n' }).lines, [/"unlimited" is not a size/])
})

t.test('services: settings of single Services, as they stand under upstream', async (t) => {
  const { settings, diagnostics } = resolve(t, {
    yaml: 'services:\n  default/web: {tries: 3, maxConnections: 5}\n  default/api: {verifyTls: false}\n',
  })
  t.same(diagnostics, [])
  t.same({ ...settings.services['default/web'] }, { tries: 3, maxConnections: 5 })
  t.same({ ...settings.services['default/api'] }, { verifyTls: false })
  const text = resolve(t, { flags: { services: 'default/web:tries=3 default/web:maxQueue=0 a/b:sni=x.test' } })
  t.same(text.lines, [])
  t.same({ ...text.settings.services['default/web'] }, { tries: 3, maxQueue: 0 })
})

t.test('services: what cannot be used is reported where it stands', async (t) => {
  const yaml = 'services:\n  web: {tries: 3}\n  default/web:\n    triess: 1\n    tries: 999\n    maxQueue: many\n'
  t.same(resolve(t, { yaml }).lines, [
    '4:8 PORTICO_SET_FIELD_VALUE services.web: "web" names no Service | write namespace/name',
    '6:13 PORTICO_SET_FIELD_VALUE services[default/web].triess: unknown setting "triess" | did you mean "tries"?',
    '7:12 PORTICO_SET_FIELD_VALUE services[default/web].tries: 999 is out of range | allowed: 0 to 100',
    '8:15 PORTICO_SET_FIELD_VALUE services[default/web].maxQueue: "many" is not a whole number | write digits alone, without quotes',
  ])
  t.match(resolve(t, { flags: { services: 'default/web=3' } }).lines, [/must be a mapping of Services to settings/])
})

t.test('statuses: ranges of status codes', async (t) => {
  const { settings } = resolve(t, { yaml: 'upstream: {health: {statuses: 204}}\n' })
  t.equal(settings.upstream.health.statuses, '204')
  t.match(resolve(t, { yaml: 'upstream: {health: {statuses: 2xx}}\n' }).lines, [
    /upstream\.health\.statuses: "2xx" is no list of status codes \| write 200-399, or 200,204/,
  ])
})

t.test('strings of a certain form: what has another one is reported', async (t) => {
  for (const by of [
    'client-ip',
    'host',
    'uri',
    'path',
    'header:X-User',
    'cookie:sid',
    'query:tenant',
    'host+path+header:X',
  ]) {
    const { settings, lines } = resolve(t, { yaml: `upstream: {hash: {by: "${by}"}}\n` })
    t.same(lines, [])
    t.equal(settings.upstream.hash.by, by)
  }
  for (const by of [
    'ip',
    'header',
    'header:',
    'header:a b',
    'cookie:a;b',
    'uri:x',
    '',
    'host+',
    '+host',
    'host,path',
    'host+ip',
  ]) {
    const { lines } = resolve(t, { yaml: `upstream: {hash: {by: "${by}"}}\n` })
    t.match(lines, [
      /upstream\.hash\.by: .* cannot stand here \| write client-ip, host, uri, path, header:NAME, cookie:NAME or query:NAME; of several of them host\+path/,
    ])
  }
  const { lines } = resolve(t, { flags: { 'upstream.affinity.cookie.path': 'shop' } })
  t.match(lines, [/write a path, as \/shop/])
})

t.test('a type of settings is one file, which the tables alone use', async (t) => {
  const files = ['lib', 'bin'].flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(folder, name)),
  )
  const types: string[] = []
  const users: string[] = []
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    if (/\): Setting<.*> \{$/m.test(text) && file !== 'lib/settings/setting.ts') types.push(file)
    if (/from '[^']*\/types\/[a-z-]+\.ts'/.test(text)) users.push(file)
  }
  t.same(users.sort(), ['lib/settings/table.ts', 'lib/settings/upstream.ts'])
  t.ok(types.length > 20, `${types.length} types`)
  t.same(
    types.filter((file) => !file.startsWith('lib/settings/types/')),
    [],
  )
  for (const setting of SETTING_LIST) t.notOk('type' in setting, 'there is no name of a type to compare with')
})

t.test('what is written of a default reads back as the default, in a document and as text', async (t) => {
  for (const { name, read, write, default: usual, separator } of SETTING_LIST) {
    const written = write(usual)
    t.same(read(written, 'document', ''), { value: usual }, name)
    const text = Array.isArray(written) ? written.join(separator) : separator === ' ' ? [] : String(written)
    if (text !== '' || typeof written !== 'object') t.same(read(text, 'text', ''), { value: usual }, `${name} as text`)
  }
})

function holdFile(t: Test, name: string, expected: string): void {
  const path = join(process.cwd(), name)
  if (process.env.UPDATE === '1') writeFileSync(path, expected)
  t.equal(readFileSync(path, 'utf8'), expected, 'UPDATE=1 rewrites the file')
}

t.test('places that lead nowhere are refused: of a collector, a receiver of syslog, a socket', async (t) => {
  const cases: readonly (readonly [name: string, value: string, message: RegExp])[] = [
    ['tracing.endpoint', 'http://a:99999/', /"http:\/\/a:99999\/" is no URL/],
    ['tracing.endpoint', 'http://[:::1]/x', /is no URL/],
    ['tracing.endpoint', 'http://user:pass@a/v1/traces', /cannot stand here/],
    ['tracing.endpoint', 'http://a/v1/traces?api_key=1', /cannot stand here/],
    ['accessLog.syslog', 'udp://127.0.0.1:99999', /99999 is no port/],
    ['accessLog.syslog', 'udp://[::1]:0', /0 is no port/],
    ['admin.socket', `/tmp/${'a'.repeat(120)}`, /longer than the 103 bytes/],
  ]
  for (const [name, value, message] of cases) {
    const diagnostics = new DiagnosticList()
    resolveSettings({ flags: { [name]: value }, environment: {} }, diagnostics)
    t.match(diagnostics.items[0]?.message, message, `${name} ${value}`)
  }
})
