/** Names of endpoints behind a running gateway, with a DNS server of its own and endpoints on several loopback addresses. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { ServedConfiguration } from '../../../lib/model/served.ts'
import { type EndpointRow, endpointsView } from '../../../lib/report/endpoint-view.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { type DnsAnswer, startDnsServer } from '../../helpers/dns-server.ts'
import { startEchoUpstream } from '../../helpers/echo-upstream.ts'
import { createMemoryLog } from '../../helpers/memory-log.ts'
import { type RunningGateway, runGateway, visit } from '../../helpers/running-gateway.ts'
import { until } from '../../helpers/until.ts'

/** Echoes of one port on these addresses, each with its address as its name. */
async function startAt(t: Test, ...addresses: readonly string[]) {
  let port = 0
  for (const address of addresses) {
    const echo = await startEchoUpstream({ name: address, address, port })
    t.teardown(() => echo.close())
    port = echo.port
  }
  return port
}

const ingress = (service: string, port: number) => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${service}}
spec: {rules: [{host: ${service}.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ${service}, port: {number: ${port}}}}}]}}]}
`
const external = (
  name: string,
  port: number,
  rest: Readonly<{ annotations?: string; ports?: string; service?: string }> = {},
) => `---
apiVersion: v1
kind: Service
metadata: {name: ${rest.service ?? 'web'}${rest.annotations ? `, annotations: {${rest.annotations}}` : ''}}
spec: {type: ExternalName, externalName: ${name}${rest.ports ? `, ports: [${rest.ports}]` : ''}}
${ingress(rest.service ?? 'web', port)}`

async function start(
  t: Test,
  manifests: string,
  answers: Readonly<Record<string, DnsAnswer>>,
  flags: Readonly<Record<string, string>> = {},
) {
  const dns = await startDnsServer(t, answers)
  const log = createMemoryLog()
  const running = await runGateway(t, manifests, {
    log,
    flags: { 'resolver.servers': dns.address, 'externalNames.allowPrivate': 'true', ...flags },
  })
  return { dns, log, running }
}

/** Who answers, or the code of the gateway's own answer. */
async function ask(running: RunningGateway, host = 'web.test'): Promise<string> {
  const { response, echo } = await visit(running, `http://${host}/`)
  return echo ? echo.name : JSON.parse(response.body.toString()).code
}

async function askUntil(running: RunningGateway, expected: string): Promise<void> {
  await until(async () => (await ask(running)) === expected)
}

function listEndpoints({ model, locate }: ServedConfiguration): readonly EndpointRow[] {
  return endpointsView(model, locate)
}

t.test('fifty addresses have their even share, and the gateway starts with them', async (t) => {
  const addresses = Array.from({ length: 50 }, (_, n) => `127.0.1.${n + 1}`)
  const port = await startAt(t, ...addresses)
  const { running } = await start(t, external('many.test', port), { 'many.test': { addresses } })
  const counts = new Map<string, number>()
  for (let n = 0; n < 100; n++) {
    const name = await ask(running)
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  t.same([...counts].sort(), addresses.map((address) => [address, 2]).sort())
})

t.test('the TTL is followed: a changed answer serves, and is told once', async (t) => {
  const port = await startAt(t, '127.0.0.2', '127.0.0.3')
  const { dns, log, running } = await start(t, external('moves.test', port), {
    'moves.test': { addresses: ['127.0.0.2'], ttl: 1 },
  })
  t.equal(await ask(running), '127.0.0.2')
  dns.answers.set('moves.test', { addresses: ['127.0.0.3'], ttl: 1 })
  await askUntil(running, '127.0.0.3')
  await dns.nextQuestion('moves.test')
  t.equal(await ask(running), '127.0.0.3')
  const told = log.lines('info').filter(({ host }) => host === 'moves.test')
  t.match(told, [{ added: ['127.0.0.3'], removed: ['127.0.0.2'] }])
  t.equal(told.length, 1)
})

t.test('a name whose address fails is asked for before its TTL is over', async (t) => {
  const port = await startAt(t, '127.0.0.3')
  for (const workers of ['0', '1']) {
    const { dns, running } = await start(
      t,
      external('recreated.test', port),
      { 'recreated.test': { addresses: ['127.0.0.2'], ttl: 600 } },
      { workers },
    )
    dns.answers.set('recreated.test', { addresses: ['127.0.0.3'], ttl: 600 })
    t.equal(await ask(running), 'PORTICO_UP_CONNECT_REFUSED')
    await askUntil(running, '127.0.0.3')
  }
})

t.test('while the server fails the last addresses serve, whatever the failure', async (t) => {
  const port = await startAt(t, '127.0.0.2', '127.0.0.3')
  const { dns, log, running } = await start(t, external('weak.test', port), {
    'weak.test': { addresses: ['127.0.0.2'], ttl: 1 },
  })
  dns.answers.set('weak.test', 'servfail')
  await dns.nextQuestion('weak.test')
  await dns.nextQuestion('weak.test')
  t.equal(await ask(running), '127.0.0.2')
  dns.answers.delete('weak.test')
  await dns.nextQuestion('weak.test')
  t.equal(await ask(running), '127.0.0.2')
  t.match(log.lines('warn'), [{ host: 'weak.test', reason: 'the DNS server failed (SERVFAIL)', kept: 1 }])
  dns.answers.set('weak.test', { addresses: ['127.0.0.3'], ttl: 1 })
  await askUntil(running, '127.0.0.3')
  t.equal(log.lines('warn').length, 1)
  t.match(log.lines('info').filter(({ msg }) => msg === 'a name is resolved again').length, 1)
})

t.test('the gateway starts while a name is unresolved: 503 with the reason in the log, then it serves', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const { dns, log, running } = await start(t, external('late.test', port), {})
  t.equal(await ask(running), 'PORTICO_UP_NAME_UNRESOLVED')
  const refused = [...log.lines('info'), ...log.lines('warn'), ...log.lines('error')]
  t.ok(
    refused.some(({ detail }) => detail === 'late.test: there is no such name (NXDOMAIN)'),
    'the reason',
  )
  t.match(listEndpoints(running.gateway.served), [
    {
      address: `late.test:${port}`,
      name: 'late.test',
      state: 'unresolved',
      reason: 'late.test: there is no such name (NXDOMAIN)',
      source: 'ExternalName',
    },
  ])
  dns.answers.set('late.test', { addresses: ['127.0.0.2'] })
  await askUntil(running, '127.0.0.2')
  t.match(listEndpoints(running.gateway.served), [
    { address: `127.0.0.2:${port}`, name: 'late.test', sourceName: 'ExternalName late.test', state: 'ready' },
  ])
})

t.test('a DNS server that says nothing holds up the start only for a while', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const startedAt = performance.now()
  const { dns, running } = await start(t, external('mute.test', port), { 'mute.test': 'silent' })
  t.ok(performance.now() - startedAt < 10_000)
  t.equal(await ask(running), 'PORTICO_UP_NAME_UNRESOLVED')
  dns.answers.set('mute.test', { addresses: ['127.0.0.2'] })
  await askUntil(running, '127.0.0.2')
})

t.test('AD-08 a name that is moved to where it must not lead is refused (DNS rebinding)', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const { dns, log, running } = await start(
    t,
    external('rebind.test', port),
    { 'rebind.test': { addresses: ['93.184.216.34'], ttl: 1 } },
    { 'externalNames.allowPrivate': 'false' },
  )
  t.match(listEndpoints(running.gateway.served), [{ address: `93.184.216.34:${port}`, state: 'ready' }])
  dns.answers.set('rebind.test', { addresses: ['127.0.0.2'], ttl: 1 })
  while (listEndpoints(running.gateway.served)[0]?.state === 'ready') await dns.nextQuestion('rebind.test')
  t.equal(await ask(running), 'PORTICO_UP_ADDRESS_DENIED')
  t.match(listEndpoints(running.gateway.served), [
    { address: `rebind.test:${port}`, state: 'denied', reason: 'rebind.test: 127.0.0.2 is loopback' },
  ])
  t.match(
    log.lines('warn').filter(({ refused }) => refused),
    [{ upstream: `default/web:${port}` }],
  )
})

t.test('AD-08 the guard can be lifted for one Service, and not by the Service', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const manifests = ['web', 'other'].map((service) => external('in.test', port, { service })).join('')
  const { running } = await start(
    t,
    manifests,
    { 'in.test': { addresses: ['127.0.0.2'] } },
    { 'externalNames.allowPrivate': 'false', 'externalNames.allowPrivateFor': 'default/web' },
  )
  t.equal(await ask(running), '127.0.0.2')
  t.equal(await ask(running, 'other.test'), 'PORTICO_UP_ADDRESS_DENIED')
})

t.test('localhost works whichever family the application listens on', async (t) => {
  for (const address of ['127.0.0.1', '::1']) {
    const port = await startAt(t, address)
    const { running } = await start(t, external('localhost', port), {}, { 'upstream.tries': '1' })
    for (let n = 0; n < 6; n++) t.equal(await ask(running), address)
  }
})

t.test('a reload with another name goes over without a request that fails', async (t) => {
  const port = await startAt(t, '127.0.0.2', '127.0.0.3')
  const { running } = await start(t, external('old.test', port), {
    'old.test': { addresses: ['127.0.0.2'] },
    'new.test': { addresses: ['127.0.0.3'] },
  })
  let isOver = false
  const answers = new Set<string>()
  const visiting = (async () => {
    while (!isOver) answers.add(await ask(running))
  })()
  await running.change(external('new.test', port))
  t.equal(await ask(running), '127.0.0.3')
  isOver = true
  await visiting
  t.same(
    [...answers].filter((name) => !name.startsWith('127.')),
    [],
  )
})

const fieldOf = (headers: readonly string[] | undefined, name: string) =>
  (headers ?? []).find((_, index) => index % 2 === 1 && headers?.[index - 1]?.toLowerCase() === name)

t.test('Host is the client’s, the endpoint’s or a fixed one; X-Forwarded-Host is the client’s', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const policies: readonly (readonly [policy: string | undefined, expected: string])[] = [
    [undefined, 'web.test'],
    ['endpoint', `api.test:${port}`],
    ['fixed.example', 'fixed.example'],
    ['fixed.example:8080', 'fixed.example:8080'],
  ]
  for (const [policy, expected] of policies) {
    const annotations = policy && `portico.dev/host: "${policy}"`
    const { running } = await start(t, external('api.test', port, annotations ? { annotations } : {}), {
      'api.test': { addresses: ['127.0.0.2'] },
    })
    const { echo } = await visit(running, 'http://web.test/')
    t.equal(fieldOf(echo?.headers, 'host'), expected)
    t.equal(fieldOf(echo?.headers, 'x-forwarded-host'), 'web.test')
    t.equal(echo?.headers.filter((each, index) => index % 2 === 0 && each.toLowerCase() === 'host').length, 1)
  }
})

t.test('SNI and the name that is verified are the endpoint’s, or a fixed one', async (t) => {
  const authority = await makeCertificate({ names: ['Test CA'], isAuthority: true })
  const caFile = join(t.testdir({}), 'ca.pem')
  writeFileSync(caFile, authority.certificate)
  const pem = await makeCertificate({ names: ['api.test'], issuer: authority })
  const asked: string[] = []
  const echo = await startEchoUpstream({ tls: { cert: pem.certificate, key: pem.key }, address: '127.0.0.2' })
  t.teardown(() => echo.close())
  echo.server.on('secureConnection', (socket) => asked.push(socket.servername))
  const ports = `{port: ${echo.port}, appProtocol: https}`
  const flags = { 'upstream.caFile': caFile, 'upstream.tries': '1' }
  const cases: readonly (readonly [name: string, sni: string | undefined, expected: string])[] = [
    ['api.test', undefined, 'echo'],
    ['cdn.test', undefined, 'PORTICO_UP_TLS'],
    ['cdn.test', 'api.test', 'echo'],
    ['api.test', 'other.test', 'PORTICO_UP_TLS'],
  ]
  for (const [name, sni, expected] of cases) {
    const annotations = sni && `portico.dev/sni: ${sni}`
    const manifests = external(name, echo.port, { ports, ...(annotations && { annotations }) })
    const { running } = await start(t, manifests, { [name]: { addresses: ['127.0.0.2'] } }, flags)
    t.equal(await ask(running), expected, `${name}, sni ${sni}`)
    if (expected === 'echo') t.equal(asked.at(-1), 'api.test')
  }
})

t.test('a changed policy holds for the connections there are', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const { running } = await start(t, external('api.test', port), { 'api.test': { addresses: ['127.0.0.2'] } })
  const hostOf = async () => fieldOf((await visit(running, 'http://web.test/')).echo?.headers, 'host')
  t.equal(await hostOf(), 'web.test')
  await running.change(external('api.test', port, { annotations: 'portico.dev/host: endpoint' }))
  t.equal(await hostOf(), `api.test:${port}`)
})

t.test('a bad policy is a diagnostic, and the Service is served without it', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const annotations = 'portico.dev/host: "http://x/", portico.dev/sni: "10.0.0.1"'
  const { running } = await start(t, external('api.test', port, { annotations }), {
    'api.test': { addresses: ['127.0.0.2'] },
  })
  t.equal(await ask(running), '127.0.0.2')
  const { diagnostics } = running.gateway.configuration
  t.match(
    diagnostics.filter(({ code }) => code === 'PORTICO_ANN_VALUE').map(({ message }) => message),
    ['portico.dev/host: "http://x/" is not a Host', 'portico.dev/sni: "10.0.0.1" is not a host name'],
  )
})

t.test('workers get the addresses, and their changes', async (t) => {
  const port = await startAt(t, '127.0.0.2', '127.0.0.3')
  const dns = await startDnsServer(t, { 'moves.test': { addresses: ['127.0.0.2', '127.0.0.3'], ttl: 1 } })
  const running = await runGateway(t, external('moves.test', port) + external('gone.test', port, { service: 'gone' }), {
    flags: { workers: '1', 'resolver.servers': dns.address, 'externalNames.allowPrivate': 'true' },
  })
  const names = new Set<string>()
  for (let n = 0; n < 4; n++) names.add(await ask(running))
  t.same([...names].sort(), ['127.0.0.2', '127.0.0.3'])
  t.equal(await ask(running, 'gone.test'), 'PORTICO_UP_NAME_UNRESOLVED')
  dns.answers.set('moves.test', { addresses: ['127.0.0.3'], ttl: 1 })
  while (running.gateway.served.model.upstreams.get(`default/web:${port}`)?.endpoints.length !== 1) {
    await dns.nextQuestion('moves.test')
  }
  await askUntil(running, '127.0.0.3')
  for (let n = 0; n < 4; n++) t.equal(await ask(running), '127.0.0.3')
})

t.test('endpoints of the settings and of the annotation may be names, with weights', async (t) => {
  const port = await startAt(t, '127.0.0.2', '127.0.0.3', '127.0.0.4')
  const service = `---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "two.test:${port}, 127.0.0.4:${port}"}}
spec: {ports: [{port: 80}]}
${ingress('web', 80)}`
  const { running } = await start(
    t,
    service,
    { 'two.test': { addresses: ['127.0.0.2', '127.0.0.3'] } },
    { 'externalNames.allowPrivate': 'false' },
  )
  const counts: Record<string, number> = {}
  for (let n = 0; n < 40; n++) {
    const name = await ask(running)
    counts[name] = (counts[name] ?? 0) + 1
  }
  t.same(counts, { '127.0.0.2': 10, '127.0.0.3': 10, '127.0.0.4': 20 }, 'a name has the weight of an address')
})

t.test('a request that was begun at one address and is carried by another counts there', async (t) => {
  const port = await startAt(t, '127.0.0.3')
  const { running } = await start(
    t,
    external('half.test', port),
    { 'half.test': { addresses: ['127.0.0.2', '127.0.0.3'] } },
    { 'admin.enabled': 'true', 'admin.port': '0', 'upstream.tries': '1' },
  )
  for (let n = 0; n < 10; n++) t.equal((await visit(running, 'http://web.test/', { method: 'POST' })).status, 200)
  const page = await fetch(`http://127.0.0.1:${running.admin}/api/v1/endpoints`)
  const items = await page.json()
  t.match(items, [
    { address: `127.0.0.2:${port}`, name: 'half.test', live: { inFlight: 0, requests: 1, failures: 1 } },
    { address: `127.0.0.3:${port}`, name: 'half.test', live: { inFlight: 0, requests: 10, failures: 0 } },
  ])
})

t.test('a family that never comes holds nothing up, and joins when it comes', async (t) => {
  const port = await startAt(t, '127.0.0.2', '::1')
  const { dns, running } = await start(t, external('half.test', port), {
    'half.test A': { addresses: ['127.0.0.2'], ttl: 1 },
    'half.test AAAA': 'silent',
  })
  // A start waits a second for names: here it had one at once.
  t.equal(dns.asked.filter((each) => each === 'half.test AAAA').length, 1, 'the other was not given up before')
  t.equal(await ask(running), '127.0.0.2')
  dns.answers.set('half.test AAAA', { addresses: ['::1'], ttl: 1 })
  await askUntil(running, '::1')
  t.match(listEndpoints(running.gateway.served), [{ address: `127.0.0.2:${port}` }, { address: `[::1]:${port}` }])
})

t.test('addresses that are kept of a name that is gone are stale in the admin API', async (t) => {
  const port = await startAt(t, '127.0.0.2')
  const { dns, running } = await start(
    t,
    external('left.test', port),
    { 'left.test': { addresses: ['127.0.0.2'], ttl: 1 } },
    { 'admin.enabled': 'true', 'admin.port': '0' },
  )
  const show = async (): Promise<readonly { state: string }[]> => {
    const response = await fetch(`http://127.0.0.1:${running.admin}/api/v1/endpoints`)
    return (await response.json()) as readonly { state: string }[]
  }
  t.match(await show(), [{ address: `127.0.0.2:${port}`, state: 'ready', reason: '' }])
  dns.answers.delete('left.test')
  await dns.nextQuestion('left.test')
  await dns.nextQuestion('left.test')
  const reason = 'left.test: there is no such name (NXDOMAIN); this is what it had before'
  t.match(await show(), [{ address: `127.0.0.2:${port}`, state: 'stale', reason }])
  dns.answers.set('left.test', { addresses: ['127.0.0.2'], ttl: 60 })
  await until(async () => (await show())[0]!.state === 'ready')
})
