/**
 * Prometheus itself: it finds no fault with the metrics and the files of examples/monitoring, scrapes a gateway as OpenMetrics, and the
 * alerts fire on faults that are really there.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import t from 'tap'
import { startGateway } from '../bin/process.ts'
import { findFreePorts } from '../helpers/free-ports.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { until } from '../helpers/until.ts'

const FOLDER = 'examples/monitoring'

function tool(...words: string[]): string {
  const { status, stdout, stderr, error } = spawnSync('promtool', words, { encoding: 'utf8' })
  if (error) return 'apt-get install prometheus brings promtool'
  return status === 0 ? '' : stdout + stderr
}

t.test('promtool finds no fault with the files', async (t) => {
  t.equal(tool('check', 'rules', `${FOLDER}/rules.yml`), '')
  t.equal(tool('check', 'config', `${FOLDER}/prometheus.yml`), '')
  const { panels } = JSON.parse(readFileSync(`${FOLDER}/dashboard.json`, 'utf8')) as {
    panels: { targets?: { expr: string }[] }[]
  }
  // What Grafana puts in the place of variables.
  const queries = panels
    .flatMap(({ targets = [] }) => targets)
    .map(({ expr }) => expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, '.*'))
  const rules = queries.map((expr, index) => ({ record: `q:${index}`, expr }))
  const file = join(t.testdir(), 'queries.yml')
  writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
  t.equal(tool('check', 'rules', file), '')
})

/** Manifests of two Services, of which one has an endpoint that nobody listens on, and a certificate that expires tomorrow. */
async function printManifests(good: number, bad: number): Promise<string> {
  const tomorrow = new Date(Date.now() + 86_400_000)
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'good.test' }], {
    notAfterDate: tomorrow,
    keySize: 2048,
  })
  const service = (name: string, port: number) => `
apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: {portico.dev/endpoints: "127.0.0.1:${port}"}}
spec: {ports: [{port: 80}]}
---`
  const rule = (name: string) =>
    `{host: ${name}.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ${name}, port: {number: 80}}}}]}}`
  const base64 = (text: string) => Buffer.from(text).toString('base64')
  return `${service('good', good)}${service('bad', bad)}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls: [{hosts: [good.test], secretName: web-tls}]
  rules: [${rule('good')}, ${rule('bad')}]
---
apiVersion: v1
kind: Secret
metadata: {name: web-tls}
type: kubernetes.io/tls
data: {tls.crt: ${base64(cert)}, tls.key: ${base64(key)}}
`
}

t.test('Prometheus scrapes, and alerts fire', { timeout: 180_000 }, async (t) => {
  const upstream = createServer((_request, response) => response.end('hello'))
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  t.teardown(() => upstream.close())
  const { port: good } = upstream.address() as AddressInfo
  const [bad = 0, own = 0] = await findFreePorts(2)
  const cwd = t.testdir({ 'web.yaml': await printManifests(good, bad) })
  const words = [
    'run',
    '-f',
    'web.yaml',
    '--http-address',
    '127.0.0.1',
    '--https-address',
    '127.0.0.1',
    '--https-port',
    '0',
  ]
  const gateway = await startGateway(t, [...words, '--set', 'https.redirect=false'], { cwd })
  const { http, admin } = gateway.ports

  // The rules as they are, with seconds in the place of minutes.
  const rules = readFileSync(`${FOLDER}/rules.yml`, 'utf8')
    .replaceAll(/for: \d+m/g, 'for: 0s')
    .replaceAll(/\[\d+m\]/g, '[10s]')
  writeFileSync(join(cwd, 'rules.yml'), rules)
  copyFileSync(`${FOLDER}/prometheus.yml`, join(cwd, 'prometheus.yml'))
  const config = readFileSync(join(cwd, 'prometheus.yml'), 'utf8')
    .replaceAll('15s', '1s')
    .replace('127.0.0.1:9901', `127.0.0.1:${admin}`)
  writeFileSync(join(cwd, 'prometheus.yml'), config)
  const flags = [
    ...['--config.file=prometheus.yml', '--storage.tsdb.path=data', `--web.listen-address=127.0.0.1:${own}`],
    ...['--enable-feature=exemplar-storage', '--log.level=error'],
  ]
  const prometheus = keepChild(spawn('prometheus', flags, { cwd, stdio: ['ignore', 'ignore', 'inherit'] }))
  const ask = async <T>(path: string): Promise<T | undefined> => {
    try {
      const answer = (await (await fetch(`http://127.0.0.1:${own}/api/v1/${path}`)).json()) as { data: T }
      return answer.data
    } catch {
      return undefined // It does not listen yet.
    }
  }
  const firing = async () => {
    const data = await ask<{ alerts: { labels: { alertname: string }; state: string }[] }>('alerts')
    return new Set(data?.alerts.filter(({ state }) => state === 'firing').map(({ labels }) => labels.alertname))
  }
  const trace = '0af7651916cd43dd8448eb211c80319c'
  await until(async () => {
    const data = await ask<{ activeTargets: { health: string; lastError: string }[] }>('targets')
    return data?.activeTargets[0]?.health === 'up'
  })
  t.pass('the target is up: the page could be read')
  t.equal((await firing()).has('PorticoReloadFailed'), false)

  const send = async (host: string) => {
    const client = await connectRaw(http)
    const field = `traceparent: 00-${trace}-b7ad6b7169203331-01`
    await client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n${field}\r\nConnection: close\r\n\r\n`).response()
    client.destroy()
  }
  const wanted = ['PorticoCertificateExpires', 'PorticoFailures', 'PorticoWorkerRestarts', 'PorticoReloadFailed']
  writeFileSync(join(cwd, 'web.yaml'), 'apiVersion: v1\nkind: [')
  await until(async () => {
    await send('good.test')
    await send('bad.test')
    return (await firing()).has('PorticoFailures')
  })
  const list = (await (await fetch(`http://127.0.0.1:${admin}/api/v1/workers`)).json()) as { pid: number }[]
  process.kill(list[0]!.pid, 'SIGKILL')
  const seen = new Set<string>()
  await until(async () => {
    await send('bad.test').catch(() => {})
    for (const name of await firing()) seen.add(name)
    return wanted.every((name) => seen.has(name))
  })
  t.same(
    wanted.filter((name) => !seen.has(name)),
    [],
  )
  const query = encodeURIComponent('portico_request_duration_seconds_bucket')
  const range = `start=${Date.now() / 1000 - 600}&end=${Date.now() / 1000 + 60}`
  const exemplars = await ask<{ exemplars: { labels: { trace_id: string } }[] }[]>(
    `query_exemplars?query=${query}&${range}`,
  )
  t.equal(exemplars?.[0]?.exemplars[0]?.labels.trace_id, trace)

  gateway.child.kill('SIGTERM')
  await gateway.ended
  await until(async () => (await firing()).has('PorticoDown'))
  prometheus.kill('SIGTERM')
  await once(prometheus, 'exit')
})
