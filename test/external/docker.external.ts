/** The container as the README and `examples/docker-compose` run it: built, hardened, healthy, serving, drained. Needs a Docker engine. */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'

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

t.test('the image serves the docker-compose example', { skip: engine ? false : 'no Docker engine' }, async (t) => {
  must('build', '--network', 'host', '-t', name, '.')
  t.teardown(() => {
    run('rm', '-f', `${name}-gateway`, `${name}-web`, `${name}-api`)
    run('network', 'rm', name)
    run('rmi', '-f', name)
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
  const before = Date.now()
  must('stop', '-t', '20', `${name}-gateway`)
  t.equal(must('inspect', '-f', '{{.State.ExitCode}}', `${name}-gateway`), '0', 'SIGTERM ends it cleanly')
  t.ok(Date.now() - before < 15_000, 'within its drain deadline, not by SIGKILL')
})
