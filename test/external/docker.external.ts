/** The container as the README and `examples/docker-compose` run it: built, hardened, healthy, serving, drained. Needs a Docker engine. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { findFreePort, findFreePorts } from '../helpers/free-ports.ts'
import { keepChild } from '../helpers/kept-child.ts'

const run = (...words: string[]) => {
  const result = spawnSync('docker', words, { encoding: 'utf8', maxBuffer: 64 << 20 })
  return { status: result.status, output: `${result.stdout ?? ''}${result.stderr ?? ''}`.trim() }
}
const must = (...words: string[]): string => {
  const { status, output } = run(...words)
  if (status !== 0) throw new Error(`docker ${words.join(' ')}\n${output}`)
  return output
}

const name = `portico-test-${process.pid}`
const engine = run('info').status === 0

t.before(() => {
  if (engine) must('build', '--network', 'host', '-t', name, '.')
})
t.teardown(() => {
  if (engine) run('rmi', '-f', name)
})

/** Starts a container of the image, with flags of `docker run` and a command, and ends it with the test. */
async function startContainer(t: Test, flags: readonly string[], ...command: string[]): Promise<string> {
  const id = must(
    'run',
    '-d',
    '--read-only',
    '--cap-drop',
    'ALL',
    '--tmpfs',
    '/data:uid=65532',
    ...flags,
    name,
    ...command,
  )
  t.teardown(() => run('rm', '-f', id))
  for (let tries = 0; tries < 60; tries++) {
    if (run('exec', id, 'portico', 'healthcheck').status === 0) return id
    await sleep(500)
  }
  throw new Error(must('logs', id))
}

/** Manifests that whoever the container runs as may read. */
function writeManifests(t: Test, endpoint: string): readonly string[] {
  const text = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: web }
spec:
  rules: [{ http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }] } }]
---
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { portico.dev/endpoints: "${endpoint}" } }
spec: { ports: [{ port: 80 }] }
`
  const folder = t.testdir({ 'web.yaml': text })
  chmodSync(folder, 0o755)
  return ['-v', `${folder}:/etc/portico:ro`]
}

async function startEcho(t: Test, address: string): Promise<number> {
  const port = await findFreePort()
  const env = { ...process.env, ECHO_ADDRESS: address }
  const echo = keepChild(
    spawn('node', ['examples/echo.mjs', String(port)], { env, stdio: ['ignore', 'pipe', 'inherit'] }),
  )
  t.teardown(() => echo.kill('SIGKILL'))
  await once(echo.stdout, 'data')
  return port as number
}

/** Asked from within, so that it does not matter where a port leads. */
function askWithin(id: string, port = 8080): number {
  const script = `fetch('http://127.0.0.1:${port}/').then(({ status }) => console.log(status))`
  return Number(must('exec', id, 'node', '-e', script))
}

t.test('the image serves the docker-compose example', { skip: engine ? false : 'no Docker engine' }, async (t) => {
  t.teardown(() => {
    run('rm', '-f', `${name}-gateway`, `${name}-web`, `${name}-api`)
    run('network', 'rm', name)
  })
  must('network', 'create', name)
  const echo = ['-e', 'ECHO_ADDRESS=0.0.0.0', '-v', `${process.cwd()}/examples/echo.mjs:/srv/echo.mjs:ro`]
  for (const service of ['web', 'api']) {
    const place = ['--name', `${name}-${service}`, '--network', name, '--network-alias', service]
    must('run', '-d', ...place, ...echo, 'node:24-bookworm-slim', 'node', '/srv/echo.mjs', '3000')
  }
  const hardened = [
    '--read-only',
    '--cap-drop',
    'ALL',
    '--security-opt',
    'no-new-privileges:true',
    '--pids-limit',
    '64',
  ]
  const manifests = `${process.cwd()}/examples/docker-compose/manifests:/etc/portico:ro`
  must(
    'run',
    '-d',
    '--name',
    `${name}-gateway`,
    '--network',
    name,
    '--memory',
    '256m',
    ...hardened,
    '-v',
    manifests,
    name,
  )

  for (let tries = 0; tries < 60; tries++) {
    if (must('inspect', '-f', '{{.State.Health.Status}}', `${name}-gateway`) === 'healthy') break
    await sleep(1000)
  }
  const state = must('inspect', '-f', '{{.State.Health.Status}}', `${name}-gateway`)
  t.equal(state, 'healthy', must('logs', `${name}-gateway`))

  const address = must('inspect', '-f', `{{(index .NetworkSettings.Networks "${name}").IPAddress}}`, `${name}-gateway`)
  const fetchInside = (path: string): { port: number; host: string; url: string } => {
    const script = `require('http').get({host:'${address}',port:8080,path:'${path}',headers:{Host:'shop.localhost'}},r=>r.pipe(process.stdout))`
    return JSON.parse(must('exec', `${name}-web`, 'node', '-e', script))
  }
  t.match(fetchInside('/'), { port: 3000, host: 'shop.localhost', url: '/' })
  t.match(fetchInside('/api/x'), { url: '/api/x' })

  t.equal(must('exec', `${name}-gateway`, 'node', '-p', 'process.getuid()'), '65532', 'it is not root')
  t.match(
    must('exec', `${name}-gateway`, 'portico', 'get', 'routes'),
    /shop\.localhost +\/api/,
    'portico is on the PATH',
  )
  const before = Date.now()
  must('stop', '-t', '20', `${name}-gateway`)
  t.equal(must('inspect', '-f', '{{.State.ExitCode}}', `${name}-gateway`), '0', 'SIGTERM ends it cleanly')
  t.ok(Date.now() - before < 15_000, 'within its drain deadline, not by SIGKILL')
})

t.test(
  'a server of the host: what 127.0.0.1 means, and the two ways out',
  { skip: engine ? false : 'no Docker engine' },
  async (t) => {
    const local = await startEcho(t, '127.0.0.1')
    const refused = await startContainer(t, writeManifests(t, `127.0.0.1:${local}`))
    t.same([askWithin(refused), askWithin(refused)], [502, 502])
    const log = must('logs', refused)
    t.equal(log.match(/PORTICO_SVC_LOOPBACK/g)?.length, 1)
    for (const words of [
      '--network host',
      `host.docker.internal:${local}`,
      '--add-host=host.docker.internal:host-gateway',
    ])
      t.ok(log.includes(words), words)

    const [http = 0, https = 0, admin = 0] = await findFreePorts(3)
    const ports = Object.entries({ HTTP: http, HTTPS: https, ADMIN: admin }).flatMap(([key, port]) => [
      '-e',
      `PORTICO_${key}_PORT=${port}`,
    ])
    const host = await startContainer(t, ['--network', 'host', ...ports, ...writeManifests(t, `127.0.0.1:${local}`)])
    t.equal(askWithin(host, http), 200)

    const open = await startEcho(t, '0.0.0.0')
    const named = ['--add-host=host.docker.internal:host-gateway', ...writeManifests(t, `host.docker.internal:${open}`)]
    t.equal(askWithin(await startContainer(t, named)), 200)
  },
)

t.test(
  'the demo answers where a published port leads; metrics do, to whoever has the token',
  { skip: engine ? false : 'no Docker engine' },
  async (t) => {
    const readme = readFileSync('README.md', 'utf8')
    const flags = /^`(-p 127\.0\.0\.1:9901:9901 .*?)`/m.exec(readme)?.[1] ?? ''
    t.match(flags, 'PORTICO_ADMIN_ADDRESS')
    process.env.PORTICO_ADMIN_TOKEN = 'of the environment'
    t.teardown(() => delete process.env.PORTICO_ADMIN_TOKEN)
    const [port = 0, metrics = 0] = await findFreePorts(2)
    const given = flags.replace('127.0.0.1:9901:', `127.0.0.1:${metrics}:`).split(' ')
    await startContainer(t, ['-p', `127.0.0.1:${port}:8080`, ...given], 'demo')
    const page = await fetch(`http://127.0.0.1:${port}/`)
    t.equal(page.status, 404, 'no host of the demo, but its gateway')
    const ask = (authorization: string) => fetch(`http://127.0.0.1:${metrics}/metrics`, { headers: { authorization } })
    t.equal((await ask('Bearer wrong')).status, 401)
    const told = await ask('Bearer of the environment')
    t.match(await told.text(), 'portico_')
  },
)
