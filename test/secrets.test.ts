import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import t from 'tap'
import { printDiagnostic } from '../lib/base/print-diagnostic.ts'
import { loadConfiguration } from '../lib/control/configuration.ts'
import { runPortico } from './bin/process.ts'
import { Random } from './fuzz/random.ts'
import { damage, MARK, SECRET_TEXTS } from './fuzz/secret-text.ts'
import { startPortico } from './helpers/portico.ts'
import { until } from './helpers/until.ts'

const DAMAGED = 1_500
const SEED = 4

/** What damage has made a key, a name, or the kind of an object is one. */
const IS_NAME = new RegExp(
  `(?:${MARK}[\\w./-]*["']?\\s*:|\\b(?:kind|type|name|namespace|apiVersion)["']?\\s*:[\\s"'>|-]*\\S*${MARK})`,
)

const damaged = (() => {
  const random = new Random(SEED)
  return Array.from({ length: DAMAGED }, () => damage(random.pick(SECRET_TEXTS), random)).filter(
    (text) => !IS_NAME.test(text),
  )
})()

/** Where the mark shows, with what stands before it. */
function findMark(output: string): string | undefined {
  const at = output.indexOf(MARK)
  return at === -1 ? undefined : output.slice(Math.max(0, at - 300), at + 40)
}

async function report(text: string): Promise<string> {
  const { diagnostics } = await loadConfiguration({ sources: ['-'], stdin: text, flags: {}, environment: {} })
  return JSON.stringify(diagnostics) + diagnostics.map((item) => printDiagnostic(item)).join('\n')
}

t.test('no diagnostic shows a value of a Secret or a private key', async (t) => {
  for (const text of SECRET_TEXTS) {
    const output = await report(text)
    t.equal(findMark(output), undefined, text)
  }
})

t.test('no diagnostic shows a value of a damaged Secret', async (t) => {
  const shown = []
  let told = 0
  for (const text of damaged) {
    const output = await report(text)
    if (output.length > 2) told++
    const found = findMark(output)
    if (found !== undefined) shown.push({ text, found })
  }
  t.same(shown.slice(0, 3), [])
  t.ok(told > damaged.length / 2, 'most are told to be damaged')
})

t.test('no output of any command, page or log shows a secret', async (t) => {
  const folder = t.testdir({ all: {}, secrets: {} })
  for (const [index, text] of [...SECRET_TEXTS, ...damaged.slice(0, 150)].entries()) {
    writeFileSync(join(folder, 'all', `${index}.yaml`), text)
    // With errors in its settings no gateway starts.
    if (!/GatewayConf|portico\.dev/.test(text)) writeFileSync(join(folder, 'secrets', `${index}.yaml`), text)
  }
  const commands = [
    ...['text', 'json', 'sarif'].map((form) => ['check', '-f', 'all', '-o', form]),
    ['explain', 'http://a.test/', '-f', 'secrets'],
    ...['services', 'endpoints', 'routes', 'certificates', 'settings'].map((what) => [
      'get',
      what,
      '-o',
      'json',
      '-f',
      'secrets',
    ]),
  ]
  for (const words of commands) {
    const { stdout, stderr } = await runPortico(words, { cwd: folder })
    t.not(stdout.length + stderr.length, 0, words.join(' '))
    t.equal(findMark(stdout + stderr), undefined, words.join(' '))
  }
  const { ports, output } = await startPortico(t, ['run', '-f', join(folder, 'secrets'), '--log-level', 'debug'])
  const views = ['certificates', 'diagnostics', 'endpoints', 'routes', 'services', 'settings']
  for (const path of ['/', '/metrics', ...views.map((name) => `/api/v1/${name}`)]) {
    const answer = await fetch(`http://127.0.0.1:${ports.admin}${path}`)
    t.equal(answer.status, 200, path)
    t.equal(findMark(await answer.text()), undefined, path)
  }
  const before = output().length
  for (const index of SECRET_TEXTS.keys()) {
    writeFileSync(join(folder, 'secrets', `again-${index}.yaml`), `${SECRET_TEXTS[index]}\tx\n`)
  }
  await until(() => output().length > before && output().includes('again-'))
  t.equal(findMark(output()), undefined, 'the log of the start and of a reload')
})

t.test('users, hashes and passwords of basic-auth are shown nowhere', async (t) => {
  const folder = t.testdir({ before: {}, after: {} })
  const user = `${MARK}user`
  const print = (type: string, data: object) => `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {portico.dev/basic-auth-secret: users, portico.dev/basic-auth-secret-type: ${type}}}
spec: {rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: ${JSON.stringify(data)}
`
  /** Of "…pass" and "…new"; the salt is the mark. */
  const old = `$6$${MARK}$e/ScKpBp9UGgr5YX4veyFw4tx9458g7hNd1Fqkmxgr3BqvexLKmp4zVWLyPLzw.CSqmwevicCJMl/cch2NXEn.`
  const changed = `$5$${MARK}$X872jIt/SH/hCOsXfQBlwwG.0TQXiTPu3ZZvm6DiJ84`
  const file = join(folder, 'before', 'web.yaml')
  writeFileSync(file, print('auth-file', { auth: `${user}:${old}\n` }))
  const wrong = [
    print('auth-file', { auth: `${user}:${changed.slice(1)}\n` }),
    print('auth-file', { auth: MARK }),
    print('auth-file', { auth: `${user}:${old}\n${user}:${changed}` }),
    print('auth-file', { [MARK]: old }),
    print('auth-map', { [user]: MARK }),
  ]
  for (const [index, text] of wrong.entries()) {
    const output = await report(text)
    t.match(output, /PORTICO_ANN_VALUE/)
    // The list of keys of a Secret is no list of its values, and here they are users.
    t.equal(findMark(output), undefined, `${index}`)
  }
  const commands = [
    ...['text', 'json', 'sarif'].map((form) => ['check', '-o', form]),
    ['explain', 'http://a.test/'],
    ['explain', 'http://a.test/', '-H', `Authorization: Basic ${Buffer.from(`${user}:x`).toString('base64')}`],
    ['explain', 'http://a.test/', '-o', 'json'],
    ...['routes', 'services', 'settings'].map((what) => ['get', what, '-o', 'json']),
    ['get', 'routes', '-o', 'wide'],
  ]
  for (const words of commands) {
    const { stdout, stderr } = await runPortico([...words, '-f', 'before'], { cwd: folder })
    t.not(stdout.length + stderr.length, 0, words.join(' '))
    t.equal(findMark(stdout + stderr), undefined, words.join(' '))
  }
  const { ports, output } = await startPortico(t, ['run', '-f', join(folder, 'before'), '--log-level', 'debug'])
  const ask = async (password: string): Promise<number> => {
    const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`
    const request = get({
      port: ports.http,
      host: '127.0.0.1',
      headers: { Host: 'a.test', Authorization: authorization },
    })
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    t.equal(findMark(JSON.stringify(answer.headers) + (await textOf(answer))), undefined)
    return answer.statusCode!
  }
  // The endpoint is not there: who comes in is answered 502.
  t.same([await ask('wrong'), await ask(`${MARK}pass`)], [401, 502])
  writeFileSync(file, print('auth-map', { [user]: changed }))
  await until(() => output().includes('secrets of filters basic-auth'))
  t.same([await ask(`${MARK}pass`), await ask(`${MARK}new`)], [401, 502])
  writeFileSync(file, print('auth-file', { [user]: changed }))
  await until(() => output().includes('has no key'))
  t.equal(await ask(`${MARK}new`), 503)
  for (const path of ['/', '/metrics', ...['diagnostics', 'routes', 'services'].map((name) => `/api/v1/${name}`)]) {
    t.equal(findMark(await (await fetch(`http://127.0.0.1:${ports.admin}${path}`)).text()), undefined, path)
  }
  t.equal(findMark(output()), undefined, 'the logs of the start, of requests and of reloads')
})
