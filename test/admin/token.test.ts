/** The token of the admin listener: its sources, changes of its file, and that no output shows it. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createAdmin } from '../../lib/admin/admin.ts'
import { createMetrics } from '../../lib/telemetry/metrics.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { runPortico, runProcess, startGateway } from '../bin/process.ts'
import { makeSettings } from '../helpers/settings.ts'
import { until } from '../helpers/until.ts'

const MANIFESTS = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
`
const SECRET = 'open-sesame'

function writeToken(t: Test, text: string, mode = 0o600): string {
  const file = join(t.testdir({}), 'token')
  writeFileSync(file, text)
  chmodSync(file, mode)
  return file
}

function create(tokenFile: string) {
  const lines: Record<string, unknown>[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const settings = makeSettings({ 'admin.port': 0, 'admin.tokenFile': tokenFile })
  const state = () => ({ ready: true, served: undefined, ports: {} })
  return {
    admin: createAdmin({ settings, state, metrics: createMetrics({ counts: new RequestCounts() }), log }),
    lines,
  }
}

async function start(t: Test, tokenFile: string) {
  const { admin, lines } = create(tokenFile)
  t.teardown(() => admin.close())
  const { port = 0 } = await admin.listen()
  return { lines, ask: (token: string, path?: string) => ask(port, token, path) }
}

async function ask(port: number, token: string, path = '/metrics'): Promise<number | undefined> {
  const request = get({ port, host: '127.0.0.1', path, agent: false, headers: { authorization: `Bearer ${token}` } })
  const [response] = await once(request, 'response')
  response.resume()
  await once(response, 'end')
  return response.statusCode
}

t.test('the token is read from a file, without its line end, and a changed token counts soon', async (t) => {
  const file = writeToken(t, `${SECRET}\n`)
  const { ask, lines } = await start(t, file)
  t.equal(await ask(SECRET), 200)
  t.equal(await ask(`${SECRET}x`), 401)
  t.equal(await ask(''), 401)
  t.equal(await ask('', '/livez'), 200)
  writeFileSync(file, 'another-one\r\n')
  await until(async () => (await ask('another-one')) === 200)
  t.equal(await ask(SECRET), 401)
  t.same(lines, [])
})

t.test('while the file holds no token no request is admitted, except health probes', async (t) => {
  const file = writeToken(t, SECRET)
  const { ask, lines } = await start(t, file)
  t.equal(await ask(SECRET), 200)
  rmSync(file)
  await until(async () => (await ask(SECRET)) === 401)
  t.equal(await ask(''), 401)
  t.equal(await ask('', '/readyz'), 503)
  writeFileSync(file, '\n')
  await until(() => lines.length === 2 || ask('').then(() => false))
  t.match(lines, [
    { level: 50, reason: `${file} cannot be read (ENOENT)` },
    { level: 50, reason: `${file} holds no token` },
  ])
  writeFileSync(file, SECRET)
  await until(async () => (await ask(SECRET)) === 200)
})

t.test('without a token in the file there is no admin listener', async (t) => {
  const folder = t.testdir({ empty: '\n', two: 'a\nb\n', large: 'x'.repeat(5_000) })
  mkdirSync(join(folder, 'folder'))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  for (const [name, reason] of [
    ['missing', /cannot be read \(ENOENT\)/],
    ['empty', /holds no token/],
    ['two', /holds more than one line/],
    ['large', /is too large/],
    ['folder', /is not a file/],
    ['pipe', /is not a file/],
  ] as const) {
    t.throws(() => create(join(folder, name)), reason, name)
  }
})

t.test('a token file that every user may read is reported', async (t) => {
  const { lines } = create(writeToken(t, SECRET, 0o644))
  t.match(lines, [{ level: 40, msg: 'admin.tokenFile: every user of this machine may read it' }])
  t.same(create(writeToken(t, SECRET, 0o640)).lines, [])
})

t.test('the command line finds the token by flag and environment too', async (t) => {
  const file = writeToken(t, `${SECRET}\n`)
  const gateway = await startGateway(t, ['run', '-f', '-', '--no-https', '--admin-token-file', file], {
    stdin: MANIFESTS,
  })
  const admin = ['--admin-port', String(gateway.ports.admin)]
  t.match(await runPortico(['get', 'services', ...admin, '--admin-token-file', file]), { status: 0, stdout: /web/ })
  for (const environment of [{ PORTICO_ADMIN_TOKEN: SECRET }, { PORTICO_ADMIN_TOKEN_FILE: file }]) {
    t.match(await runPortico(['get', 'services', ...admin], { environment }), { status: 0, stdout: /web/ })
  }
  t.match(await runPortico(['get', 'services', ...admin]), { status: 4, stderr: /asks for its token: .*-token-file$/m })
  const missing = ['--admin-token-file', `${file}-missing`]
  t.match(await runPortico(['get', 'services', ...admin, ...missing]), {
    status: 4,
    stderr: /cannot be read \(ENOENT\)/,
  })
  t.match(await runPortico(['healthcheck', ...admin, ...missing]), { status: 0 }, 'health needs no token')
  const { stdout } = await runPortico(['get', 'settings', ...admin, '-o', 'json'], {
    environment: { PORTICO_ADMIN_TOKEN: SECRET },
  })
  t.notMatch(stdout + gateway.stdout() + gateway.stderr(), SECRET)
})

t.test('the gateway does not start if its token file holds no token', async (t) => {
  const { status, stdout, stderr } = await runProcess(
    ['run', '-f', '-', '--admin-port', '0', '--http-port', '0', '--https-port', '0'],
    { stdin: MANIFESTS, environment: { PORTICO_ADMIN_TOKEN_FILE: writeToken(t, '') } },
  )
  t.equal(status, 1)
  t.match(stderr, /admin\.tokenFile: .*token holds no token/)
  t.notMatch(stdout, /ready/)
})

t.test(
  'check tells of a token file that is missing, unreadable or unfit, and of the place that names it',
  async (t) => {
    const settings = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nadmin:\n  tokenFile: token\n'
    const cwd = t.testdir({ 'portico.yaml': settings })
    const check = () => runPortico(['check', '-c', 'portico.yaml'], { cwd })
    t.match(await check(), {
      status: 1,
      stdout: /portico\.yaml:4:\d+ .*admin\.tokenFile: token cannot be read \(ENOENT\)/,
    })
    mkdirSync(join(cwd, 'token'))
    t.match(await check(), { status: 1, stdout: /portico\.yaml:4:\d+ .*admin\.tokenFile: token is not a file/ })
    rmSync(join(cwd, 'token'), { recursive: true })
    writeFileSync(join(cwd, 'token'), `${SECRET}\n${SECRET}`)
    const lines = await check()
    t.match(lines, { status: 1, stdout: /admin\.tokenFile: token holds more than one line/ })
    t.notMatch(lines.stdout + lines.stderr, SECRET)
    writeFileSync(join(cwd, 'token'), SECRET)
    t.equal((await check()).status, 0)
  },
)

t.test('a token that no header can carry is refused by check and at the start, and is not printed', async (t) => {
  const file = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nadmin:\n  token: "TOKEN"\n'
  for (const [written, token] of [
    ['\\t', '\t'],
    ['\\x7f', '\x7f'],
    ['\\x1b', '\x1b'],
    ['\u00e9', '\u00e9'],
  ] as const) {
    const own = `${SECRET}${token}${SECRET}`
    const cwd = t.testdir({
      'portico.yaml': file.replace('TOKEN', `${SECRET}${written}${SECRET}`),
      token: own,
    })
    const inFile = await runPortico(['check', '-c', 'portico.yaml'], { cwd })
    t.match(inFile, { status: 1, stdout: /portico\.yaml:4:\d+ .*admin\.token: the value cannot stand here/ })
    const words = ['check', '-f', '-']
    const inEnvironment = await runPortico(words, { stdin: MANIFESTS, environment: { PORTICO_ADMIN_TOKEN: own } })
    t.match(inEnvironment, { status: 1, stdout: /PORTICO_ADMIN_TOKEN: the value cannot stand here/ })
    const inTokenFile = await runPortico([...words, '--admin-token-file', 'token'], { stdin: MANIFESTS, cwd })
    t.match(inTokenFile, {
      status: 1,
      stdout: /admin\.tokenFile: token holds a character that no HTTP field can carry/,
    })
    const asking = await runPortico(['get', 'services', '--admin-token', own])
    t.match(asking, { status: 2, stderr: /--admin-token: the value cannot stand here/ })
    for (const { stdout, stderr } of [inFile, inEnvironment, inTokenFile, asking]) {
      t.notMatch(stdout + stderr, SECRET)
      t.notMatch(stdout + stderr, /a bug/)
    }
  }
  const free = ['--admin-port', '0', '--http-port', '0', '--no-https']
  for (const token of [' ', `${SECRET} `, `${SECRET}\t${SECRET}`]) {
    const environment = { PORTICO_ADMIN_TOKEN: token }
    const start = await runProcess(['run', '-f', '-', ...free], { stdin: MANIFESTS, environment })
    t.match(start, { status: 1, stdout: '', stderr: /PORTICO_ADMIN_TOKEN: the value cannot stand here/ })
    t.notMatch(start.stderr, SECRET)
  }
  const plain = await runPortico(['check', '-f', '-', '--admin-token', `${SECRET} a:b/c=`], { stdin: MANIFESTS })
  t.equal(plain.status, 0, plain.stdout)
})

t.test('a token on the command line is hidden from the list of processes, and a better way is named', async (t) => {
  const gateway = await startGateway(t, ['run', '-f', '-', '--no-https', '--admin-token', SECRET], { stdin: MANIFESTS })
  t.notMatch(readFileSync(`/proc/${gateway.child.pid}/cmdline`, 'latin1'), SECRET)
  t.equal(await ask(gateway.ports.admin, SECRET), 200)
  await gateway.says('give --admin-token-file, or PORTICO_ADMIN_TOKEN in the environment')
  t.notMatch(gateway.stdout() + gateway.stderr(), SECRET)
})

t.test('faults of a token are logged without the token', async (t) => {
  const settings = `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nadmin: {token: ${SECRET}}\n`
  const cwd = t.testdir({ 'portico.yaml': settings, 'number.yaml': settings.replace(SECRET, '7357735') })
  const environment = { PORTICO_ADMIN_TOKEN_FILE: '/nowhere' }
  const both = await runPortico(['check', '-c', 'portico.yaml'], { cwd, environment })
  t.match(both, { status: 1, stdout: /portico\.yaml:3:\d+.*admin\.token: admin\.tokenFile is set as well/ })
  t.notMatch(both.stdout + both.stderr, SECRET)
  const number = await runPortico(['check', '-c', 'number.yaml'], { cwd })
  t.match(number, { status: 1, stdout: /admin\.token: must be a string/ })
  t.notMatch(number.stdout + number.stderr, '7357735')
  const dash = await runPortico(['run', '-f', '-', '--admin-token', '-secret'], { stdin: MANIFESTS })
  t.match(dash, { status: 2, stderr: /--admin-token needs a value/ })
  t.notMatch(dash.stdout + dash.stderr, '-secret')
})
