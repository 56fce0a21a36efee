/** The admin listener of a gateway under clients that hold on to it: health is answered all the while. */
import { once } from 'node:events'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { runPortico, startGateway } from '../bin/process.ts'

const ROUTES = 2_000
/** A probe that takes longer has failed, milliseconds: `portico healthcheck` waits as long. */
const PROBE_MS = 2_000
const ATTACK_MS = 1_500
/** Milliseconds after which a closed client comes back. */
const AGAIN_MS = 1_000

/** Enough for an answer of some megabytes. */
const MANIFESTS = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - http:
        paths:
${Array.from({ length: ROUTES }, (_, n) => `          - {path: /${'long-'.repeat(20)}${n}, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}`).join('\n')}
`

type Client = (socket: Socket) => void

const silent: Client = () => {}

const slow: Client = (socket) => {
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n')
  const timer = setInterval(() => socket.write('X-Slow: 1\r\n'), 300)
  socket.on('close', () => clearInterval(timer))
}

const nonReader: Client = (socket) => {
  socket.write('GET /api/v1/routes HTTP/1.1\r\nHost: localhost\r\n\r\n')
  socket.pause()
}

const pipeliner: Client = (socket) => {
  socket.write('GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(100))
  socket.pause()
}

/** So many connections, each begun anew when it is closed, until it is stopped. */
function attack(t: Test, port: number, count: number, client: Client): () => void {
  const sockets = new Set<Socket>()
  let isOver = false
  const begin = () => {
    if (isOver) return
    const socket = connect(port, '127.0.0.1')
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      sockets.delete(socket)
      setTimeout(begin, AGAIN_MS)
    })
    client(socket)
  }
  for (let index = 0; index < count; index++) begin()
  const stop = () => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  }
  t.teardown(stop)
  return stop
}

const ATTACKS: readonly (readonly [name: string, clients: readonly (readonly [count: number, client: Client])[]])[] = [
  ['600 that say nothing', [[600, silent]]],
  ['600 that send a head line by line', [[600, slow]]],
  ['600 that do not take their answer', [[600, nonReader]]],
  [
    'all of these, and some that pipeline',
    [
      [300, silent],
      [200, slow],
      [200, nonReader],
      [20, pipeliner],
    ],
  ],
]

async function probe(port: number, path: string): Promise<number | undefined> {
  const request = get({ port, host: '127.0.0.1', path, agent: false, signal: AbortSignal.timeout(PROBE_MS) })
  const [response] = await once(request, 'response')
  response.resume()
  await once(response, 'end')
  return response.statusCode
}

t.test('health is answered beside connections that stay open', async (t) => {
  const gateway = await startGateway(t, ['run', '-f', '-', '--no-https'], { stdin: MANIFESTS })
  const { admin } = gateway.ports
  for (const [name, clients] of ATTACKS) {
    await t.test(name, async (t) => {
      const stops = clients.map(([count, client]) => attack(t, admin, count, client))
      await sleep(300)
      const until = performance.now() + ATTACK_MS
      const outcomes = new Map<unknown, number>()
      const health = runPortico(['healthcheck', '--admin-port', String(admin)])
      while (performance.now() < until) {
        for (const path of ['/livez', '/readyz']) {
          const outcome = await probe(admin, path).catch((error) => `${path} ${error.code ?? error.name}`)
          outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        }
        await sleep(20)
      }
      t.same([...outcomes.keys()], [200], JSON.stringify([...outcomes]))
      t.match(await health, { status: 0, stdout: 'ready\n' })
      for (const stop of stops) stop()
      t.equal(await probe(admin, '/metrics'), 200)
    })
  }
})
