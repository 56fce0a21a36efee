import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { request as requestTls } from 'node:https'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { WebSocket } from 'ws'
import { findFreePorts } from '../helpers/free-ports.ts'
import { runPortico, startGateway } from './process.ts'

type Asked = Readonly<{ status: number | undefined; headers: IncomingMessage['headers']; body: string }>

/** As curl and browsers would: `*.localhost` is this machine. */
async function ask(url: string): Promise<Asked> {
  const { protocol, host, hostname, port, pathname } = new URL(url)
  const shared = { host: '127.0.0.1', port, path: pathname, agent: false as const, headers: { host } }
  const asked =
    protocol === 'https:' ? requestTls({ ...shared, servername: hostname, rejectUnauthorized: false }) : request(shared)
  const [response] = (await once(asked.end(), 'response')) as [IncomingMessage]
  return { status: response.statusCode, headers: response.headers, body: await text(response) }
}

t.test('the demo says what to try, and all of it works', async (t) => {
  const gateway = await startGateway(t, ['demo'])
  const { http, https, admin } = gateway.ports
  await gateway.says('Ctrl-C ends the demo')
  const screen = gateway.stderr()
  const shop = `http://shop.localhost:${http}`
  const echo = `https://echo.localhost:${https}`
  for (const tried of [
    `${shop}/ `,
    `curl ${shop}/api/products`,
    `curl -k ${echo}/anything`,
    `curl -N ${shop}/api/events`,
    `explain ${shop}/apis -f examples/demo`,
    `get routes --admin-port ${admin}`,
    `http://127.0.0.1:${admin}/dashboard/ `,
  ]) {
    t.ok(screen.includes(tried), tried)
  }
  t.match(screen, /examples\/demo\/shop\.yaml/)

  t.match((await ask(`${shop}/`)).body, 'Portico demo shop')
  const endpoints = [await ask(`${shop}/api/products`), await ask(`${shop}/api/products`)].map(
    ({ body }) => JSON.parse(body).endpoint,
  )
  t.strictSame(endpoints.sort(), ['api-1', 'api-2'], 'two endpoints take turns')

  const echoed = JSON.parse((await ask(`${echo}/anything`)).body)
  t.equal(echoed.url, '/anything')
  t.ok(echoed.headers.some(([name, value]: [string, string]) => /^x-forwarded-proto$/i.test(name) && value === 'https'))
  t.match(await ask(`http://echo.localhost:${http}/a`), { status: 308, headers: { location: `${echo}/a` } })
  const words = ['explain', `http://echo.localhost:${http}/a`, '-f', 'examples/demo', '--https-port', String(https)]
  t.match((await runPortico(words)).stdout, `Location: ${echo}/a\n`, 'explain says the same')
  t.equal((await ask(`http://other.localhost:${http}/`)).status, 404)

  const events = request({ host: '127.0.0.1', port: http, path: '/api/events', headers: { host: 'shop.localhost' } })
  const [stream] = (await once(events.end(), 'response')) as [IncomingMessage]
  const [first] = await once(stream, 'data')
  t.match(String(first), /^data: api-[12] 1\n\n$/, 'the first event comes at once')
  stream.on('error', () => {})
  stream.destroy()

  const socket = new WebSocket(`ws://127.0.0.1:${http}/api/live`, { headers: { host: 'shop.localhost' } })
  await once(socket, 'open')
  socket.send('hello')
  t.equal(String((await once(socket, 'message'))[0]), 'hello')
  socket.close()
  await once(socket, 'close')

  await gateway.says(/^\d\d:\d\d:\d\d 404 GET other\.localhost:\d+\//m)
  t.notMatch(gateway.stdout(), /^\{/m, 'the log is for people too')

  const explained = await runPortico(['explain', `${shop}/apis`, '-f', 'examples/demo'])
  t.match(explained.stdout, '"/apis" continues the segment')
  t.equal((await runPortico(['get', 'routes', '--admin-port', String(admin)])).status, 0)

  gateway.child.kill('SIGINT')
  t.equal(await gateway.ended, 0)
})

t.test('the log of the demo is JSON where that is asked for', async (t) => {
  const environment = { PORTICO_LOG_FORMAT: 'json' }
  const gateway = await startGateway(t, ['demo'], { environment })
  await gateway.says('"msg":"ready"')
  const line = gateway
    .stdout()
    .split('\n')
    .find((one) => one.includes('"msg":"ready"'))
  t.equal(JSON.parse(line ?? '').http, gateway.ports.http)
  t.match(gateway.stderr(), 'Ctrl-C ends the demo')
})

/** Listeners on every address answer here too; listeners on 127.0.0.1 do not. */
async function isReachable(port: number): Promise<boolean> {
  const asked = request({ host: '127.0.0.2', port, agent: false }).end()
  return await Promise.race([once(asked, 'response').then(() => true), once(asked, 'error').then(() => false)]).catch(
    () => false,
  )
}

t.test('the demo listens on loopback alone, unless an address is named or it runs in the image', async (t) => {
  const [{ ports, stderr }, told, set, image] = await Promise.all([
    startGateway(t, ['demo']),
    startGateway(t, ['demo', '--http-address', '0.0.0.0']),
    startGateway(t, ['demo', '--workers', '0'], { environment: { PORTICO_HTTP_ADDRESS: '0.0.0.0' } }),
    startGateway(t, ['demo', '--workers', '0'], { environment: { container: 'oci' } }),
  ])
  t.notOk(await isReachable(ports.http))
  t.notOk(await isReachable(ports.https))
  t.notMatch(stderr(), 'reachable from the network')
  t.ok(await isReachable(told.ports.http))
  await told.says(`open     ${told.ports.http}: reachable from the network`)
  for (const { ports } of [set, image]) t.ok(await isReachable(ports.http))
})

t.test('so do run --local and start, with the ports of Services; run alone does not', async (t) => {
  const [nodePort, port] = await findFreePorts(2)
  const service = `apiVersion: v1
kind: Service
metadata: { name: web, annotations: { portico.dev/endpoints: "127.0.0.1:9" } }
spec: { type: LoadBalancer, ports: [{ port: ${port}, nodePort: ${nodePort}, appProtocol: http }] }
---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
http: { address: "0.0.0.0" }
nodePorts: { range: 20000-29999 }
`
  const cwd = t.testdir({ 'web.yaml': service })
  for (const [words, expected] of [
    [['run'], true],
    [['run', '--local'], false],
    [['start'], false],
  ] as const) {
    const gateway = await startGateway(t, [...words, '-f', 'web.yaml'], { cwd })
    for (const each of [gateway.ports.http, nodePort ?? 0, port ?? 0])
      t.equal(await isReachable(each), expected, `${words.join(' ')}: ${each}`)
    gateway.child.kill('SIGKILL')
    await gateway.ended
  }
})

t.test('start without manifests is the demo', async (t) => {
  const { ports } = await startGateway(t, ['start'])
  t.match((await ask(`http://shop.localhost:${ports.http}/`)).body, 'Portico demo shop')
})

t.test('the manifests of the demo have no problem', async (t) => {
  const { status, stdout } = await runPortico(['check', '-f', 'examples/demo', '--strict'])
  t.equal(stdout, 'no problems in 7 objects\n')
  t.equal(status, 0)
})
