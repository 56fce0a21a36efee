/** `portico tap` and `portico top` beside whole gateways, with workers and without. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { runCommandLine } from '../../bin/command-line.ts'
import type { HostProcess } from '../../bin/host-process.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { ONE_ROUTE, type RunningGateway, runGateway, startEchoes, visit } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { cleanEnvironment, MAIN, runPortico } from './process.ts'
import { TestProcess } from './test-process.ts'

async function start(t: Test, flags: Record<string, string> = {}): Promise<RunningGateway> {
  const { web } = await startEchoes(t, 'web')
  return runGateway(t, ONE_ROUTE, {
    endpoints: { web: [web.port] },
    flags: { 'admin.enabled': 'true', 'admin.port': '0', ...flags },
  })
}

type Tap = Readonly<{ child: ChildProcess; lines: string[]; talk: () => string; ended: Promise<number | null> }>

/** Goes on until the test ends. */
function startTap(t: Test, { admin }: Pick<RunningGateway, 'admin'>, words: readonly string[]): Tap {
  const all = [MAIN, 'tap', '--admin-port', String(admin), ...words]
  const child = keepChild(spawn(process.execPath, all, { stdio: 'pipe', env: cleanEnvironment() }))
  const lines: string[] = []
  let rest = ''
  let talk = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const found = (rest + chunk).split('\n')
    rest = found.pop()!
    lines.push(...found)
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    talk += chunk
  })
  const ended = once(child, 'close').then(() => child.exitCode)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { child, lines, talk: () => talk, ended }
}

/** Asks again and again until the line is there: when a tap has begun, nobody says. */
async function visitUntil(running: RunningGateway, url: string, isThere: () => boolean): Promise<void> {
  await until(async () => {
    await visit(running, url)
    return isThere()
  })
}

for (const workers of ['0', '1']) {
  t.test(`one line for each request that is wanted: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    const all = startTap(t, running, [])
    const posts = startTap(t, running, ['--method', 'post', '--host', 'a.test', '-o', 'wide'])
    const rows = startTap(t, running, ['--status', '2xx', '--service', 'web', '-o', 'json'])
    await visitUntil(running, 'http://a.test/first?token=hush', () => all.lines.length > 0 && rows.lines.length > 0)
    t.match(all.lines[0], /^\d\d:\d\d:\d\d 200 GET a\.test\/first\?token=\*\*\* {2}[\d.]+ ms {2}default\/web:80$/)
    t.match(JSON.parse(rows.lines[0]!), {
      host: 'a.test',
      status: 200,
      service: 'default/web:80',
      target: '/first?token=***',
    })
    await until(async () => {
      await visit(running, 'http://a.test/second', { method: 'POST' })
      return posts.lines.length > 0
    })
    const worker = workers === '0' ? '' : 'worker 1  '
    t.match(
      posts.lines[0],
      new RegExp(
        `^\\S+ 200 POST a\\.test/second  [\\d.]+ ms  default/web:80  from 127\\.0\\.0\\.1  route default/web\\|\\|Prefix /  endpoint 127\\.0\\.0\\.1:\\d+  ${worker}id \\S+$`,
      ),
    )
    t.notMatch(posts.lines.join('\n'), 'GET')
    t.notMatch(all.lines.join('\n'), /hush|\x1b/)
  })

  t.test(`one request, step by step: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    const { response } = await visit(running, 'http://a.test/a')
    const id = response.header('x-request-id')!
    const follow = ['tap', '--admin-port', String(running.admin), '--follow-request']
    let done = await runPortico([...follow, id])
    await until(async () => {
      done = await runPortico([...follow, id])
      return done.status === 0
    })
    t.match(done.stdout, /200 GET a\.test\/a .* id /)
    t.match(done.stdout, /^127\.0\.0\.1:\d+ answered 200$/m)
    t.match(done.stdout, /^ {2}\+0\.00 ms +head of the request$/m)
    t.match(done.stdout, /^ {2}\+[\d.]+ ms +try +[\d.]+ ms +127\.0\.0\.1:\d+: 200$/m)
    const json = await runPortico([...follow, id, '-o', 'json'])
    t.match(JSON.parse(json.stdout), { request_id: id, attempts: [{ outcome: '200' }] })

    const later = startTap(t, running, ['--follow-request', 'later-1'])
    await until(() => later.talk().includes('waiting for its end'))
    await visit(running, 'http://a.test/later', { fields: 'X-Request-Id: later-1\r\n' })
    t.equal(await later.ended, 0)
    t.match(later.lines.join('\n'), /200 GET a\.test\/later/)
  })

  t.test(`top: workers ${workers}`, async (t) => {
    const running = await start(t, { workers })
    const top = (...words: readonly string[]) => runPortico(['top', '--admin-port', String(running.admin), ...words])
    t.match(await top(), { status: 0, stdout: /0 requests\/s .*\n\nno requests so far\n$/ })
    for (let count = 0; count < 3; count++) await visit(running, 'http://a.test/')
    let done = await top('--once')
    await until(async () => {
      done = await top('--once')
      return / 3 +0\n/.test(done.stdout)
    })
    t.match(done.stdout, /^HOST +PATH +SERVICE +RATE +FAILING +4XX +MEDIAN +90% +99% +REQUESTS +FAILURES$/m)
    t.match(done.stdout, /^\* +\/ +default\/web:80 +[\d.]+ +\S+ +\S+ +[\d.]+ ms +[\d.]+ ms +[\d.]+ ms +3 +0$/m)
    t.match(done.stdout, /^SERVICE +ENDPOINT +IN FLIGHT/m)
    t.match(done.stdout, /^default\/web:80 +127\.0\.0\.1:\d+ +0 +/m)
    t.match(JSON.parse((await top('-o', 'json')).stdout), { requests: 3, routes: [{ requests: 3 }] })
  })
}

t.test('on a terminal top redraws in place, within it, and leaves it as it was', async (t) => {
  const running = await start(t)
  for (let count = 0; count < 3; count++) await visit(running, 'http://a.test/')
  const process = new TestProcess(['top', '--admin-port', String(running.admin)], cleanEnvironment())
  Object.assign(process.stdout, { isTTY: true, columns: 60, rows: 10 })
  const listeners = new Map<string, () => void>()
  let code: unknown
  const host = Object.assign(process, {
    on: (event: string, listener: () => void) => listeners.set(event, listener),
    exit: (given: unknown) => {
      code = given
      return undefined as never
    },
  }) as unknown as HostProcess
  const ended = runCommandLine(host)
  let shown = ''
  await until(() => {
    shown += process.output('stdout')
    return shown.split('\x1b[H').length > 3
  })
  t.ok(shown.startsWith('\x1b[?1049h\x1b[?25l\x1b[H'))
  const frames = shown.split('\x1b[H').slice(1)
  for (const frame of frames) {
    const lines = frame.replaceAll(/\x1b\[[0-9;?]*[a-zA-Z]/g, '').split('\n')
    t.ok(lines.length <= 10, `${lines.length} lines`)
    for (const line of lines) t.ok(line.length <= 60, line)
  }
  t.match(frames.join(''), 'default/web:80')
  listeners.get('SIGINT')!()
  t.equal(code, 0)
  t.match(process.output('stdout'), /\x1b\[\?25h\x1b\[\?1049l$/)
  await running.gateway.stop()
  t.equal(await ended, 4)
})

t.test('without a gateway, or without its token, the exit code is 4', async (t) => {
  const port = await findFreePort()
  for (const verb of ['tap', 'top']) {
    const done = await runPortico([verb, '--admin-port', String(port)])
    t.match(done, {
      status: 4,
      stdout: '',
      stderr: `no running gateway reached: 127.0.0.1:${port} refused the connection`,
    })
  }
  const running = await start(t, { 'admin.token': 'sesame-sesame-sesame' })
  for (const words of [['tap'], ['top'], ['tap', '--follow-request', 'x']]) {
    const done = await runPortico([...words, '--admin-port', String(running.admin)])
    t.match(done, { status: 4, stderr: 'asks for its token' }, words.join(' '))
  }
  const off = await start(t, { 'admin.records': '0' })
  for (const verb of ['tap', 'top']) {
    const done = await runPortico([verb, '--admin-port', String(off.admin)])
    t.match(done, { status: 4, stderr: 'admin.records is 0' })
  }
})

t.test('a gateway that goes away between the stream and the records is told of, without a stack', async (t) => {
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/api/v1/requests/stream')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': portico\n\n')
    } else request.socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  // A process of its own ends only once it has closed the stream.
  const tap = startTap(t, { admin: port }, ['--follow-request', 'x'])
  t.equal(await tap.ended, 4)
  t.match(tap.talk(), `no running gateway reached: 127.0.0.1:${port} has closed the connection`)
  t.notMatch(tap.talk(), /\n +at /)
})

t.test('a gateway that ends says so', async (t) => {
  const running = await start(t)
  const tap = startTap(t, running, [])
  await visitUntil(running, 'http://a.test/', () => tap.lines.length > 0)
  await running.gateway.stop()
  t.equal(await tap.ended, 4)
  t.match(tap.talk(), /the gateway has ended|has closed the connection|aborted/)
})

t.test('words that cannot be used', async (t) => {
  const cases = [
    [['--status', 'abc'], '"abc" is no status'],
    [['--min-duration', 'soon'], '"soon" is not a time'],
    [['-o', 'yaml'], '-o yaml is not known here'],
  ] as const
  for (const [words, message] of cases) t.match(await runPortico(['tap', ...words]), { status: 2, stderr: message })
})
