/** The running gateway explains a URL as the command line does, with what is known of endpoints at the moment. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runPortico } from '../bin/process.ts'
import { askApi, readApi } from '../helpers/admin-api.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { makeSecretYaml, type RunningGateway, runGateway, startEchoes, visit } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'

const MANIFESTS = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: checked, annotations: {portico.dev/health-check: tcp, portico.dev/health-interval: 200ms}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: least, annotations: {portico.dev/balancer: least-requests}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: frail}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop, annotations: {portico.dev/response-headers-set: "X-A: b"}}
spec:
  tls: [{hosts: [tls.test], secretName: shop-tls}]
  rules:
    - host: shop.test
      http: {paths: [
        {path: /api, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}},
        {path: /checked, pathType: Prefix, backend: {service: {name: checked, port: {number: 80}}}},
        {path: /frail, pathType: Prefix, backend: {service: {name: frail, port: {number: 80}}}},
        {path: /least, pathType: Prefix, backend: {service: {name: least, port: {number: 80}}}}]}
    - host: tls.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`

type Running = RunningGateway & { manifests: string; endpoints: string; dead: number; held: number }

async function start(t: Test, workers: string): Promise<Running> {
  const { web } = await startEchoes(t, 'web')
  const held = createServer((request, response) => {
    if (request.url === '/frail/broken') response.destroy()
    else if (request.url !== '/least/hold') response.end('ok')
  }).listen(0, '127.0.0.1')
  await once(held, 'listening')
  t.teardown(() => {
    held.closeAllConnections()
    held.close()
  })
  const heldPort = (held.address() as AddressInfo).port
  const dead = await findFreePort()
  const manifests = MANIFESTS + (await makeSecretYaml('shop-tls', ['tls.test']))
  const endpoints = { web: [web.port], checked: [heldPort, dead], least: [heldPort, web.port], frail: [heldPort] }
  const running = await runGateway(t, manifests, {
    endpoints,
    flags: { 'admin.enabled': 'true', 'admin.port': '0', workers },
  })
  const text = Object.entries(endpoints).map(
    ([name, ports]) => `default/${name}=${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
  )
  return { ...running, manifests, endpoints: text.join(' '), dead, held: heldPort }
}

/** Without what only a running gateway knows, and without places of files. */
function dropLive(text: string): string {
  return text.replaceAll(/, \d+ in flight/g, '').replaceAll(/\S+manifests\.yaml/g, 'manifests.yaml')
}

for (const workers of ['0', '1']) {
  t.test(`the same text as offline, and what goes on besides: workers ${workers}`, async (t) => {
    const running = await start(t, workers)
    const { admin } = running
    const file = join(t.testdir({}), 'manifests.yaml')
    writeFileSync(file, running.manifests)
    const offline = ['-f', file, '--set', `endpoints=${running.endpoints}`]
    for (const words of [
      ['http://shop.test/api/../api/x?y=1'],
      ['https://tls.test/', '-X', 'POST', '-H', 'X-B: c'],
      ['http://shpo.test/'],
      ['http://shop.test/nothing'],
      ['http://shop.test/api', '--peer', '10.0.0.1', '-H', 'X-Forwarded-For: 192.0.2.1'],
    ]) {
      const live = await runPortico(['explain', ...words, '--admin', '--admin-port', String(admin)])
      const told = await runPortico(['explain', ...words, ...offline])
      t.equal(live.status, told.status, words.join(' '))
      t.equal(dropLive(live.stdout), dropLive(told.stdout), words.join(' '))
    }

    const port = ['--admin', '--admin-port', String(admin)]
    let done = await runPortico(['explain', 'http://shop.test/checked', ...port])
    await until(async () => {
      done = await runPortico(['explain', 'http://shop.test/checked', ...port])
      return done.stdout.includes('unhealthy')
    })
    t.match(done.stdout, new RegExp(`127\\.0\\.0\\.1:${running.dead} +unhealthy: .*refused`))
    t.match(
      done.stdout,
      new RegExp(`sends +GET /checked to http://127\\.0\\.0\\.1:${running.held},`),
      'the only one left',
    )

    // One endpoint has a request under way; the next goes to the other.
    let isBusy = ''
    void visit(running, 'http://shop.test/least/hold').catch(() => {})
    await until(async () => {
      const { upstream, text } = await readApi(admin, `/api/v1/explain?url=${encodeURIComponent('shop.test/least')}`)
      isBusy = text
      return upstream.endpoints.some(({ inFlight }: { inFlight: number }) => inFlight === 1)
    })
    t.match(isBusy, /\(it has the fewest requests under way: 0\)/)
    t.match(isBusy, /ready, 1 in flight/)

    // One that failed its last request has the state that get endpoints gives it.
    await visit(running, 'http://shop.test/frail/broken').catch(() => {})
    let told = ''
    await until(async () => {
      told = (await readApi(admin, `/api/v1/explain?url=${encodeURIComponent('shop.test/frail')}`)).text
      return told.includes('failing')
    })
    t.match(told, /127\.0\.0\.1:\d+ +failing, \d in flight, 2 failures in a row/)
    const rows = JSON.parse((await runPortico(['get', 'endpoints', ...port.slice(1), '-o', 'json'])).stdout)
    t.ok(rows.some(({ service, state }: Record<string, string>) => service === 'frail' && state === 'failing'))

    const json = await runPortico(['explain', 'http://shop.test/api', ...port, '-o', 'json'])
    t.match(JSON.parse(json.stdout), {
      generation: Number,
      winner: { path: '/api' },
      upstream: { service: 'default/web:80' },
    })
  })
}

t.test('questions that cannot be answered', async (t) => {
  const { admin } = await start(t, '0')
  const cases = {
    '': 'url: which URL',
    'url=ftp://a.test/': 'ftp:// is not served',
    'url=a.test&header=x': 'is no header field',
    'url=a.test&header=Content-Length: x': 'such a request is refused with 400',
    'url=a.test&method=GE T': 'is no method that is served',
    'url=a.test&client=somebody': 'an IP address',
    'url=a.test&colour=red': 'there are url, method',
  }
  for (const [query, message] of Object.entries(cases)) {
    const answer = await askApi(admin, `/api/v1/explain?${query.replaceAll(' ', '%20')}`)
    t.match(answer, { status: 400, body: message }, query)
  }
  const port = await findFreePort()
  const done = await runPortico(['explain', 'a.test', '--admin', '--admin-port', String(port)])
  t.match(done, { status: 4, stderr: 'no running gateway reached' })
  const implied = await runPortico(['explain', 'a.test', '--admin-port', String(port)])
  t.match(
    implied,
    { status: 4, stderr: 'no running gateway reached' },
    'its address is enough where no files are named',
  )
  const neither = await runPortico(['explain', 'a.test'])
  t.match(neither, { status: 2, stderr: 'or ask a running gateway: portico explain a.test --admin' })
  t.match(await runPortico(['explain', 'a.test', '--admin', '-f', 'x.yaml']), { status: 2 })
  const wrong = await runPortico(['explain', 'a.test', '--admin', '--admin-port', String(admin), '-X', 'CONNECT'])
  t.match(wrong, { status: 2, stderr: 'is no method that is served' })
})
