/** `portico logs`: the gateway's own lines, through the admin listener, and those that follow. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { RecentLines } from '../../lib/telemetry/recent-lines.ts'
import { ONE_ROUTE } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { cleanEnvironment, MAIN, runPortico, startGateway } from './process.ts'

t.test('the last lines, a few of them, those that follow; none of requests', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': ONE_ROUTE })
  const flags = ['--workers', '0', '--no-https', '--set', 'log.format=json']
  const { ports, child, ended, says } = await startGateway(t, ['run', '-f', 'shop.yaml', ...flags], { cwd })
  const admin = ['--admin-port', String(ports.admin)]
  const [response] = await once(get({ port: ports.http, agent: false }), 'response')
  response.resume()
  await says('"msg":"request"')
  const all = await runPortico(['logs', ...admin])
  t.equal(all.status, 0)
  t.match(all.stdout, /^\[\d\d:\d\d:\d\d\] INFO: ready/m)
  t.notMatch(all.stdout, '"path"')
  const json = (await runPortico(['logs', '-o', 'json', ...admin])).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  t.ok(json.some(({ msg, routes }) => msg === 'ready' && routes === 1))
  t.notOk(
    json.some(({ msg }) => msg === 'request'),
    'requests have a log of their own',
  )
  t.equal((await runPortico(['logs', '--tail', '1', ...admin])).stdout.trimEnd().split('\n').length, 1)
  t.equal((await runPortico(['logs', '--tail', '0', ...admin])).stdout, '')

  const following = spawn(process.execPath, [MAIN, 'logs', '-f', '--tail', '0', ...admin], { env: cleanEnvironment() })
  t.teardown(() => following.kill('SIGKILL'))
  let [told, talk] = ['', '']
  following.stdout.on('data', (chunk) => {
    told += chunk
  })
  following.stderr.on('data', (chunk) => {
    talk += chunk
  })
  // It may have begun before or after the first of these.
  const timer = setInterval(() => appendFileSync(join(cwd, 'shop.yaml'), '# more\n'), 300)
  await until(() => told.includes('shop.yaml changed'))
  clearInterval(timer)
  child.kill('SIGTERM')
  await ended
  const [code] = await once(following, 'close')
  t.equal(code, 4)
  t.match(talk, 'the gateway has gone')
})

t.test('what cannot be asked', async (t) => {
  t.match(await runPortico(['logs', '--tail', 'many']), { status: 2, stderr: /--tail many is no number/ })
  t.match(await runPortico(['logs', '--admin-port', '1']), { status: 4, stderr: /no running gateway reached/ })
  const cwd = t.testdir({ 'shop.yaml': ONE_ROUTE })
  const { ports } = await startGateway(t, ['run', '-f', 'shop.yaml', '--workers', '0', '--no-https'], { cwd })
  for (const after of ['x', '-1', '1e3', '1&after=2']) {
    const answer = await fetch(`http://127.0.0.1:${ports.admin}/api/v1/logs?after=${after}`)
    t.equal(answer.status, 400, after)
  }
})

t.test('lines are bounded by number and by size, and a number of another process gives all', (t) => {
  const recent = new RecentLines()
  for (let line = 1; line <= 5_000; line++) recent.add(`{"line":${line}}\n`)
  const known = recent.after(0)
  t.ok(known.length <= 1_000 && known.length >= 500, `${known.length}`)
  t.equal(known.at(-1), '{"line":5000}')
  t.equal(recent.last, 5_000)
  t.same(recent.after(4_998), ['{"line":4999}', '{"line":5000}'])
  t.same(recent.after(5_000), [])
  t.same(recent.after(9_999), known)
  for (let line = 0; line < 100; line++) recent.add(`${JSON.stringify('x'.repeat(100_000))}\n`)
  t.ok(recent.after(0).join('').length <= 1_048_576)
  recent.add(`${JSON.stringify('x'.repeat(2_000_000))}\n`)
  t.notOk(
    recent.after(0).some((line) => line.length > 1_048_576),
    'one that is too long is left out',
  )
  t.end()
})
