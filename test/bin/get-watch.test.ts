/** `portico get` by the words of kubectl, and `-w`. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { runGateway } from '../helpers/running-gateway.ts'
import { cleanEnvironment, MAIN, runPortico } from './process.ts'

const ingress = (name: string, host: string, path = '/') => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, namespace: shop}
spec: {rules: [{host: ${host}, http: {paths: [{path: ${path}, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
const WEB = `---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: {portico.dev/endpoints: "127.0.0.1:9"}}
spec: {ports: [{port: 80}]}
`

t.test('Ingresses are got by name, and kinds and names in all the ways of kubectl', async (t) => {
  const cwd = t.testdir({
    'shop.yaml': WEB + ingress('one', 'a.test', '/two') + ingress('two', 'b.test') + ingress('web', 'c.test'),
  })
  const get = async (...words: string[]) => (await runPortico(['get', ...words, '-f', 'shop.yaml'], { cwd })).stdout
  t.equal(await get('ing', 'two', '-o', 'name'), 'route/b.test/\n', 'no route whose path is called so')
  t.equal(await get('ing', 'shop/one', '-o', 'name'), 'route/a.test/two\n')
  t.equal(await get('routes', 'a.test/two', '-o', 'name'), 'route/a.test/two\n')
  t.equal(await get('ing/two', '-o', 'name'), 'route/b.test/\n')
  t.equal(await get('svc/web', 'ing/web', 'svc/shop/web', '-o', 'name'), 'service/shop/web\nroute/c.test/\n')
  t.match(await get('svc,ing', 'web'), /^NAMESPACE .*\nshop +web .*\n\nHOST .*\nc\.test .*\n$/)
  t.match(JSON.parse(await get('svc,ep', '-o', 'json')), {
    services: [{ name: 'web' }],
    endpoints: [{ address: '127.0.0.1:9' }],
  })
  t.match(await get('svc', '--no-headers'), /^shop +web [^\n]*\n$/)
  const mixed = await runPortico(['get', 'svc/web', 'two', '-f', 'shop.yaml'], { cwd })
  t.equal(mixed.status, 2)
  t.match(mixed.stderr, '"two" is not KIND/NAME')
})

/** Its lines as they come; stdout is a pipe. */
function watch(t: Test, words: readonly string[], cwd?: string) {
  const child: ChildProcess = spawn(process.execPath, [MAIN, 'get', ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
    ...(cwd && { cwd }),
  })
  let [stdout, stderr] = ['', '']
  child.stdout!.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr!.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = once(child, 'close')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const until = async (isThere: () => boolean) => {
    while (!isThere()) {
      if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}:\n${stdout}${stderr}`)
      await sleep(10)
    }
  }
  return {
    child,
    ended,
    /** Resolves to all lines, once there are so many. */
    lines: async (count: number) => {
      await until(() => stdout.split('\n').length > count)
      return stdout.trimEnd().split('\n')
    },
    tells: (words: string) => until(() => stderr.includes(words)),
  }
}

for (const flag of ['-w', '--watch']) {
  t.test(`get ${flag} prints changed rows of files, and names rows that are gone`, async (t) => {
    const cwd = t.testdir({ 'shop.yaml': WEB + ingress('one', 'a.test') })
    const file = join(cwd, 'shop.yaml')
    const write = (text: string) => {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    }
    const got = watch(t, ['routes', flag, '-f', 'shop.yaml'], cwd)
    const [heading = '', first = ''] = await got.lines(2)
    t.match(heading, /^HOST +PATH /)
    t.match(first, /^a\.test +\/ /)
    write(`${WEB}${ingress('one', 'a.test')}${ingress('two', 'b.test')}`)
    t.match((await got.lines(3))[2], /^b\.test +\/ /, 'what is as it was is not printed again')
    write(`${WEB}${ingress('two', 'b.test')}`)
    await got.tells('route/a.test/ is gone')
    write(`${WEB}${ingress('two', 'b.test')}`.replace('"127.0.0.1:9"', '"127.0.0.1:10"'))
    const lines = await got.lines(4)
    t.ok(lines.slice(3).every((line) => line.startsWith('b.test')))
    t.equal(lines.filter((line) => line.startsWith('HOST')).length, 1)
    got.child.kill('SIGINT')
    await got.ended
    t.equal(got.child.signalCode, 'SIGINT')
  })
}

t.test('get -w of a running gateway follows it, each row as a line of JSON', async (t) => {
  const flags = { 'admin.enabled': 'true', 'admin.port': '0' }
  const running = await runGateway(t, WEB + ingress('one', 'a.test'), { flags })
  const got = watch(t, ['routes', '-w', '-o', 'json', '--admin-port', String(running.admin)])
  t.match(
    (await got.lines(1)).map((line) => JSON.parse(line)),
    [{ host: 'a.test', ingress: 'one' }],
  )
  await running.change(WEB + ingress('one', 'a.test') + ingress('two', 'b.test'))
  t.match((await got.lines(2)).map((line) => JSON.parse(line)).slice(1), [{ host: 'b.test', ingress: 'two' }])
  await running.gateway.stop()
  await got.tells('no running gateway reached')
  t.equal(got.child.exitCode, null, 'it may come back')
})

t.test('get -w ends with its reader', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': WEB + ingress('one', 'a.test') })
  const got = watch(t, ['routes', '-w', '-f', 'shop.yaml'], cwd)
  await got.lines(2)
  got.child.stdout!.destroy()
  writeFileSync(join(cwd, 'shop.yaml'), WEB + ingress('one', 'b.test'))
  await got.ended
  t.equal(got.child.exitCode, 0)
})

t.test('stdin and several kinds cannot be watched, and the flag is not a setting here', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': WEB })
  const several = await runPortico(['get', 'svc,ep', '-w', '-f', 'shop.yaml'], { cwd })
  t.equal(several.status, 2)
  t.match(several.stderr, '-w watches one kind')
  const piped = await runPortico(['get', 'svc', '-w', '-f', '-'], { stdin: WEB })
  t.equal(piped.status, 2)
  t.match(piped.stderr, '-f - cannot be watched')
  const missing = await runPortico(['get', 'svc', 'nobody', '-w', '-f', 'shop.yaml'], { cwd })
  t.equal(missing.status, 1)
  const got = watch(t, ['settings', 'watch', '-w', '-f', 'shop.yaml'], cwd)
  t.match((await got.lines(2))[1], /^watch +true +default$/)
})
