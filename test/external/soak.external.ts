/** What takes too long for every run: a minute of `npm run soak`, gigabyte bodies with flat memory, and reload after reload under load. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startPortico } from '../helpers/portico.ts'
import { soak } from '../soak/soak.ts'

const GIB = 2 ** 30
const CHUNK = Buffer.alloc(256 * 1024, 'x')

/** `/upload` answers how many bytes came; `/download` sends a gibibyte; all else answers `ok`. */
async function startUpstream(t: Test): Promise<number> {
  const server = http.createServer(async (request, response) => {
    if (request.url === '/upload') {
      let bytes = 0
      for await (const chunk of request) bytes += chunk.length
      response.end(String(bytes))
    } else if (request.url === '/download') {
      response.setHeader('Content-Length', GIB)
      await pipeline(Readable.from(chunks()), response)
    } else response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

function* chunks(): Generator<Buffer> {
  for (let sent = 0; sent < GIB; sent += CHUNK.length) yield CHUNK
}

function manifest(port: number, paths: readonly string[]): string {
  const rules = paths.map(
    (path) =>
      `          - { path: ${path}, pathType: Prefix, backend: { service: { name: app, port: { number: 80 } } } }`,
  )
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: app }
spec:
  rules:
    - host: app.localhost
      http:
        paths:
${rules.join('\n')}
---
apiVersion: v1
kind: Service
metadata:
  name: app
  annotations: { portico.dev/endpoints: "127.0.0.1:${port}" }
spec: { ports: [{ port: 80 }] }
`
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024
}

/** Runs `work` and answers how much more memory the process held at its peak than before, in bytes. */
async function peakGrowth(pid: number, work: () => Promise<void>): Promise<number> {
  const before = residentBytes(pid)
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, residentBytes(pid))
  }, 20)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return peak - before
}

const folderOf = (t: Test): string => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-soak-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

t.test('a minute of traffic beside attacks leaves memory, descriptors and latencies flat', async (t) => {
  const seed = Date.now() % 0x1_0000_0000
  t.comment(`seed ${seed}`)
  const { failures, wrong } = await soak({ seconds: 60, seed, every: 10, onLine: (line) => t.comment(line) })
  for (const failure of failures) t.comment(failure)
  t.same(wrong, [])
})

t.test('a gibibyte passes up and down with flat memory, over HTTP/1.1 and HTTP/2', async (t) => {
  const file = join(folderOf(t), 'app.yaml')
  writeFileSync(file, manifest(await startUpstream(t), ['/']))
  const portico = await startPortico(t, ['run', '-f', file, '--no-access-log'])
  const pid = portico.process.pid!
  const headers = { Host: 'app.localhost' }
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const http1 = (method: string, path: string) =>
    http.request({ host: '127.0.0.1', port: portico.ports.http, agent, method, path, headers })
  const session = http2.connect(`https://127.0.0.1:${portico.ports.https}`, { rejectUnauthorized: false })
  t.teardown(() => session.destroy())
  const http2Request = (method: string, path: string) =>
    session.request({ ':method': method, ':path': path, ':authority': 'app.localhost' })

  const cases: Record<string, () => Promise<void>> = {
    'HTTP/1.1 upload': async () => {
      const request = http1('POST', '/upload')
      const answered = once(request, 'response')
      await pipeline(Readable.from(chunks()), request)
      t.equal(await readText((await answered)[0]), String(GIB))
    },
    'HTTP/1.1 download': async () => {
      const request = http1('GET', '/download')
      request.end()
      t.equal(await countBytes((await once(request, 'response'))[0]), GIB)
    },
    'HTTP/2 upload': async () => {
      const stream = http2Request('POST', '/upload')
      const [text] = await Promise.all([
        readText(stream),
        pipeline(Readable.from(chunks()), stream, { end: true }).catch(() => {}),
      ])
      t.equal(text, String(GIB))
    },
    'HTTP/2 download': async () => {
      t.equal(await countBytes(http2Request('GET', '/download').end()), GIB)
    },
  }
  for (const [name, work] of Object.entries(cases)) {
    const growth = await peakGrowth(pid, work)
    t.comment(
      `${name}: resident memory grew by ${(growth / 2 ** 20).toFixed(1)} MiB at its peak, to ${(residentBytes(pid) / 2 ** 20).toFixed(0)} MiB`,
    )
    t.ok(growth < 128 * 2 ** 20, `${name} holds no body`)
  }
})

t.test('10,000 requests during 50 reloads: none fails', async (t) => {
  const file = join(folderOf(t), 'app.yaml')
  const port = await startUpstream(t)
  writeFileSync(file, manifest(port, ['/']))
  const portico = await startPortico(t, ['run', '-f', file, '--no-access-log'])
  const agent = new http.Agent({ keepAlive: true, maxSockets: 32 })
  t.teardown(() => agent.destroy())
  let reloading = true
  let failures = 0
  let requests = 0
  const ask = async () => {
    const request = http.get({
      host: '127.0.0.1',
      port: portico.ports.http,
      agent,
      path: '/',
      headers: { Host: 'app.localhost' },
    })
    const [response] = await once(request, 'response')
    if (response.statusCode !== 200 || (await readText(response)) !== 'ok') failures++
  }
  const client = async () => {
    while (reloading || requests < 10_000) {
      requests++
      await ask().catch(() => failures++)
    }
  }
  const clients = Promise.all(Array.from({ length: 16 }, client))
  for (let round = 1; round <= 50; round++) {
    writeFileSync(file, manifest(port, ['/', `/round-${round}`]))
    await generationWith(portico.ports.admin, `/round-${round}`)
  }
  reloading = false
  await clients
  t.comment(`${requests} requests during 50 reloads, ${failures} failures`)
  t.equal(failures, 0)
  t.ok(requests >= 10_000)
})

async function generationWith(adminPort: number, path: string): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1/routes`)
    if ((await response.text()).includes(`"${path}"`)) return
    await sleep(10)
  }
}

async function readText(stream: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk
  return text
}

async function countBytes(stream: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0
  for await (const chunk of stream) bytes += chunk.length
  return bytes
}
