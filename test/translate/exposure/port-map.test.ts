/** ConfigMaps that open ports, as ingress-nginx has them: TCP and UDP, PROXY headers both ways, and what cannot be opened. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { readProxyOpening } from '../../../lib/base/proxy-protocol.ts'
import { loadConfiguration } from '../../../lib/control/configuration.ts'
import { findFreePort, findFreePorts } from '../../helpers/free-ports.ts'
import { connectRaw } from '../../helpers/raw-client.ts'
import { startRawUpstream } from '../../helpers/raw-upstream.ts'
import { runGateway } from '../../helpers/running-gateway.ts'

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/layer: L7}}
spec:
  ports:
    - {name: line, port: 80, appProtocol: http}
    - {name: dns, port: 53, protocol: UDP}
`

const printMap = (name: string, data: Readonly<Record<string, string>>): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: ${JSON.stringify(data)}\n`

const FLAGS = { tcpServicesConfigmap: 'default/tcp', udpServicesConfigmap: 'default/udp' }

const load = (stdin: string, flags: Readonly<Record<string, string>> = FLAGS) =>
  loadConfiguration({ sources: ['-'], stdin, flags, environment: {} })

t.test('keys and values', async (t) => {
  const open = async (data: Readonly<Record<string, string>>, trusted = '10.0.0.0/8') => {
    const { model, diagnostics } = await load(`${SERVICE}---\n${printMap('tcp', data)}`, {
      tcpServicesConfigmap: 'default/tcp',
      trustedProxies: trusted,
    })
    const listeners = model.listeners.flatMap((one) =>
      one.kind === 'ConfigMap' ? [[one.port, one.layer, one.proxyProtocol, one.sendsProxyHeader]] : [],
    )
    return [...listeners, ...diagnostics.map(({ code, message }) => `${code} ${message}`)]
  }
  t.same(await open({ 9000: 'default/web:80' }), [[9000, 'L4', false, false]])
  t.same(await open({ 9000: 'default/web:line', 9001: 'default/web:80' }), [
    [9000, 'L4', false, false],
    [9001, 'L4', false, false],
  ])
  t.same(await open({ 9000: 'default/web:80:PROXY' }), [[9000, 'L4', true, false]])
  t.same(await open({ 9000: 'default/web:80::PROXY' }), [[9000, 'L4', false, true]])
  t.same(await open({ 9000: 'default/web:80:proxy:PROXY' }), [[9000, 'L4', true, true]])
  t.same(await open({ 9000: 'default/web:80:PROXY' }, ''), [
    [9000, 'L4', true, false],
    'PORTICO_SVC_PORT_MAP 9000: trustedProxies is empty: no PROXY header is believed, so every connection is cut',
  ])
  const refused = (text: string) => [`PORTICO_SVC_PORT_MAP ${text}: the port is not opened`]
  for (const key of ['0', '65536', '-1', 'http']) {
    t.same(await open({ [key]: 'default/web:80' }), refused(`${key}: the key is no port`))
  }
  for (const value of [
    '',
    'web:80',
    'default/web',
    'default/web:',
    'default/web:80:TLS',
    'a/b/c:80',
    'default/web:80:PROXY:PROXY:PROXY',
  ]) {
    t.same(await open({ 9000: value }), refused('9000: the value names no port of a Service'), value)
  }
  t.same(await open({ 9000: 'default/wbe:80' }), refused('9000: service default/wbe not found'))
  for (const port of ['81', 'dns', '53', 'Line']) {
    t.same(await open({ 9000: `default/web:${port}` }), refused(`9000: service default/web has no TCP port ${port}`))
  }
})

t.test('a taken port, a missing ConfigMap and a refused Service are told', async (t) => {
  const nodePort = SERVICE.replace('spec:', 'spec:\n  type: NodePort').replace(
    'port: 80,',
    'port: 80, nodePort: 30080,',
  )
  const text = `${nodePort}---\n${printMap('tcp', { 8080: 'default/web:80', 30080: 'default/web:80' })}`
  const { model, diagnostics } = await load(text, { tcpServicesConfigmap: 'default/tcp' })
  t.match(diagnostics, [
    {
      code: 'PORTICO_SVC_PORT_TAKEN',
      resource: 'Service default/web',
      notes: [{ message: 'ConfigMap default/tcp has it' }],
    },
    {
      code: 'PORTICO_SVC_PORT_TAKEN',
      resource: 'ConfigMap default/tcp',
      message: /^port 8080\/TCP is taken: it is not opened/,
    },
  ])
  t.same(
    model.listeners.filter(({ kind }) => kind === 'ConfigMap').map(({ port }) => port),
    [30_080],
  )
  t.match((await load(`${SERVICE}---\n${printMap('tpc', {})}`, { tcpServicesConfigmap: 'default/tcp' })).diagnostics, [
    { code: 'PORTICO_REF_CONFIG_MAP_NOT_FOUND', severity: 'warning', help: 'did you mean "default/tpc"?' },
  ])
  const broken = `${SERVICE.replace('port: 80,', 'port: 800000,')}---\n${printMap('tcp', { 9000: 'default/web:80' })}`
  const { diagnostics: told } = await load(broken, { tcpServicesConfigmap: 'default/tcp' })
  t.ok(told.some(({ message }) => /^9000: service default\/web has errors/.test(message)))
})

t.test('an ExternalName that may not be reached is not reached by a port either', async (t) => {
  const backend = await startRawUpstream(() => {})
  t.teardown(() => backend.close())
  const port = await findFreePort()
  const service = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: ExternalName, externalName: 127.0.0.1, ports: [{port: ${backend.port}}]}
`
  const text = `${service}---\n${printMap('tcp', { [port]: `default/web:${backend.port}` })}`
  const { diagnostics } = await load(text, { tcpServicesConfigmap: 'default/tcp' })
  t.match(diagnostics, [
    { code: 'PORTICO_REF_EXTERNAL_NAME_DENIED', position: { line: 4 }, resource: 'Service default/web' },
  ])
  await runGateway(t, text, { flags: { tcpServicesConfigmap: 'default/tcp' } })
  await connectRaw(port).then(
    (client) => client.closed,
    () => {},
  )
  t.equal(backend.connections.length, 0)
})

t.test('bytes pass on TCP and UDP; PROXY headers are read and sent; a reload opens and closes ports', async (t) => {
  const backend = await startRawUpstream((connection) => {
    connection.socket.on('data', (bytes: Buffer) => connection.socket.write(`<${bytes.toString('latin1')}>`))
  })
  t.teardown(() => backend.close())
  const udp = createSocket('udp4')
  udp.on('message', (bytes, peer) => udp.send(`<${bytes}>`, peer.port, peer.address))
  udp.bind(0, '127.0.0.1')
  await once(udp, 'listening')
  t.teardown(() => udp.close())
  const [plain, decoding, encoding, datagrams] = await findFreePorts(4)
  const slices = `apiVersion: v1
kind: Endpoints
metadata: {name: web}
subsets: [{addresses: [{ip: 127.0.0.1}], ports: [{name: line, port: ${backend.port}}, {name: dns, port: ${udp.address().port}, protocol: UDP}]}]
`
  const print = (data: Readonly<Record<string, string>>) =>
    [SERVICE, slices, printMap('tcp', data), printMap('udp', { [datagrams!]: 'default/web:dns' })].join('---\n')
  const gateway = await runGateway(
    t,
    print({
      [plain!]: 'default/web:80',
      [decoding!]: 'default/web:line:PROXY:PROXY',
      [encoding!]: 'default/web:80::PROXY',
    }),
    { flags: { ...FLAGS, trustedProxies: '127.0.0.1' } },
  )
  const first = await connectRaw(plain!)
  first.send('hello')
  await first.until((text) => text === '<hello>')
  first.destroy()

  const told = await connectRaw(decoding!)
  told.send('PROXY TCP4 192.0.2.7 192.0.2.1 4711 25\r\nhi')
  await told.until((text) => text.includes('hi>'))
  const served = await backend.connection(1)
  t.match(readProxyOpening(served.received), { path: { source: { address: '192.0.2.7', port: 4711 } } })
  t.match(served.text, /^PROXY TCP4 192\.0\.2\.7 [^\r]*\r\nhi$/)
  told.destroy()
  const bare = await connectRaw(decoding!)
  bare.send('no header at all\r\n')
  await bare.until(() => bare.hasEnded).catch(() => {})
  t.equal(backend.connections.length, 2)

  const own = await connectRaw(encoding!)
  own.send('yo')
  await own.until((text) => text.includes('yo>'))
  t.match((await backend.connection(2)).text, /^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nyo$/)
  own.destroy()

  const asking = createSocket('udp4')
  t.teardown(() => asking.close())
  asking.send('where', datagrams!, '127.0.0.1')
  const [answer] = await once(asking, 'message')
  t.equal(String(answer), '<where>')

  await gateway.change(print({ [encoding!]: 'default/web:80' }))
  await t.rejects(connectRaw(plain!))
  const changed = await connectRaw(encoding!)
  changed.send('again')
  await changed.until((text) => text === '<again>')
  changed.destroy()
})
