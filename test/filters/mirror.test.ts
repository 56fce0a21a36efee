/** Copies of requests to another Service: what they are, how many, and that no request notices what becomes of them. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { MirrorCopy } from '../../lib/request/mirror-copy.ts'
import { Recorder } from '../doors/recorder.ts'
import type { DoorRequest } from '../doors/request-doors.ts'
import { NO_BLACK_HOLES, startBlackHole } from '../helpers/black-hole.ts'
import { startConnectionAuthUpstream } from '../helpers/connection-auth-upstream.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { GatewayProcess } from '../helpers/gateway-process.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { answerWith, type RawConnection, startRawUpstream } from '../helpers/raw-upstream.ts'
import { type RunningGateway, readMetrics, runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { translateText } from '../translate/manifests.ts'
import { ask, HOST, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const LARGE = 10_485_760
/** What the client of HTTP/2 sends in one. */
const FRAME = 16_000
/** Far below the time that a mirror has. */
const SOON_MS = 5_000

/** The Service `copy`, with a port and its endpoint. */
function printMirror(port: number, name: string = 'copy', more: Readonly<Record<string, string>> = {}): string {
  const annotations = { 'portico.dev/endpoints': `127.0.0.1:${port}`, ...more }
  return `---
apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: ${JSON.stringify(annotations)}}
spec: {ports: [{port: 8080, name: http}]}
`
}

async function startMirror(t: Test): Promise<{ recorder: Recorder; manifest: string }> {
  const recorder = new Recorder({})
  const port = await recorder.start()
  t.teardown(() => recorder.close())
  return { recorder, manifest: printMirror(port) }
}

async function startMisbehaving(t: Test, behave: (connection: RawConnection) => void | Promise<void>): Promise<number> {
  const upstream = await startRawUpstream(behave)
  t.teardown(() => upstream.close())
  return upstream.port
}

/** Results by name, of the Service `copy`. */
async function readResults(running: RunningGateway): Promise<Readonly<Record<string, number>>> {
  const lines = (await readMetrics(running)).matchAll(
    /^portico_mirrored_requests_total\{service="default\/copy:8080",result="(\w+)"\} (\d+)$/gm,
  )
  return Object.fromEntries([...lines].map(([, result, count]) => [result!, Number(count)]))
}

const ADMIN = { 'admin.enabled': 'true', 'admin.port': '0' }

/** Its one copy hangs while the other tests run. */
let hanging: Readonly<{ running: RunningGateway; since: number }> | undefined

t.before(async () => {
  const mirror = await startMisbehaving(t, () => {})
  const upstream = await startMisbehaving(t, answerWith(OK))
  const manifests = printFiltered({ mirror: 'copy' }) + printMirror(mirror)
  const running = await runGateway(t, manifests, { endpoints: { web: [upstream] }, flags: ADMIN })
  const client = await connectRaw(running.http)
  await client.send(GET).response()
  client.destroy()
  hanging = { running, since: performance.now() }
})

t.test('a copy is the request as the endpoint gets it, at every door', async (t) => {
  const { recorder, manifest } = await startMirror(t)
  const doors = await startFiltered(
    t,
    { mirror: 'copy:http', 'rewrite-prefix': '/new', 'request-headers-set': 'X-Env: staging' },
    '/old',
    manifest,
  )
  const bytes = Array.from({ length: 200_000 }, (_, at) => String.fromCharCode((at * 31) % 256)).join('')
  const requests: readonly DoorRequest[] = [
    { target: '/old/a?b=c' },
    { target: '/old', method: 'HEAD', fields: [['cookie', 'session=1']] },
    { target: '/old/post', method: 'POST', body: 'short' },
    { target: '/old/put', method: 'PUT', body: '' },
    { target: '/old/large', method: 'POST', body: bytes },
    { target: '/old/trailers', method: 'POST', body: 'with', trailers: [['x-sum', '1']] },
  ]
  for (const door of doors.names) {
    for (const request of requests) {
      if (door === 'HTTP/2' && (request.body?.length ?? 0) > FRAME) continue
      const { status, field, upstream } = await ask(doors, door, request)
      const label = `${request.method} ${request.target}, ${door}`
      t.equal(status, 200, label)
      await until(() => recorder.requests.length === 1)
      const [{ head, body, trailers, complete }] = recorder.requests.splice(0) as [Recorder['requests'][number]]
      const lines = head.map((line) => line.replace(/^[^ :]+(?=:)/, (name) => name.toLowerCase()))
      t.ok(complete, label)
      t.same(
        [...lines, body, ...trailers].filter(
          (line) =>
            line !== '' &&
            !/^(?:host|x-(?:request-id|forwarded|real-ip|portico-copy)|(?:transfer-enc|content-len))/i.test(line),
        ),
        upstream,
        label,
      )
      t.ok(lines[0]!.includes(' /new'), label)
      t.equal(body, request.body ?? '', label)
      t.ok(lines.includes(`host: ${HOST}`), label)
      t.ok(lines.includes(`x-request-id: ${field('x-request-id')[0]}`), label)
      t.ok(lines.includes('x-forwarded-for: 127.0.0.1'), label)
      t.ok(lines.includes('x-portico-copy: 1'), label)
    }
  }
})

t.test('a URL, a host and a body of its own, at every door', async (t) => {
  const recorder = new Recorder({})
  const origin = `http://127.0.0.1:${await recorder.start()}`
  t.teardown(() => recorder.close())
  const authority = new URL(origin).host
  const cases: readonly (readonly [annotations: Readonly<Record<string, string>>, target: string, host: string])[] = [
    [{ 'mirror-url': origin }, '/new/x?a=b', authority],
    [{ 'mirror-url': `${origin}/` }, '/', authority],
    [{ 'mirror-url': `${origin}/base?c=d` }, '/base?c=d', authority],
    [{ 'mirror-url': `${origin}\${request.target}` }, '/old/y/../x?a=b', authority],
    [{ 'mirror-url': `${origin}/base\${request.path}?\${request.method}` }, '/base/old/x?POST', authority],
    [{ 'mirror-url': origin, 'mirror-host': 'shop.test:81' }, '/new/x?a=b', 'shop.test:81'],
    [{ 'mirror-url': origin, 'mirror-body': 'false' }, '/new/x?a=b', authority],
    [{ 'mirror-url': origin, 'mirror-body': 'true' }, '/new/x?a=b', authority],
  ]
  for (const [annotations, target, host] of cases) {
    const doors = await startFiltered(t, { ...annotations, 'rewrite-prefix': '/new' }, '/old')
    for (const door of doors.names) {
      const label = `${JSON.stringify(annotations)} ${door}`
      const request = { target: target.includes('..') ? '/old/y/../x?a=b' : '/old/x?a=b', method: 'POST', body: 'body' }
      const trailers = [['x-sum', '1']] as const
      const { status, upstream } = await ask(doors, door, { ...request, trailers })
      t.equal(status, 200, label)
      if (target.includes('..')) {
        t.equal(recorder.requests.length, 0, `${label}: no path that leads elsewhere`)
        continue
      }
      await until(() => recorder.requests.length === 1)
      const [copy] = recorder.requests.splice(0)
      const isWhole = annotations['mirror-body'] !== 'false'
      t.match(copy, { complete: true, body: isWhole ? 'body' : '', trailers: { length: isWhole ? 1 : 0 } }, label)
      t.equal(copy!.head[0], `POST ${target} HTTP/1.1`, label)
      t.ok(copy!.head.map((line) => line.toLowerCase()).includes(`host: ${host}`), label)
      t.ok(upstream.includes('body'), 'the endpoint gets the body')
    }
  }
})

t.test('a mirror of a Service may have another host', async (t) => {
  const { recorder, manifest } = await startMirror(t)
  const doors = await startFiltered(t, { mirror: 'copy', 'mirror-host': 'copy.test' }, '/', manifest)
  for (const door of doors.names) {
    t.equal((await ask(doors, door, {})).status, 200, door)
    await until(() => recorder.requests.length === 1)
    t.ok(
      recorder.requests.splice(0)[0]!.head.some((line) => line.toLowerCase() === 'host: copy.test'),
      door,
    )
  }
})

t.test('copies to a URL are counted by it', async (t) => {
  const recorder = new Recorder({})
  const origin = `http://127.0.0.1:${await recorder.start()}`
  t.teardown(() => recorder.close())
  const upstream = await startMisbehaving(t, answerWith(OK))
  const running = await runGateway(t, printFiltered({ 'mirror-url': origin }), {
    endpoints: { web: [upstream] },
    flags: ADMIN,
  })
  const client = await connectRaw(running.http)
  t.equal((await client.send(GET).response()).status, 200)
  await until(() => recorder.requests.length === 1)
  await until(async () => (await readMetrics(running)).includes(`service="${origin}",result="2xx"} 1`))
  t.pass('by the URL')
})

t.test('what passes filters of bodies, or is buffered, is copied as it comes out of them', async (t) => {
  const { recorder, manifest } = await startMirror(t)
  const annotations = { mirror: 'copy', decompress: 'true', 'request-buffering': 'all' }
  const doors = await startFiltered(t, annotations, '/', manifest)
  const text = 'many words '.repeat(20_000)
  for (const door of doors.names) {
    const body = gzipSync(text).toString('latin1')
    const request = { method: 'POST', fields: [['content-encoding', 'gzip']], body } as const
    const { status, upstream } = await ask(doors, door, request)
    t.same([status, upstream.at(-1)], [200, text], door)
    await until(() => recorder.requests.length === 1)
    const [{ head, body: copied, complete }] = recorder.requests.splice(0) as [Recorder['requests'][number]]
    t.ok(complete && copied === text, door)
    t.notOk(
      head.some((line) => /^content-encoding/i.test(line)),
      door,
    )
  }
})

t.test('the share holds, at any time within a few copies', async (t) => {
  let copies = 0
  const mirror = await startMisbehaving(t, (connection) => {
    connection.socket.on('data', () => connection.send(OK))
  })
  const upstream = await startMisbehaving(t, answerWith(OK))
  for (const [share, expected] of [
    ['10%', 100],
    ['33.3%', 333],
    ['0.5%', 5],
    ['100%', 1000],
    ['0%', 0],
  ] as const) {
    const manifests = printFiltered({ mirror: 'copy', 'mirror-share': share }) + printMirror(mirror)
    const running = await runGateway(t, manifests, { endpoints: { web: [upstream] }, flags: ADMIN })
    const client = await connectRaw(running.http)
    for (let count = 0; count < 1000; count++) {
      client.send(GET)
      await client.response()
    }
    client.destroy()
    const sum = async () => Object.values(await readResults(running)).reduce((sum, count) => sum + count, 0)
    for (copies = -1; copies !== (await sum()); await sleep(50)) copies = await sum()
    t.ok(Math.abs(copies - expected) <= (expected % 1000 === 0 ? 0 : 3), `${share}: ${copies} copies`)
    t.same(Object.keys(await readResults(running)), expected === 0 ? [] : ['2xx'])
  }
})

/** How mirrors misbehave, and what is counted. */
const MISBEHAVIOURS: Readonly<Record<string, (connection: RawConnection) => void | Promise<void>>> = {
  'never reads': ({ socket }) => void socket.pause(),
  'never answers': () => {},
  'resets at once': ({ socket }) => void socket.resetAndDestroy(),
  'resets when the request begins': ({ socket }) => void socket.once('data', () => socket.resetAndDestroy()),
  'ends when the request begins': ({ socket }) => void socket.once('data', () => socket.end()),
  'answers early and closes': ({ socket }) =>
    void socket.once('data', () =>
      socket.end('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n'),
    ),
  'is slow to read': ({ socket }) =>
    void socket.on('data', () => {
      socket.pause()
      setTimeout(() => socket.resume(), 20)
    }),
  'answers nonsense': (connection) => void connection.socket.once('data', () => connection.send('SMTP ready\r\n\r\n')),
  'answers without end': (connection) =>
    void connection.socket.once('data', () => {
      connection.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
      const more = () => {
        if (connection.socket.destroyed) return
        connection.send(`8000\r\n${'x'.repeat(0x8000)}\r\n`)
        setImmediate(more)
      }
      more()
    }),
  'switches protocols': (connection) =>
    void connection.socket.once('data', () =>
      connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'),
    ),
}

for (const [how, behave] of Object.entries(MISBEHAVIOURS)) {
  t.test(`no request notices a mirror that ${how}, at every door`, async (t) => {
    const mirror = printMirror(await startMisbehaving(t, behave))
    const doors = await startFiltered(t, { mirror: 'copy' }, '/', mirror)
    for (const door of doors.names) {
      const large = 'x'.repeat(door === 'HTTP/2' ? FRAME : 500_000)
      for (const request of [{ target: '/a' }, { method: 'POST', body: 'b' }, { method: 'POST', body: large }]) {
        const began = performance.now()
        const { status, body, upstream } = await ask(doors, door, request)
        t.same([status, body], [200, 'hello'], `${request.method} ${request.body?.length}, ${door}`)
        t.ok(performance.now() - began < SOON_MS, `${performance.now() - began} ms, ${door}`)
        t.equal(upstream.includes(request.body ?? upstream[0]!), true, `the body is whole, ${door}`)
      }
    }
  })
}

/** An endpoint that takes uploads of so many bytes as fast as they come. */
async function startSink(t: Test, bytes: number): Promise<number> {
  const server = createServer((socket) => {
    let left = bytes
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        left -= chunk.length
        if (left <= 0) socket.end(OK)
      })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('an upload of 10 MiB is as fast as without a mirror, however the mirror takes it', async (t) => {
  const upstream = await startSink(t, LARGE)
  const body = Buffer.alloc(LARGE)
  const upload = async (running: RunningGateway) => {
    const client = await connectRaw(running.http)
    const began = performance.now()
    client.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${LARGE}\r\n\r\n`).send(body)
    t.equal((await client.response()).status, 200)
    client.destroy()
    return performance.now() - began
  }
  for (const enabled of ['true', 'false']) {
    const options = { endpoints: { web: [upstream] }, flags: { ...ADMIN, 'fastLane.enabled': enabled } }
    const plain = await upload(await runGateway(t, printFiltered({}), options))
    for (const how of ['never reads', 'never answers', 'is slow to read']) {
      const mirror = printMirror(await startMisbehaving(t, MISBEHAVIOURS[how]!))
      const running = await runGateway(t, printFiltered({ mirror: 'copy' }) + mirror, options)
      const took = await upload(running)
      t.ok(took < plain * 5 + 1000, `${how}: ${took} ms, ${plain} ms without`)
      if (how === 'never answers') continue
      await until(async () => Object.keys(await readResults(running)).length > 0)
      t.same(await readResults(running), { cut: 1 }, how)
    }
  }
})

t.test('no request notices a mirror that is not there', async (t) => {
  const closed = await findFreePort()
  const services = {
    'refuses connections': printMirror(closed),
    'has no endpoints': '---\napiVersion: v1\nkind: Service\nmetadata: {name: copy}\nspec: {ports: [{port: 80}]}\n',
    'does not exist': '',
  }
  for (const [how, service] of Object.entries(services)) {
    const doors = await startFiltered(t, { mirror: 'copy' }, '/', service)
    for (const door of doors.names) {
      t.match(await ask(doors, door, {}), { status: 200, body: 'hello' }, `${how}, ${door}`)
      const { status, upstream } = await ask(doors, door, { method: 'POST', body: 'b' })
      t.same([status, upstream.at(-1)], [200, 'b'], `${how}, ${door}`)
    }
  }
})

t.test('copies are counted by what became of them', async (t) => {
  const answers: Record<string, string> = {
    '/204': 'HTTP/1.1 204 No Content\r\n\r\n',
    '/404': 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
    '/500': 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n',
    '/302': 'HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n',
  }
  const mirror = await startMisbehaving(t, async (connection) => {
    for (let n = 1; ; n++) {
      const heads = (await connection.head(n)).split('\r\n\r\n')
      if (heads.length <= n) return
      const path = heads[n - 1]!.split(' ')[1]!
      if (path === '/reset') connection.socket.resetAndDestroy()
      else if (path === '/upload') connection.socket.pause()
      else if (path !== '/broken') connection.send(answers[path] ?? OK)
    }
  })
  const recorder = new Recorder({ '/early': { pieces: [OK], early: true } })
  const upstream = await recorder.start()
  t.teardown(() => recorder.close())
  const manifests = printFiltered({ mirror: 'copy' }) + printMirror(mirror)
  const running = await runGateway(t, manifests, { endpoints: { web: [upstream] }, flags: ADMIN })
  const client = await connectRaw(running.http)
  for (const path of ['/', '/204', '/404', '/500', '/302', '/302', '/reset']) {
    client.send(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`)
    t.equal((await client.response()).status, 200)
  }
  const counted = async (expected: Readonly<Record<string, number>>) => {
    await until(async () => JSON.stringify(sort(await readResults(running))) === JSON.stringify(sort(expected)))
    t.same(await readResults(running), expected)
  }
  await counted({ '2xx': 2, '3xx': 2, '4xx': 1, '5xx': 1, failed: 1 })
  client.send(`POST /upload HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${LARGE}\r\n\r\n`).send(Buffer.alloc(LARGE))
  t.equal((await client.response()).status, 200)
  await counted({ '2xx': 2, '3xx': 2, '4xx': 1, '5xx': 1, failed: 1, cut: 1 })
  // A request that breaks off takes its copy with it.
  client.send('POST /broken HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nabc')
  await until(() => running.gateway.inFlight === 1)
  await sleep(50)
  client.destroy()
  await counted({ '2xx': 2, '3xx': 2, '4xx': 1, '5xx': 1, failed: 1, cut: 2 })
})

function sort(results: Readonly<Record<string, number>>): readonly unknown[] {
  return Object.entries(results).sort()
}

t.test('a request is copied once, however often it is tried, and not where it is answered before', async (t) => {
  const { recorder, manifest } = await startMirror(t)
  const broken = await startMisbehaving(t, ({ socket }) => void socket.once('data', () => socket.resetAndDestroy()))
  const whole = new Recorder({})
  const port = await whole.start()
  t.teardown(() => whole.close())
  const manifests = printFiltered({ mirror: 'copy', 'redirect-path': '/new', 'deny-source-range': '192.0.2.1' })
  const running = await runGateway(t, printFiltered({ mirror: 'copy' }) + manifest, {
    endpoints: { web: [broken, port] },
    flags: { 'upstream.ejection.consecutiveFailures': '0' },
  })
  for (let count = 0; count < 10; count++) {
    const client = await connectRaw(running.http)
    client.send('PUT /a HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc')
    t.equal((await client.response()).status, 200)
    client.destroy()
  }
  await until(() => recorder.requests.length >= 10)
  t.same(
    recorder.requests.map(({ body }) => body),
    Array(10).fill('abc'),
  )
  await running.change(manifests + manifest)
  const client = await connectRaw(running.http)
  t.equal((await client.send(GET).response()).status, 302)
  client.destroy()
  await sleep(100)
  t.equal(recorder.requests.length, 10)
})

t.test('requests that switch protocols are not copied, and those to the mirror itself neither', async (t) => {
  const { recorder, manifest } = await startMirror(t)
  const upstream = await startMisbehaving(t, async (connection) => {
    await connection.head()
    connection.send('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  })
  const path = (of: string, service: string, port: number) =>
    `{path: ${of}, pathType: Prefix, backend: {service: {name: ${service}, port: {number: ${port}}}}}`
  const manifests = printFiltered({ mirror: 'copy' }).replace(
    /paths: \[.*/,
    `paths: [${path('/', 'web', 80)}, ${path('/copy', 'copy', 8080)}]}}]}`,
  )
  const running = await runGateway(t, manifests + manifest, { endpoints: { web: [upstream] } })
  const client = await connectRaw(running.http)
  client.send('GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  t.equal((await client.response({ headOnly: true })).status, 101)
  client.destroy()
  const other = await connectRaw(running.http)
  t.equal((await other.send('GET /copy HTTP/1.1\r\nHost: a.test\r\n\r\n').response()).status, 200)
  other.destroy()
  await sleep(100)
  t.same(
    recorder.requests.map(({ head }) => head[0]),
    ['GET /copy HTTP/1.1'],
  )
})

t.test('a body that the client holds back is asked for by the endpoint alone', async (t) => {
  const { recorder, manifest } = await startMirror(t)
  const upstream = await startMisbehaving(t, async (connection) => {
    const head = await connection.head()
    if (head.includes('/refused')) return void connection.send('HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n')
    connection.send('HTTP/1.1 100 Continue\r\n\r\n')
    await connection.until((text) => text.endsWith('abc'))
    connection.send(OK)
  })
  const running = await runGateway(t, printFiltered({ mirror: 'copy' }) + manifest, { endpoints: { web: [upstream] } })
  const send = async (path: string) => {
    const client = await connectRaw(running.http)
    client.send(`POST ${path} HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`)
    await client.until((text) => text.startsWith('HTTP/1.1 '))
    return client
  }
  const refused = await send('/refused')
  t.equal((await refused.response()).status, 401)
  refused.destroy()
  const asked = await send('/asked')
  t.equal((await asked.response()).status, 100)
  t.equal((await asked.send('abc').response()).status, 200)
  asked.destroy()
  await until(() => recorder.requests.length > 0)
  t.match(recorder.requests, [{ body: 'abc', complete: true }])
  t.notOk(recorder.requests[0]!.head.some((line) => /^expect/i.test(line)))
})

t.test('a copy does not wait for a place at the mirror', async (t) => {
  const mirror = await startMisbehaving(t, () => {})
  const upstream = await startMisbehaving(t, answerWith(OK))
  const manifest = printMirror(mirror, 'copy', { 'portico.dev/max-requests': '1', 'portico.dev/queue-timeout': '30s' })
  const running = await runGateway(t, printFiltered({ mirror: 'copy' }) + manifest, {
    endpoints: { web: [upstream] },
    flags: ADMIN,
  })
  const client = await connectRaw(running.http)
  const began = performance.now()
  for (let count = 0; count < 3; count++) t.equal((await client.send(GET).response()).status, 200)
  client.destroy()
  await until(async () => (await readResults(running)).failed === 2)
  t.ok(performance.now() - began < SOON_MS, 'as soon as there is no place')
})

t.test('a mirror that authenticates connections takes none of the client from its Service', async (t) => {
  const service = await startConnectionAuthUpstream(t)
  const mirror = await startConnectionAuthUpstream(t)
  const running = await runGateway(t, printFiltered({ mirror: 'copy' }) + printMirror(mirror.port), {
    endpoints: { web: [service.port] },
    flags: ADMIN,
  })
  const client = await connectRaw(running.http)
  const tell = async (authorization: string) => {
    client.send(`GET / HTTP/1.1\r\nHost: a.test\r\n${authorization}\r\n`)
    return (await client.response()).body.toString()
  }
  t.equal(await tell('Authorization: NTLM hello\r\n'), '0 greeted')
  t.equal(await tell('Authorization: NTLM alice:nonce-0\r\n'), '0 alice')
  for (let count = 1; count <= 10; count++) {
    t.equal(await tell(''), '0 alice', 'the connection is kept')
    await until(async () => (await readResults(running))['4xx'] === count + 2)
  }
  client.destroy()
})

t.test('a bug in a copy costs that copy alone', async (t) => {
  const { manifest } = await startMirror(t)
  const upstream = await startMisbehaving(t, answerWith(OK))
  const manifests = printFiltered({ mirror: 'copy' }) + manifest
  const running = await runGateway(t, manifests, { endpoints: { web: [upstream] }, flags: ADMIN })
  const prototype = MirrorCopy.prototype as unknown as Record<string, () => void>
  let bugs = 0
  for (const method of ['attempt', 'onReady', 'onHead', 'onEnd']) {
    const original = prototype[method]!
    prototype[method] = () => {
      prototype[method] = original
      bugs++
      throw new Error(`a bug in ${method}`)
    }
    const client = await connectRaw(running.http)
    t.equal((await client.send(GET).response()).status, 200, method)
    await until(() => prototype[method] === original)
    t.equal((await client.send(GET).response()).status, 200, method)
    client.destroy()
  }
  const contained = async () => [
    ...(await readMetrics(running)).matchAll(/^portico_contained_errors_total\{.*\} (\d+)$/gm),
  ]
  t.equal(
    (await contained()).reduce((sum, [, count]) => sum + Number(count), 0),
    bugs,
  )
  t.match(await readMetrics(running), 'portico_contained_errors_total{where="mirror"} 1')
  await until(async () => Object.values(await readResults(running)).reduce((sum, count) => sum + count, 0) === 8)
})

t.test('a stop does not wait for copies, and a mirror outlives its Service', async (t) => {
  const connections: RawConnection[] = []
  const mirror = await startMisbehaving(t, (connection) => void connections.push(connection))
  const upstream = await startMisbehaving(t, answerWith(OK))
  const running = await runGateway(t, printFiltered({ mirror: 'copy' }) + printMirror(mirror), {
    endpoints: { web: [upstream] },
  })
  const client = await connectRaw(running.http)
  t.equal((await client.send(GET).response()).status, 200)
  await until(() => connections.length === 1)
  await running.change(printFiltered({}))
  t.equal((await client.send(GET).response()).status, 200)
  t.equal(connections[0]!.hasEnded, false, 'a copy under way goes on')
  client.destroy()
  const began = performance.now()
  await running.gateway.stop()
  t.ok(performance.now() - began < SOON_MS)
  await until(() => connections[0]!.hasEnded)
})

t.test(
  '200 uploads to a mirror that hangs take bounded memory, and are all served',
  { skip: NO_BLACK_HOLES },
  async (t) => {
    const port = await findFreePort()
    await startBlackHole(t, '127.0.0.1', port)
    const upstream = await startSink(t, 1_048_576)
    const web = printFiltered({ mirror: 'copy' }).replace(
      '{name: web}',
      `{name: web, annotations: {portico.dev/endpoints: "127.0.0.1:${upstream}"}}`,
    )
    const gateway = await GatewayProcess.start(
      web + printMirror(port, 'copy', { 'portico.dev/timeouts-connect': '10s' }),
      'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n',
      ['--log-level', 'error'],
    )
    t.teardown(() => gateway.stop())
    const body = Buffer.alloc(1_048_576)
    const upload = async () => {
      const client = await connectRaw(gateway.ports.http)
      client.send(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${body.length}\r\n\r\n`).send(body)
      const { status } = await client.response({ timeoutMs: 60_000 })
      client.destroy()
      return status
    }
    for (let count = 0; count < 20; count++) await upload()
    const { workerResident: before } = await gateway.figures()
    t.same(new Set(await Promise.all(Array.from({ length: 200 }, upload))), new Set([200]))
    const { workerResident: after, contained } = await gateway.figures()
    t.ok(after - before < 96 * 1_048_576, `${Math.round((after - before) / 1_048_576)} MiB more`)
    t.equal(contained, 0)
  },
)

t.test('what cannot be used leaves the filter out, and says where', async (t) => {
  for (const [annotations, message] of [
    [{ mirror: 'nobody' }, /there is no Service default\/nobody|nobody/],
    [{ mirror: 'web:99' }, /99/],
    [{ mirror: 'other/web' }, /portico\.dev\/mirror: "other\/web" names no Service/],
    [{ mirror: 'web', 'mirror-share': '10' }, /portico\.dev\/mirror-share: "10" is no part of the requests/],
    [{ mirror: 'web', 'mirror-share': '101%' }, /is no part of the requests/],
    [{ mirror: 'web', 'mirror-share': '-1%' }, /is no part of the requests/],
    [{ 'mirror-share': '10%' }, /it says nothing without mirror/],
    [{ 'mirror-host': 'a.test' }, /it says nothing without mirror/],
    [{ 'mirror-body': 'false' }, /it says nothing without mirror/],
    [{ mirror: 'web', 'mirror-body': 'no' }, /is neither/],
    [{ mirror: 'web', 'mirror-host': 'a/b' }, /is no host/],
    [{ mirror: 'web', 'mirror-host': 'a:99999' }, /is no host/],
    [{ mirror: 'web', 'mirror-url': 'http://a.test/' }, /mirror names a Service already/],
    [{ 'mirror-url': 'a.test' }, /is no URL of a mirror/],
    [{ 'mirror-url': 'http://user@a.test/' }, /is no URL of a mirror/],
    [{ 'mirror-url': `http://\${request.host}/` }, /its scheme and its host are the same for all requests/],
    [{ 'mirror-url': `\${request.scheme}://a.test/` }, /its scheme and its host/],
    [{ 'mirror-url': 'http://a.test$request_uri' }, /write \$\{request\.target\}/],
    [{ 'mirror-url': 'http://a.test:99999/' }, /this is no URL/],
  ] as const) {
    const { route, diagnostics } = translateFiltered(annotations)
    t.same(route?.filters, undefined, JSON.stringify(annotations))
    t.match(diagnostics, [{ severity: 'error', message, help: /until then requests pass without mirror/ }])
    t.match(diagnostics[0]?.position, { line: Number })
    t.equal(route?.action.type, 'forward')
  }
  const { route, diagnostics } = translateFiltered({ mirror: 'web', 'mirror-share': '0.25%' })
  t.same(diagnostics, [])
  t.match(route?.filters, [{ name: 'mirror', options: { upstream: 'default/web:80', share: 0.25 } }])
})

t.test('a mirror that does not answer is given up after 15 s', async (t) => {
  const { running, since } = hanging!
  const waited = () => performance.now() - since
  if (waited() < 14_000) t.same(await readResults(running), {})
  await until(async () => Object.keys(await readResults(running)).length > 0)
  t.same(await readResults(running), { failed: 1 })
})

t.test('a RoutePolicy and a Service have mirrors as an Ingress has', async (t) => {
  const policy = `---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: copies}
spec:
  targetRefs: [{kind: Ingress, name: web}]
  mirror: copy:http
  mirrorShare: 12.5%
`
  const onService = printFiltered({}).replace('{name: web}', '{name: web, annotations: {portico.dev/mirror: copy}}')
  for (const [manifests, share] of [
    [printFiltered({}) + policy, 12.5],
    [onService, 100],
  ] as const) {
    const { model, diagnostics } = translateText(`${manifests}${printMirror(80)}`)
    t.same(
      diagnostics.filter(({ severity }) => severity === 'error'),
      [],
    )
    const [route] = model.tables[0]!.hosts[0]!.routes
    t.match(route?.filters, [{ name: 'mirror', options: { upstream: 'default/copy:8080', share } }])
    t.ok(model.upstreams.has('default/copy:8080'))
  }
})

t.test('a mirror that leads back to the gateway gets one copy of each request', async (t) => {
  const web = new Recorder({})
  t.teardown(() => web.close())
  const copy = { port: 1 }
  const manifest = () => `---
apiVersion: v1
kind: Service
metadata: {name: copy, annotations: {portico.dev/endpoints: "127.0.0.1:${copy.port}"}}
spec: {ports: [{port: 80}]}
`
  const print = () => printFiltered({ mirror: 'copy' }) + manifest()
  const running = await runGateway(t, print(), { endpoints: { web: [await web.start()] } })
  copy.port = running.http
  await running.change(print())
  const client = await connectRaw(running.http)
  for (let count = 0; count < 3; count++) {
    t.equal((await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()).status, 200)
  }
  await until(() => web.requests.length === 6)
  await sleep(100)
  t.equal(web.requests.length, 6)
  client.destroy()
})
