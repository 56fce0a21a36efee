/** Routes whose requests are divided among several Services: at every door, with workers, over reloads and retries. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { findAll } from '../helpers/raw-client.ts'
import { endpointsOf, readMetrics, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { startDoors } from './request-doors.ts'

const HOST = 'split.test'

function write(split: string | undefined, more: Readonly<Record<string, string>> = {}): string {
  const own = { ...(split !== undefined && { 'portico.dev/split': split }), ...more }
  const services = ['one', 'two', 'three'].map(
    (name) => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: 80}]}\n`,
  )
  return `${services.join('')}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: split, annotations: ${JSON.stringify(own)}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: one, port: {number: 80}}}}]}}]}
`
}

async function ask(port: number, method = 'GET'): Promise<string> {
  const asked = request({ port, method, host: '127.0.0.1', agent: false, headers: { host: HOST } }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const body = await text(response)
  return response.statusCode === 200 ? (JSON.parse(body) as { name: string }).name : String(response.statusCode)
}

/** How many of the answers came from where. */
async function count(port: number, requests: number, method = 'GET'): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {}
  for (let at = 0; at < requests; at += 20) {
    for (const name of await Promise.all(Array.from({ length: 20 }, () => ask(port, method)))) {
      counts[name] = (counts[name] ?? 0) + 1
    }
  }
  return counts
}

function isNear(t: Test, counts: Readonly<Record<string, number>>, expected: Readonly<Record<string, number>>): void {
  t.same(Object.keys(counts).sort(), Object.keys(expected).sort())
  for (const [name, number] of Object.entries(expected)) {
    t.ok(Math.abs((counts[name] ?? 0) - number) <= 12, `${name}: ${counts[name]}, ${number} expected`)
  }
}

t.test(
  'I-64 at every door each backend gets its share, none where its weight is 0, and 503 where it is missing',
  async (t) => {
    const more = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: split, annotations: {portico.dev/split: "web=2, missing=1, gone=0"}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
    const doors = await startDoors(t, {}, more)
    for (const door of doors.names) {
      const statuses: Record<number, number> = {}
      for (let n = 0; n < 60; n++) {
        const { status = 0, body = '', upstream } = await doors.ask(door, { host: HOST })
        statuses[status] = (statuses[status] ?? 0) + 1
        t.equal(upstream.length > 0, status === 200)
        if (status === 503) t.match(body, 'PORTICO_UP_NO_SERVICE')
      }
      const { 200: served = 0, 503: refused = 0 } = statuses
      t.equal(served + refused, 60, door)
      t.ok(Math.abs(served - 40) <= 4, `${door}: ${served} of 60`)
    }
  },
)

for (const workers of ['0', '2']) {
  t.test(`shares hold with workers: ${workers}, and change with a reload`, async (t) => {
    const echoes = await startEchoes(t, 'one', 'two', 'three')
    const gateway = await runGateway(t, write('one=75, two=25, three=0'), {
      endpoints: endpointsOf(echoes),
      flags: { workers, 'https.enabled': 'false' },
    })
    isNear(t, await count(gateway.http, 400), { one: 300, two: 100 })
    await gateway.change(write('one=0, two=1, three=1'))
    isNear(t, await count(gateway.http, 200), { two: 100, three: 100 })
    await gateway.change(write(undefined))
    t.same(await count(gateway.http, 40), { one: 40 })
    await gateway.change(write('one=0, two=0'))
    t.same(await count(gateway.http, 20), { 503: 20 })
    // A Service in its own place again: the default backend is divided like a path.
    await gateway.change(
      write('one=1, two=1').replace(
        /spec: \{rules.*/,
        'spec: {defaultBackend: {service: {name: one, port: {number: 80}}}}',
      ),
    )
    isNear(t, await count(gateway.http, 200), { one: 100, two: 100 })
  })
}

t.test('a retry stays with the backend that was picked', async (t) => {
  const echoes = await startEchoes(t, 'one')
  let connections = 0
  const ports: number[] = []
  for (let at = 0; at < 2; at++) {
    const broken = createServer((socket) => {
      connections++
      socket.destroy()
    }).listen(0, '127.0.0.1')
    await once(broken, 'listening')
    t.teardown(() => broken.close())
    ports.push((broken.address() as AddressInfo).port)
  }
  const gateway = await runGateway(t, write('one=1, two=1'), {
    endpoints: { ...endpointsOf(echoes), two: ports },
    flags: { 'upstream.ejection.consecutiveFailures': '0' },
  })
  const counts: Record<string, number> = {}
  for (let n = 0; n < 20; n++) {
    const name = await ask(gateway.http)
    counts[name] = (counts[name] ?? 0) + 1
  }
  t.ok(Math.abs(counts.one! - 10) <= 2, JSON.stringify(counts))
  t.same(Object.keys(counts).sort(), ['502', 'one'])
  t.ok(connections > counts['502']!, `${connections} attempts: there were further tries`)
})

t.test('metrics name the backend that was picked', async (t) => {
  const echoes = await startEchoes(t, 'one', 'two')
  const gateway = await runGateway(t, write('one=1, two=1'), {
    endpoints: endpointsOf(echoes),
    flags: { 'admin.enabled': 'true', 'admin.port': '0' },
  })
  await count(gateway.http, 40)
  const metrics = await readMetrics(gateway)
  for (const name of ['one', 'two'])
    t.match(metrics, new RegExp(`portico_requests_total\\{.*service="default/${name}:80"`))
})

const NEXT = '---\napiVersion: v1\nkind: Service\nmetadata: {name: next}\nspec: {ports: [{port: 80}]}\n'

t.test('split-cookie keeps a client with its backend, at every door', async (t) => {
  const more = `${NEXT}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: split, annotations: {portico.dev/split: "web=1, next=1, missing=1", portico.dev/split-cookie: version}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
  const doors = await startDoors(t, {}, more, {}, ['next'])
  const known = new Set<string>()
  for (const door of doors.names) {
    const found = async (cookie?: string) => {
      const fields = cookie === undefined ? [] : ([['cookie', cookie]] as const)
      const { status, headers = [] } = await doors.ask(door, { host: HOST, fields })
      return { status, set: findAll(headers, 'set-cookie'), cache: findAll(headers, 'cache-control') }
    }
    const isSecure = /TLS|2/.test(door)
    const values = new Set<string>()
    for (const sent of [undefined, undefined, undefined, undefined, 'version=', 'version=bmV4dA', 'Version=x']) {
      const { status, set, cache } = await found(sent)
      t.same([set.length, cache[0]], status === 200 ? [1, 'private'] : [0, 'no-store'], `${sent} ${status}, ${door}`)
      if (status !== 200) continue
      const [, value = ''] = /^version=([\w-]{22}); Path=\/(?:; Secure)?; HttpOnly; SameSite=Lax$/.exec(set[0]!) ?? []
      t.ok(value, `${set[0]}, ${door}`)
      t.equal(set[0]!.includes('Secure'), isSecure, door)
      values.add(value)
      known.add(value)
    }
    for (const value of values) {
      for (let count = 0; count < 10; count++) {
        t.same(await found(`a=b; version=${value}`), { status: 200, set: [], cache: [] }, door)
      }
    }
  }
  t.equal(known.size, 4, 'each of two Services has one value in each of two gateways, whatever the door')
})

for (const workers of ['0', '2']) {
  t.test(`split-cookie with workers: ${workers}, over reloads and a restart`, async (t) => {
    const echoes = await startEchoes(t, 'one', 'two', 'three')
    const kept = { 'portico.dev/split-cookie': 'version' }
    const options = { endpoints: endpointsOf(echoes), flags: { workers, 'https.enabled': 'false' } }
    const gateway = await runGateway(t, write('one=1, two=1', kept), options)
    const cookies: Record<string, string> = {}
    for (let count = 0; count < 20; count++) {
      const { name, set } = await visit(gateway.http)
      cookies[name] = set!
    }
    t.same(Object.keys(cookies).sort(), ['one', 'two'])
    const isKept = async (name: string) => {
      for (let count = 0; count < 10; count++)
        t.same(await visit(gateway.http, cookies[name]), { name, set: undefined })
    }
    await isKept('one')
    await isKept('two')
    await gateway.change(write('one=1, two=1000', kept))
    await isKept('one')
    await gateway.change(write('one=0, two=1', kept))
    t.equal((await visit(gateway.http, cookies.one)).name, 'two', 'not with a weight of 0')
    t.equal((await visit(gateway.http, cookies.one)).set, cookies.two)
    await gateway.change(write('one=1, two=1, three=1', kept))
    await isKept('one')
    await gateway.change(write('one=1, gone=1', kept))
    const names = new Set<string>()
    for (let count = 0; count < 10; count++) names.add((await visit(gateway.http, cookies.two)).name)
    t.same([...names].sort(), ['503', 'one'], 'one whose Service is not among them gets what all get')
    await gateway.change(write('one=1, two=1'))
    t.equal((await visit(gateway.http)).set, undefined)
  })
}

/** The backend, and the cookie that it sets as a client sends it. */
async function visit(port: number, cookie?: string): Promise<{ name: string; set: string | undefined }> {
  const headers = { host: HOST, ...(cookie !== undefined && { cookie }) }
  const asked = request({ port, host: '127.0.0.1', agent: false, headers }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const body = await text(response)
  const name = response.statusCode === 200 ? (JSON.parse(body) as { name: string }).name : String(response.statusCode)
  return { name, set: response.headers['set-cookie']?.[0]?.split(';')[0] }
}

t.test('the cookie has the attributes of the Service, and stands beside its own', async (t) => {
  const echoes = await startEchoes(t, 'one')
  const manifests = write('one=1', { 'portico.dev/split-cookie': 'version' }).replace(
    '{name: one}',
    '{name: one, annotations: {portico.dev/affinity-type: cookie, portico.dev/affinity-cookie-max-age: 1h, portico.dev/affinity-cookie-same-site: strict}}',
  )
  const gateway = await runGateway(t, manifests, { endpoints: endpointsOf(echoes) })
  const asked = request({ port: gateway.http, host: '127.0.0.1', agent: false, headers: { host: HOST } }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  response.resume()
  const cookies = response.headers['set-cookie'] ?? []
  t.match(cookies, [/^portico_/, /^version=[\w-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Strict$/])
})
