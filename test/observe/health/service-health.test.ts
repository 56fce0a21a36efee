/** healthCheckNodePort over real sockets: the answers of kube-proxy, through reloads. */

import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { ServiceHealth } from '../../../lib/observe/health/service-health.ts'
import { findFreePort } from '../../helpers/free-ports.ts'
import { runGateway } from '../../helpers/running-gateway.ts'
import { translateText } from '../../translate/manifests.ts'
import { service } from '../../translate/service-text.ts'

/** `nodes`: where the endpoints are. */
function manifests(port: number, nodes: readonly string[]): string {
  const endpoints = nodes.map((node, index) => `{addresses: [10.0.0.${index + 1}], nodeName: ${node}}`).join(', ')
  const spec = `type: LoadBalancer, loadBalancerIP: 127.0.0.1, externalTrafficPolicy: Local, healthCheckNodePort: ${port}, ports: [{name: a, port: 1080}, {name: b, port: 1081}]`
  return `${service('web', spec)}---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: a, port: 8080}, {name: b, port: 8081}]
endpoints: [${endpoints}]
`
}

function settings(more = ''): string {
  return `---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
nodeName: here
nodePorts: {addresses: [127.0.0.1], range: 1024-65535}
${more}`
}

async function ask(port: number) {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`)
  const weight = response.headers.get('x-load-balancing-endpoint-weight')
  return { status: response.status, weight, body: (await response.json()) as Record<string, unknown> }
}

function start(t: Test, isServing = () => true, retryMs = 10_000) {
  const lines: string[] = []
  const told = new EventEmitter()
  const log = pino({}, { write: (line: string) => void told.emit(lines[lines.push(JSON.parse(line).msg) - 1]!) })
  const health = new ServiceHealth({ isServing, log, retryMs })
  t.teardown(() => health.close())
  const update = (port: number, nodes: readonly string[]) =>
    health.update(translateText(manifests(port, nodes) + settings()).model)
  return { health, update, lines, told }
}

t.test('silent connections do not keep others from asking', async (t) => {
  const port = await findFreePort()
  const { update } = start(t)
  await update(port, ['here'])
  const silent = Array.from({ length: 300 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  t.teardown(() => {
    for (const socket of silent) socket.destroy()
  })
  await Promise.all(silent.map((socket) => once(socket, 'connect')))
  for (let count = 0; count < 10; count++) t.match(await ask(port), { status: 200 })
})

t.test('answers 200 with local endpoints and 503 without', async (t) => {
  const port = await findFreePort()
  const { health, update, lines } = start(t)
  await update(port, ['here', 'there', 'here'])
  t.strictSame(await ask(port), {
    status: 200,
    weight: '2',
    body: { service: { namespace: 'default', name: 'web' }, localEndpoints: 2, serviceProxyHealthy: true },
  })
  await update(port, ['there'])
  t.match(await ask(port), { status: 503, weight: '0', body: { localEndpoints: 0 } })
  await update(port, ['here'])
  t.match(await ask(port), { status: 200, weight: '1' })
  await health.update(translateText(service('web', 'ports: [{port: 80}]')).model)
  await t.rejects(ask(port), 'it is closed with the Service')
  t.same(lines, [])
})

t.test('while the gateway does not serve the answer is 503', async (t) => {
  const port = await findFreePort()
  let isServing = false
  const { update } = start(t, () => isServing)
  await update(port, ['here'])
  t.match(await ask(port), { status: 503, body: { localEndpoints: 1, serviceProxyHealthy: false } })
  isServing = true
  t.match(await ask(port), { status: 200 })
})

t.test('a port that cannot be had is told, and tried again', async (t) => {
  const port = await findFreePort()
  const other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  const { update, lines } = start(t)
  await update(port, ['here'])
  t.same(lines, ['health check port cannot be opened'])
  other.close()
  await once(other, 'close')
  await update(port, ['here', 'here'])
  t.match(await ask(port), { status: 200, weight: '2' })
})

t.test('a port that is busy for long is told once, and had when it is free', async (t) => {
  const port = await findFreePort()
  const other = createServer().listen(port, '127.0.0.1')
  await once(other, 'listening')
  const { update, lines, told } = start(t, () => true, 20)
  await update(port, ['here'])
  await update(port, ['here', 'here'])
  await update(port, ['here'])
  t.same(lines, ['health check port cannot be opened'])
  // The timer of the gateway keeps no process alive.
  const held = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(held))
  const opened = once(told, 'health check port opened')
  other.close()
  await opened
  t.match(await ask(port), { status: 200, weight: '1' })
})

t.test('a health check and a nodePort change places', async (t) => {
  const [one, two] = [await findFreePort(), await findFreePort()]
  const text = (health: number, node: number) =>
    manifests(health, ['here']).replace('port: 1081}', `port: 1081, nodePort: ${node}}`) + settings()
  const running = await runGateway(t, text(one, two))
  for (const [health, node] of [
    [two, one],
    [one, two],
  ] as const) {
    await running.change(text(health, node))
    t.match(await ask(health), { status: 200, body: { localEndpoints: 1 } })
  }
})

t.test('a gateway opens and closes it at reloads', async (t) => {
  const port = await findFreePort()
  const running = await runGateway(t, manifests(port, ['here']) + settings())
  t.match(await ask(port), { status: 200, body: { serviceProxyHealthy: true } })
  await running.change(manifests(port, ['there']) + settings())
  t.match(await ask(port), { status: 503 })
  await running.change(service('web', 'ports: [{port: 80}]') + settings())
  await t.rejects(ask(port))
})
