import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import t, { type Test } from 'tap'
import { findFreePort } from '../helpers/free-ports.ts'
import { runPortico } from './process.ts'

/** Stands in for the admin listener of a gateway in a given state. */
async function startAdmin(t: Test, answer: RequestListener, host = '127.0.0.1'): Promise<string> {
  const server = createServer(answer)
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return String((server.address() as AddressInfo).port)
}

t.test('a ready gateway is exit code 0', async (t) => {
  const paths: (string | undefined)[] = []
  const port = await startAdmin(t, (request, response) => {
    paths.push(request.url)
    response.end('{"ready":true}')
  })
  const { status, stdout, stderr } = await runPortico(['healthcheck', '--admin-port', port])
  t.equal(status, 0)
  t.equal(stdout, 'ready\n')
  t.equal(stderr, '')
  t.strictSame(paths, ['/readyz'])
  t.equal((await runPortico(['healthcheck'], { environment: { PORTICO_ADMIN_PORT: port } })).status, 0)
})

t.test('a gateway that is not ready is exit code 1, with its reason', async (t) => {
  const port = await startAdmin(t, (_request, response) => response.writeHead(503).end('{"reason":"draining"}'))
  const { status, stderr } = await runPortico(['healthcheck', '--admin-port', port])
  t.equal(status, 1)
  t.match(stderr, 'not ready: {"reason":"draining"}')
})

t.test('no gateway is exit code 1', async (t) => {
  const port = await findFreePort()
  const { status, stderr } = await runPortico(['healthcheck', '--admin-port', String(port)])
  t.equal(status, 1)
  t.match(stderr, `not ready: 127.0.0.1:${port} refused the connection`)
})

t.test('a gateway that does not answer is exit code 1 after two seconds', async (t) => {
  const server = createTcpServer(() => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { status, stderr } = await runPortico(['healthcheck', '--admin-port', String(port)])
  t.equal(status, 1)
  t.match(stderr, 'does not answer within 2 s')
})

t.test('an answer that trickles is not waited for', async (t) => {
  const port = await startAdmin(t, (_request, response) => {
    const timer = setInterval(() => response.write('.'), 100)
    response.on('close', () => clearInterval(timer))
  })
  const { status } = await runPortico(['healthcheck', '--admin-port', port])
  t.equal(status, 1)
})

t.test('an admin listener on every address is asked over loopback, whether or not a token is known', async (t) => {
  const port = await startAdmin(t, (_request, response) => response.end('ok'))
  for (const environment of [
    { PORTICO_ADMIN_ADDRESS: '0.0.0.0', PORTICO_ADMIN_TOKEN: 'secret' },
    { PORTICO_ADMIN_ADDRESS: '0.0.0.0' },
  ]) {
    const { status, stderr } = await runPortico(['healthcheck', '--admin-port', port], { environment })
    t.equal(status, 0, stderr)
  }
})

t.test('the settings file says where to ask', async (t) => {
  const port = await startAdmin(t, (_request, response) => response.end('ok'))
  const text = `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nadmin:\n  port: ${port}\n`
  const cwd = t.testdir({ 'portico.yaml': text })
  t.equal((await runPortico(['healthcheck', '-c', 'portico.yaml'], { cwd })).status, 0)
})

t.test('an invalid port is a usage error', async (t) => {
  const { status, stderr } = await runPortico(['healthcheck', '--admin-port', 'http'])
  t.equal(status, 2)
  t.match(stderr, '"http" is not a whole number')
})
