/** A gateway on a Node that lacks what is not documented: it serves all the same. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { type Started, startGateway } from '../bin/process.ts'
import { connectRaw, connectRawTls } from '../helpers/raw-client.ts'
import { ONE_ROUTE } from '../helpers/running-gateway.ts'

/** Neither binds a port without listening on it, nor tells what a TLS connection runs over. */
const LACKING = `data:text/javascript,
import net from 'node:net'
import { TLSSocket } from 'node:tls'
delete net._createServerHandle
Object.defineProperty(TLSSocket.prototype, '_parent', { get: () => null, set: () => {} })
`.replaceAll('\n', ';')

function start(t: Test, settings: string): Promise<Started> {
  const document = `---\napiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nworkers: 2\n${settings}`
  return startGateway(t, ['run', '-f', '-'], { stdin: ONE_ROUTE + document, nodeFlags: ['--import', LACKING] })
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'

t.test('without ports for workers the control process carries the traffic', async (t) => {
  const gateway = await start(t, '')
  await gateway.says('this Node does not bind ports for workers')
  for (const client of [await connectRaw(gateway.ports.http), await connectRawTls(gateway.ports.https)]) {
    t.teardown(() => client.destroy())
    t.match(await client.send(GET).response(), { status: 503 })
  }
})

t.test('a TLS connection has the client of its PROXY header', async (t) => {
  const gateway = await start(t, 'trustedProxies: [127.0.0.0/8]\nhttps: {proxyProtocol: required}\n')
  const socket = connect(gateway.ports.https, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('PROXY TCP4 203.0.113.7 203.0.113.8 4711 443\r\n')
  const client = connectTls({ socket, rejectUnauthorized: false })
  t.teardown(() => client.destroy())
  await once(client, 'secureConnect')
  client.write(GET)
  await gateway.says(/\b203\.0\.113\.7\b/)
})
