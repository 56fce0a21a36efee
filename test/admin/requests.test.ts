/** The records of requests over the admin API of whole gateways, with workers and without. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { askApi, followApi, readApi } from '../helpers/admin-api.ts'
import { findFreePorts } from '../helpers/free-ports.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { type RunningGateway, runGateway, startEchoes, visit } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'

const MANIFESTS = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: dead}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: slow}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {portico.dev/request-headers-set: "X-A: b"}}
spec:
  tls: [{hosts: [tls.test]}]
  rules:
    - host: shop.test
      http: {paths: [
        {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
        {path: /dead, pathType: Prefix, backend: {service: {name: dead, port: {number: 80}}}},
        {path: /slow, pathType: Prefix, backend: {service: {name: slow, port: {number: 80}}}}]}
    - host: tls.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: guarded, annotations: {portico.dev/allow-source-range: 192.0.2.0/24}}
spec:
  rules:
    - host: guarded.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`

const WAITS = `
---
apiVersion: v1
kind: Service
metadata: {name: one, annotations: {portico.dev/max-requests: "1"}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: asked, annotations: {portico.dev/auth-url: "http://slow.default.svc.cluster.local/"}}
spec:
  rules:
    - host: asked.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: one}
spec:
  rules:
    - host: one.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: one, port: {number: 80}}}}]}
`

/** Answers after so many milliseconds, and where `/long` is asked for after a second. */
async function startSlow(t: Test, ms: number): Promise<number> {
  const server = createServer(({ url }, response) =>
    setTimeout(() => response.end('late'), url?.endsWith('/long') ? 1000 : ms),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

async function start(t: Test, flags: Record<string, string> = {}): Promise<RunningGateway> {
  const { web } = await startEchoes(t, 'web')
  const [first = 0, second = 0] = await findFreePorts(2)
  const slow = await startSlow(t, 150)
  return runGateway(t, MANIFESTS + WAITS, {
    endpoints: { web: [web.port], dead: [first, second], slow: [slow], one: [slow] },
    flags: {
      'admin.enabled': 'true',
      'admin.port': '0',
      'admin.slowRequest': '100ms',

      ...flags,
    },
  })
}

type Step = { at_ms: number; duration_ms: number; detail?: string }

const ids = (rows: readonly { target: string }[]) => rows.map(({ target }) => target)

for (const workers of ['0', '2']) {
  t.test(`what was asked is found again, the newest first: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    const { admin } = running
    const asked: readonly (readonly [url: string, method: string])[] = [
      ['http://shop.test/a?page=1', 'GET'],
      ['http://shop.test/dead/1', 'GET'],
      ['http://nobody.test/x', 'POST'],
      ['http://guarded.test/', 'GET'],
    ]
    for (const [index, [url, method]] of asked.entries()) {
      await visit(running, url, { method })
      // A worker that is held up notes the end of a request after the client has its answer.
      await until(async () => (await readApi(admin, '/api/v1/requests')).length > index)
      // Workers read their clocks in milliseconds.
      await sleep(5)
    }
    const all = await readApi(admin, '/api/v1/requests')
    t.same(ids(all), ['/', '/x', '/dead/1', '/a?page=1'])
    const [refused, unknown, failed, good] = all
    t.match(good, {
      client: '127.0.0.1',
      host: 'shop.test',
      method: 'GET',
      protocol: 'HTTP/1.1',
      scheme: 'http',
      status: 200,
      ingress: 'default/shop',
      route: 'default/shop|shop.test|Prefix /',
      service: 'default/web:80',
      endpoint: /^127\.0\.0\.1:\d+$/,
      tries: 1,
      time: /^20\d\d-.*Z$/,
    })
    t.ok(workers === '0' ? good.worker === 0 : good.worker >= 1)
    t.match(failed, { status: 502, code: 'PORTICO_UP_CONNECT_REFUSED', tries: 2, service: 'default/dead:80' })
    t.match(unknown, { status: 404, code: 'PORTICO_REQ_NO_ROUTE', method: 'POST' })
    t.match(refused, { status: 403, code: 'PORTICO_REQ_CLIENT_DENIED' })

    const found = async (query: string) => ids(await readApi(admin, `/api/v1/requests?${query}`))
    t.same(await found('status=5xx'), ['/dead/1'])
    t.same(await found('status=%3E%3D400&limit=2'), ['/', '/x'])
    t.same(await found('status=403-404'), ['/', '/x'])
    t.same(await found('host=shop.test'), ['/dead/1', '/a?page=1'])
    t.same(await found('host=*.test&status=404'), ['/x'])
    t.same(await found('service=web&status=200'), ['/a?page=1'])
    t.same(await found('service=default%2Fdead'), ['/dead/1'])
    t.same(await found('ingress=guarded'), ['/'])
    t.same(await found('route=default%2Fshop%7Cshop.test%7CPrefix%20%2F'), ['/a?page=1'])
    t.same(await found('method=post'), ['/x'])
    t.same(await found('code=UP_CONNECT_REFUSED'), ['/dead/1'])
    t.same(await found('client=127.0.0.0%2F8&limit=1'), ['/'])
    t.same(await found('client=192.0.2.1'), [])
    t.same(await found('min_duration_ms=60000'), [])
    for (const wrong of ['status=abc', 'client=x', 'min_duration_ms=-1', 'limit=0', 'color=red', 'host=a&host=b']) {
      const answer = await askApi(admin, `/api/v1/requests?${wrong}`)
      t.match(answer, { status: 400, body: new RegExp(`"message":"${/^\w+/.exec(wrong)![0]}: `) }, wrong)
    }

    const detail = await readApi(admin, `/api/v1/requests/${failed.request_id}`)
    t.match(detail.attempts, [
      { endpoint: /:\d+$/, reused: false, outcome: 'PORTICO_UP_CONNECT_REFUSED' },
      { endpoint: /:\d+$/, reused: false, outcome: 'PORTICO_UP_CONNECT_REFUSED' },
    ])
    t.not(detail.attempts[0].endpoint, detail.attempts[1].endpoint)
    t.match(detail.cause, /^The service refused the connection: .*refused.*\(2 tries\)$/)
    // On a busy machine there may be a moment between two steps.
    const events = (timeline: readonly { event: string }[]) =>
      timeline.map(({ event }) => event).filter((event) => event !== 'pause' && event !== 'queue')
    t.same(events(detail.timeline), ['accept', 'head', 'match', 'try', 'try', 'end'])

    const fine = await readApi(admin, `/api/v1/requests/${good.request_id}`)
    t.same(events(fine.timeline), ['accept', 'head', 'match', 'try', 'connect', 'first_byte', 'end'])
    t.match(fine.filters, [{ name: 'headers', effect: 'applied' }])
    t.match(fine.attempts, [{ reused: false, outcome: '200' }])
    const [{ connect_ms: connect, first_byte_ms: first, end_ms: end }] = fine.attempts
    t.ok(0 < connect && connect <= first && first <= end, 'in the order of time')
    t.ok(fine.attempts[0].at_ms + end <= fine.duration_ms + 0.01)
    t.match(fine.cause, /^127\.0\.0\.1:\d+ answered 200$/)

    const guarded = await readApi(admin, `/api/v1/requests/${refused.request_id}`)
    t.match(guarded.filters, [{ name: 'source-range', effect: 'refused' }])
    t.match(guarded.cause, /^the filter source-range refused it: /)
    t.match(await askApi(admin, '/api/v1/requests/none'), { status: 404 })
  })

  t.test(`requests are told as they end: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    const { admin } = running
    const bad = await followApi(t, admin, '/api/v1/requests/stream?status=%3E%3D500')
    const all = await followApi(t, admin, '/api/v1/requests/stream?host=shop.test')
    t.match(all.headers, { 'content-type': /^text\/event-stream/, 'cache-control': 'no-store' })
    // Workers hear of it a moment later.
    await until(async () => {
      await visit(running, 'http://shop.test/ping')
      await sleep(150)
      return all.events.length > 0
    })
    all.events.length = 0
    await visit(running, 'http://shop.test/dead')
    await visit(running, 'http://other.test/')
    await visit(running, 'http://shop.test/b')
    const heard = (target: string) => all.events.some(({ data }) => data.target === target)
    await until(() => heard('/b') && heard('/dead') && bad.events.length > 0)
    // Those of two workers come as each tells them.
    const told = all.events.map(({ event, data }) => [event, data.target])
    t.same(told.filter(([, target]) => target !== '/ping').sort(), [
      ['request', '/b'],
      ['request', '/dead'],
    ])
    t.same(
      bad.events.map(({ data }) => data.target),
      ['/dead'],
    )
    const before = all.events.length
    all.close()
    await until(() => all.hasEnded())
    await visit(running, 'http://shop.test/c')
    await sleep(250)
    t.equal(all.events.length, before)
  })

  t.test(`figures of routes and endpoints: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    const { admin } = running
    const stream = await followApi(t, admin, '/api/v1/traffic/stream')
    for (let count = 0; count < 20; count++) await visit(running, 'http://shop.test/')
    await visit(running, 'http://shop.test/dead')
    await visit(running, 'http://none.test/')
    const seen = await readApi(admin, '/api/v1/traffic')
    t.match(seen, { requests: 22, failures: 1, in_flight: 0, status: { '2xx': 20, '4xx': 1, '5xx': 1 }, omitted: 0 })
    t.equal(seen.routes.length, 3)
    const web = seen.routes.find((row: { path: string }) => row.path === '/')
    t.match(web, {
      route: 'default/shop|shop.test|Prefix /',
      ingress: 'default/shop',
      service: 'default/web:80',
      host: 'shop.test',
      requests: 20,
      failures: 0,
      status: { '2xx': 20 },
      duration_ms: { p50: Number, p90: Number, p99: Number },
    })
    t.ok(web.duration_ms.p50 <= web.duration_ms.p99)
    t.match(
      seen.routes.find((row: { service: string }) => row.service === 'default/dead:80'),
      { requests: 1, failures: 1, status: { '5xx': 1 } },
    )
    const ends = seen.endpoints.filter((row: { service: string }) => row.service === 'default/dead:80')
    t.equal(ends.length, 2, 'the try that failed before counts at its endpoint')
    t.match(ends, [{ failures: 1 }, { failures: 1 }])
    t.match(
      seen.endpoints.find((row: { service: string }) => row.service === 'default/web:80'),
      { requests: 20, failures: 0, in_flight: 0 },
    )
    await until(() => stream.events.some(({ event, data }) => event === 'traffic' && data.rate > 0))
    t.same((await readApi(admin, '/api/v1/traffic?limit=1')).routes.length, 1)
  })
}

t.test('who follows requests hears of those of a worker that has taken the place of another', async (t) => {
  const running = await start(t, { workers: '1' })
  const stream = await followApi(t, running.admin, '/api/v1/requests/stream?host=shop.test')
  const [{ pid }] = await readApi(running.admin, '/api/v1/workers')
  process.kill(pid, 'SIGKILL')
  await until(async () => {
    const [worker] = await readApi(running.admin, '/api/v1/workers')
    return worker.state === 'serving' && worker.pid !== pid
  })
  await until(async () => {
    await visit(running, 'http://shop.test/again')
    return stream.events.length > 0
  })
  t.match(stream.events[0], { event: 'request', data: { target: '/again', worker: 1 } })
})

t.test('nothing that may be secret is kept', async (t) => {
  const running = await start(t)
  const stream = await followApi(t, running.admin, '/api/v1/requests/stream')
  const fields =
    'Authorization: Bearer hush-a\r\nCookie: id=hush-b\r\nProxy-Authorization: Basic hush-c\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n'
  const path = '/cb?code=hush-d&api_key=hush-e&page=7'
  await visit(running, `http://shop.test${path}`, { fields })
  // A target that is refused is named in the reason as well.
  await visit(running, 'http://shop.test/a%zz?token=hush-f', { fields })
  await until(() => stream.events.length === 2)
  const rows = await readApi(running.admin, '/api/v1/requests')
  const details = await Promise.all(
    rows.map(({ request_id: id }: { request_id: string }) => askApi(running.admin, `/api/v1/requests/${id}`)),
  )
  const told = JSON.stringify([rows, details, stream.events])
  t.notMatch(told, /hush/)
  t.match(told, 'code=***&api_key=***&page=7')
  t.match(rows[1], { trace_id: '0af7651916cd43dd8448eb211c80319c' })
})

t.test('what took the time of a slow request is told', async (t) => {
  const running = await start(t)
  await visit(running, 'http://shop.test/slow')
  await visit(running, 'http://shop.test/slow')
  const [row] = await readApi(running.admin, '/api/v1/requests?min_duration_ms=100')
  const detail = await readApi(running.admin, `/api/v1/requests/${row.request_id}`)
  t.ok(detail.attempts[0].first_byte_ms > 100)
  const first = detail.timeline.find(({ event }: { event: string }) => event === 'first_byte')
  t.ok(first.at_ms > 100)
})

t.test('of a client that went away it is told that the endpoint had not answered', async (t) => {
  const running = await start(t)
  const client = await connectRaw(running.http)
  client.send('GET /slow/long HTTP/1.1\r\nHost: shop.test\r\n\r\n')
  await sleep(350)
  ;(client.socket as Socket).resetAndDestroy()
  const findGone = () => readApi(running.admin, '/api/v1/requests?status=499')
  await until(async () => (await findGone()).length === 1)
  const [{ request_id: id, endpoint, detail }] = await findGone()
  t.match(detail, new RegExp(`^the client went away after \\d+ ms; ${endpoint} had not answered$`))
  const { cause } = await readApi(running.admin, `/api/v1/requests/${id}`)
  t.match(cause, `The client closed the request: ${detail}; most of its `)
  t.match(cause, ` went to waiting for ${endpoint}, which had not answered (`)
})

t.test('waits are steps: for a filter, in the queue, for a body; and a connection that was open is told', async (t) => {
  const running = await start(t)
  const { admin } = running
  const findDetail = async (query: string) => {
    let [row] = await readApi(admin, `/api/v1/requests?${query}`)
    await until(async () => {
      ;[row] = await readApi(admin, `/api/v1/requests?${query}`)
      return row !== undefined
    })
    return readApi(admin, `/api/v1/requests/${row.request_id}`)
  }
  const step = (detail: { timeline: readonly { event: string }[] }, event: string) =>
    detail.timeline.find((each) => each.event === event) as unknown as Step

  await visit(running, 'http://asked.test/')
  const asked = await findDetail('host=asked.test')
  const findAuth = ({ filters }: { filters: readonly { name: string }[] }) =>
    filters.find(({ name }) => name === 'forward-auth')
  t.match(findAuth(asked), { effect: 'waited' })
  t.equal(asked.filters.filter(({ name }: { name: string }) => name === 'forward-auth').length, 1)
  t.equal(step(asked, 'filter').detail, 'forward-auth waited')
  t.ok(step(asked, 'filter').duration_ms > 100)
  t.ok(step(asked, 'try').at_ms >= step(asked, 'filter').at_ms + step(asked, 'filter').duration_ms - 0.01)

  await Promise.all([visit(running, 'http://one.test/'), visit(running, 'http://one.test/')])
  await until(async () => (await readApi(admin, '/api/v1/requests?host=one.test')).length === 2)
  const queued = await findDetail('host=one.test&min_duration_ms=200')
  t.ok(step(queued, 'queue').duration_ms > 50)
  t.match(queued.attempts, [{ reused: true, outcome: '200' }])
  t.match(step(queued, 'connect').detail, 'on an open connection')

  const client = await connectRaw(running.http)
  client.send('POST /upload HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 6\r\n\r\nabc')
  await sleep(80)
  client.send('def')
  t.equal((await client.response()).status, 200)
  const upload = await findDetail('method=POST')
  t.ok(step(upload, 'body').duration_ms > 50)
  client.send('GET /second HTTP/1.1\r\nHost: shop.test\r\n\r\n')
  await client.response()
  client.destroy()
  const second = await findDetail('method=GET&host=shop.test')
  t.match(step(second, 'head').detail, /^request 2 of its connection, which was accepted \d+ ms before$/)
  t.equal(step(second, 'accept'), undefined)

  // A client that goes away while a filter is waited for.
  const leaving = await connectRaw(running.http)
  leaving.send('GET /gone HTTP/1.1\r\nHost: asked.test\r\n\r\n')
  await sleep(50)
  ;(leaving.socket as Socket).resetAndDestroy()
  const gone = await findDetail('host=asked.test&status=499')
  t.match(gone, { code: 'PORTICO_REQ_ABORTED', attempts: [] })
  t.match(gone.detail, /^the client went away after \d+ ms; no endpoint had been asked$/)
  t.match(findAuth(gone), { effect: 'waited' })
})

t.test('a connection over TLS and one that carries several requests', async (t) => {
  const running = await start(t)
  await visit(running, 'https://tls.test/')
  const [row] = await readApi(running.admin, '/api/v1/requests')
  const { timeline } = await readApi(running.admin, `/api/v1/requests/${row.request_id}`)
  const [accept, tls, head] = timeline
  t.match([accept.event, tls.event, head.event], ['accept', 'tls', 'head'])
  t.ok(tls.duration_ms > 0 && tls.at_ms + tls.duration_ms <= head.at_ms + 0.01)
})

t.test('admin.records: 0 keeps nothing', async (t) => {
  const running = await start(t, { 'admin.records': '0' })
  await visit(running, 'http://shop.test/')
  for (const path of ['requests', 'requests/x', 'requests/stream', 'traffic', 'traffic/stream']) {
    t.match(await askApi(running.admin, `/api/v1/${path}`), { status: 404, body: /admin\.records is 0/ }, path)
  }
})

t.test('records are for those who may ask the admin listener', async (t) => {
  const running = await start(t, { 'admin.token': 'sesame-sesame-sesame' })
  for (const path of ['requests', 'requests/x', 'requests/stream', 'traffic', 'traffic/stream']) {
    t.match(await askApi(running.admin, `/api/v1/${path}`), { status: 401 }, path)
    const authorization = 'Bearer sesame-sesame-sesame'
    const origin = 'http://evil.test'
    t.match(await askApi(running.admin, `/api/v1/${path}`, { authorization, origin }), { status: 403 }, path)
  }
  const authorization = 'Bearer sesame-sesame-sesame'
  t.match(await askApi(running.admin, '/api/v1/requests', { authorization }), { status: 200, body: '[]' })
  const free = await start(t)
  t.match(await askApi(free.admin, '/api/v1/requests', { host: 'evil.test' }), { status: 421 })
})

t.test('there are few streams at once', async (t) => {
  const running = await start(t)
  const streams: Awaited<ReturnType<typeof followApi>>[] = []
  for (let count = 0; count < 16; count++) streams.push(await followApi(t, running.admin, '/api/v1/requests/stream'))
  t.match(await askApi(running.admin, '/api/v1/traffic/stream'), { status: 503, headers: { 'retry-after': '5' } })
  t.match(await askApi(running.admin, '/api/v1/requests'), { status: 200 }, 'other answers have room beside them')
  streams[0]!.close()
  await until(() => streams[0]!.hasEnded())
  await until(async () => (await followApi(t, running.admin, '/api/v1/requests/stream')).status === 200)
})

t.test('pages of other sites get nothing, names of no parameter are refused, and HEAD of a stream ends', async (t) => {
  const { admin } = await start(t, { workers: '0' })
  for (const site of ['cross-site', 'same-site']) {
    for (const path of ['/api/v1/requests/stream', '/api/v1/explain?url=a.test', '/metrics']) {
      t.equal((await askApi(admin, path, { 'sec-fetch-site': site })).status, 403, `${path} ${site}`)
    }
    t.equal((await askApi(admin, '/', { 'sec-fetch-site': site })).status, 200, 'a link may lead here')
  }
  t.equal((await askApi(admin, '/api/v1/requests', { 'sec-fetch-site': 'same-origin' })).status, 200)
  for (const name of ['constructor', 'hasOwnProperty', '__proto__', 'valueOf']) {
    t.equal((await askApi(admin, `/api/v1/requests?${name}=1`)).status, 400, name)
  }
  for (let count = 0; count < 20; count++) {
    const response = await fetch(`http://127.0.0.1:${admin}/api/v1/requests/stream`, { method: 'HEAD' })
    t.equal(response.status, 200)
    t.match(response.headers.get('content-type'), 'text/event-stream')
  }
  const stream = await followApi(t, admin, '/api/v1/requests/stream')
  t.equal(stream.status, 200, 'none of them holds a place')
})
