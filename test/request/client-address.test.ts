/** Whom an endpoint, the log and the redirect to HTTPS are told of: the order of belief of docs/behind-a-proxy.md, as a table. */
import t, { type Test } from 'tap'
import { makeCertificate } from '../helpers/certificates.ts'
import { type Echo, type EchoUpstream, startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { startProxy } from '../helpers/proxy-server.ts'
import { connectRawTls, findAll, requestRaw } from '../helpers/raw-client.ts'

/** The test's own address is the peer's. */
const TRUSTED = ['127.0.0.0/8', '10.0.0.0/8', '2001:db8:aa::/48']
const STRANGER = ['10.0.0.0/8', '2001:db8:aa::/48']

type Fields = Readonly<Record<string, string | readonly string[]>>
type Seen = {
  for?: string
  proto?: string
  host?: string
  port?: string
  realIp?: string
  forwarded?: string
  /** In the log. */
  client?: string
}
type Case = readonly [name: string, fields: Fields, seen: Seen, host?: string]

const NOTHING_SAID: Seen = { for: '127.0.0.1', host: 'app.test', realIp: '127.0.0.1', client: '127.0.0.1' }

/** What is said, and what is believed of it where the peer is in trustedProxies. */
const CASES: readonly Case[] = [
  ['nothing is said', {}, NOTHING_SAID],
  ['behind a port mapping the client names its port', {}, { host: 'app.test:9443', port: '9443' }, 'app.test:9443'],
  ['an IPv6 host', {}, { host: '[2001:db8::1]:81', port: '81' }, '[2001:db8::1]:81'],

  // X-Forwarded-*
  ['an address', { 'X-Forwarded-For': '1.2.3.4' }, { for: '1.2.3.4, 127.0.0.1', client: '1.2.3.4' }],
  [
    'the chain of several proxies: the right-most that is not trusted',
    { 'X-Forwarded-For': ['6.6.6.6, 1.2.3.4', '10.0.0.5'] },
    { for: '6.6.6.6, 1.2.3.4, 10.0.0.5, 127.0.0.1', realIp: '1.2.3.4', client: '1.2.3.4' },
  ],
  ['a scheme, and the port that goes with it', { 'X-Forwarded-Proto': 'https' }, { proto: 'https', port: '443' }],
  ['http in front of our TLS', { 'X-Forwarded-Proto': 'http' }, { proto: 'http', port: '80' }],
  ['the scheme of a WebSocket', { 'X-Forwarded-Proto': 'wss' }, { proto: 'https', port: '443' }],
  ['of several schemes the nearest', { 'X-Forwarded-Proto': 'http, https' }, { proto: 'https', port: '443' }],
  ['a scheme that is none', { 'X-Forwarded-Proto': 'gopher' }, NOTHING_SAID],
  ['a host with a port', { 'X-Forwarded-Host': 'out.test:444' }, { host: 'out.test:444', port: '444' }],
  ['a host that is none', { 'X-Forwarded-Host': 'a b, <script>' }, NOTHING_SAID],
  ['of several hosts the nearest', { 'X-Forwarded-Host': 'evil.test, out.test' }, { host: 'out.test' }],
  [
    'a port beside a scheme and a host with another',
    { 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'out.test:444', 'X-Forwarded-Port': '445' },
    { proto: 'https', host: 'out.test:444', port: '445' },
  ],
  ['a port that is none', { 'X-Forwarded-Port': '70000', 'X-Forwarded-Proto': 'https' }, { port: '443' }],
  ['X-Real-IP alone', { 'X-Real-IP': '1.2.3.4' }, { for: '1.2.3.4, 127.0.0.1', realIp: '1.2.3.4', client: '1.2.3.4' }],
  ['X-Real-IP beside X-Forwarded-For', { 'X-Real-IP': '6.6.6.6', 'X-Forwarded-For': '1.2.3.4' }, { client: '1.2.3.4' }],
  ['an X-Real-IP that is none', { 'X-Real-IP': 'me' }, NOTHING_SAID],

  // Forwarded
  [
    'Forwarded alone',
    { Forwarded: 'for=1.2.3.4;proto=https;host=out.test' },
    {
      for: '1.2.3.4, 127.0.0.1',
      proto: 'https',
      host: 'out.test',
      port: '443',
      realIp: '1.2.3.4',
      client: '1.2.3.4',
      forwarded: 'for=1.2.3.4;proto=https;host=out.test',
    },
  ],
  [
    'names and schemes in capitals, white space, other parameters',
    { Forwarded: '\tFOR=1.2.3.4 ; Proto=HTTPS ; by=_x;secret="a, \\"b" ' },
    { client: '1.2.3.4', proto: 'https' },
  ],
  [
    'an IPv6 node with a port, a host with one',
    { Forwarded: 'for="[2001:db8::1]:5678";host="out.test:444"' },
    { for: '2001:db8::1, 127.0.0.1', client: '2001:db8::1', host: 'out.test:444', port: '444' },
  ],
  ['an obfuscated port', { Forwarded: 'for="1.2.3.4:_p"' }, { client: '1.2.3.4' }],
  [
    'several proxies: each tells of the one before, and what is nearer to the client counts',
    { Forwarded: ['for=6.6.6.6;host=evil.test, for=1.2.3.4;proto=https;host=out.test', 'for=10.0.0.5;proto=http'] },
    {
      for: '1.2.3.4, 10.0.0.5, 127.0.0.1',
      client: '1.2.3.4',
      proto: 'https',
      host: 'out.test',
      forwarded: 'for=1.2.3.4;proto=https;host=out.test, for=10.0.0.5;proto=http',
    },
  ],
  [
    'the proxy before says no scheme',
    { Forwarded: 'for=1.2.3.4, for="[2001:db8:aa::5]";proto=https' },
    { for: '1.2.3.4, 2001:db8:aa::5, 127.0.0.1', client: '1.2.3.4', proto: 'https' },
  ],
  ['only trusted proxies', { Forwarded: 'for=10.0.0.7, for=10.0.0.5' }, { client: '10.0.0.7' }],
  [
    'an obfuscated node: the proxy that hides it stands for it',
    { Forwarded: 'for=6.6.6.6, for=_hidden;proto=https, for=10.0.0.5' },
    {
      for: '10.0.0.5, 127.0.0.1',
      client: '10.0.0.5',
      proto: 'https',
      forwarded: 'for=_hidden;proto=https, for=10.0.0.5',
    },
  ],
  ['an unknown node', { Forwarded: 'for=unknown;proto=https' }, { client: '127.0.0.1', proto: 'https', port: '443' }],
  ['no node', { Forwarded: 'proto=https' }, { client: '127.0.0.1', proto: 'https', forwarded: 'proto=https' }],
  [
    'what a client wrote before, however broken, spoils nothing',
    { Forwarded: ['for="6.6.6.6', 'for=1.2.3.4;proto=https'] },
    { client: '1.2.3.4', proto: 'https', forwarded: 'for=1.2.3.4;proto=https' },
  ],
  ...[
    'for=1.2.3.4;for=6.6.6.6;proto=https',
    'for="1.2.3.4;proto=https',
    'for=1.2.3.4"',
    'for=[2001:db8::1];proto=https',
    'for = 1.2.3.4;proto=https',
    '1.2.3.4;proto=https',
    `for=1.2.3.4;x=${'y'.repeat(5000)};proto=https`,
    '',
  ].map((bad): Case => [`malformed: ${bad.slice(0, 40)}`, { Forwarded: bad }, NOTHING_SAID]),
  ['IPv6 without brackets', { Forwarded: 'for="2001:db8::1"' }, { client: '127.0.0.1' }],

  // Both
  [
    'both say the same',
    { 'X-Forwarded-For': '1.2.3.4', Forwarded: 'for=6.6.6.6, for=1.2.3.4' },
    { client: '1.2.3.4', forwarded: 'for=1.2.3.4' },
  ],
  [
    'they contradict each other: X-Forwarded-* count, Forwarded ends here',
    { 'X-Forwarded-For': '1.2.3.4', Forwarded: 'for=6.6.6.6;proto=https;host=evil.test' },
    { for: '1.2.3.4, 127.0.0.1', client: '1.2.3.4', host: 'app.test' },
  ],
  [
    'no part of a Forwarded fills what X-Forwarded-* leave out',
    { 'X-Forwarded-For': '1.2.3.4', Forwarded: 'for=1.2.3.4;host=evil.test' },
    { client: '1.2.3.4', host: 'app.test' },
  ],
  [
    'X-Real-IP alone keeps Forwarded out too',
    { 'X-Real-IP': '1.2.3.4', Forwarded: 'for=6.6.6.6' },
    { client: '1.2.3.4' },
  ],
]

const certificate = makeCertificate({ names: ['app.test'] })

type Ask = (fields: Fields, host: string) => Promise<{ echo: Echo; client: string }>

/** One way for each kind of connection. */
async function startWays(t: Test, echo: EchoUpstream, settings: Readonly<Record<string, unknown>>) {
  const server = await startProxy(t, [echo.port], { settings, certificate: await certificate })
  const h2 = connectH2(t, server.h2TlsPort, { tls: true })
  const print = (fields: Fields, host: string) =>
    `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${Object.entries(fields)
      .flatMap(([name, value]) => [value].flat().map((each) => `${name}: ${each}\r\n`))
      .join('')}\r\n`
  const note = async (body: Buffer) => ({
    echo: JSON.parse(body.toString()) as Echo,
    client: (await server.record()).clientAddress,
  })
  const ways: Record<string, Ask> = {
    http: async (fields, host) => note((await requestRaw(server.port, print(fields, host))).body),
    https: async (fields, host) => {
      const client = await connectRawTls(server.tlsPort)
      t.teardown(() => client.destroy())
      return note((await client.send(print(fields, host)).response()).body)
    },
    'HTTP/2': async (fields, host) =>
      note((await requestH2(h2, { ':path': '/', ':authority': host, ...lowerNames(fields) })).body),
  }
  return ways
}

/** node:http2 sends no white space around values. */
function lowerNames(fields: Fields): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name.toLowerCase(), [value].flat().map((each) => each.trim())]),
  )
}

function describe({ headers }: Echo, client: string): Required<Seen> {
  const find = (name: string) => findAll(headers, name).join(' | ')
  return {
    for: find('x-forwarded-for'),
    proto: find('x-forwarded-proto'),
    host: find('x-forwarded-host'),
    port: find('x-forwarded-port'),
    realIp: find('x-real-ip'),
    forwarded: find('forwarded'),
    client,
  }
}

t.test('what a trusted proxy says is believed in one order', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const ways = await startWays(t, echo, { trustedProxies: TRUSTED })
  for (const [name, fields, seen, host = 'app.test'] of CASES) {
    for (const [way, ask] of Object.entries(ways)) {
      const answer = await ask(fields, host)
      const found = describe(answer.echo, answer.client)
      const own = way === 'http' ? 'http' : 'https'
      t.match(found, { proto: own, ...seen, forwarded: seen.forwarded ?? /^/ }, `${name}, ${way}`)
      const isMalformed = seen === NOTHING_SAID || fields['X-Forwarded-For'] !== undefined
      if (seen.forwarded === undefined && isMalformed) t.equal(found.forwarded, '', `${name}, ${way}: no Forwarded`)
      t.notMatch(Object.values(found).join(' '), 'evil', `${name}, ${way}`)
      if (seen.port === undefined) t.equal(found.port, found.proto === 'https' ? '443' : '80', `${name}, ${way}`)
    }
  }
})

t.test('of anybody else nothing is', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const ways = await startWays(t, echo, { trustedProxies: STRANGER })
  for (const [name, fields, , host = 'app.test'] of CASES) {
    for (const [way, ask] of Object.entries(ways)) {
      const answer = await ask(fields, host)
      const proto = way === 'http' ? 'http' : 'https'
      const port = /:(\d+)$/.exec(host)?.[1] ?? (proto === 'https' ? '443' : '80')
      const own = { for: '127.0.0.1', proto, host, port, realIp: '127.0.0.1', forwarded: '', client: '127.0.0.1' }
      t.same(describe(answer.echo, answer.client), own, `${name}, ${way}`)
    }
  }
})

t.test('forwardedHeader tells the same client in both families', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const { http: ask } = await startWays(t, echo, { trustedProxies: TRUSTED, forwardedHeader: true })
  const sent = async (fields: Fields) => {
    const { echo } = await ask!(fields, 'app.test')
    return findAll(echo.headers, 'forwarded')
  }
  t.same(await sent({}), ['for=127.0.0.1;host=app.test;proto=http'])
  t.same(await sent({ 'X-Forwarded-For': '1.2.3.4', 'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'out.test' }), [
    'for=1.2.3.4;host=out.test;proto=https, for=127.0.0.1;host=app.test;proto=https',
  ])
  t.same(await sent({ Forwarded: 'for=6.6.6.6, for=1.2.3.4;proto=https' }), [
    'for=1.2.3.4;proto=https, for=127.0.0.1;host=app.test;proto=https',
  ])
  t.same(await sent({ 'X-Forwarded-For': '1.2.3.4', Forwarded: 'for=6.6.6.6;host=evil.test' }), [
    'for=1.2.3.4;host=app.test;proto=http, for=127.0.0.1;host=app.test;proto=http',
  ])
})

t.test('the redirect to HTTPS goes by what is believed', async (t) => {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const start = (trustedProxies: readonly string[]) =>
    startProxy(
      t,
      {
        upstreams: { web: [echo.port] },
        routes: [{ host: 'app.test', to: 'web' }],
        redirect: ['app.test'],
        redirectPort: 443,
      },
      { settings: { trustedProxies } },
    )
  const trusting = await start(TRUSTED)
  const strict = await start(STRANGER)
  const ask = async ({ port }: { port: number }, fields: string) => {
    const response = await requestRaw(port, `GET /a?b HTTP/1.1\r\nHost: app.test:81\r\n${fields}\r\n`)
    return response.header('location') ?? response.status
  }
  for (const fields of ['X-Forwarded-Proto: https\r\n', 'Forwarded: for=1.2.3.4;proto=https\r\n']) {
    t.equal(await ask(trusting, fields), 200, `no loop: ${fields}`)
    t.equal(await ask(strict, fields), 'https://app.test/a?b', fields)
  }
  t.equal(await ask(trusting, 'X-Forwarded-Host: out.test:81\r\n'), 'https://out.test/a?b')
  t.equal(await ask(trusting, 'Forwarded: for=1.2.3.4;host="out.test:81"\r\n'), 'https://out.test/a?b')
  t.equal(await ask(strict, 'X-Forwarded-Host: evil.test\r\n'), 'https://app.test/a?b')
})
