import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { DIAGNOSTICS } from '../../lib/base/diagnostics.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { checkGolden } from './golden.ts'
import { cleanEnvironment, MAIN, runPortico } from './process.ts'

const fixtures = 'test/fixtures/bin/check'
// File names are shown relative to the working directory.
const cwd = fixtures
const clean = readFileSync(join(fixtures, 'clean.yaml'), 'utf8')

t.test('every problem is printed in one pass, by file and line, with a count, and exit code 1', async (t) => {
  const { status, stdout, stderr } = await runPortico(['check', '-f', 'k8s/'], { cwd })
  t.equal(status, 1)
  t.equal(stderr, '')
  checkGolden(t, join(fixtures, 'text.txt'), stdout)
})

t.test('-o json gives each diagnostic with its place', async (t) => {
  const { status, stdout } = await runPortico(['check', '-f', 'k8s/', '-o', 'json'], { cwd })
  t.equal(status, 1)
  const { errors, warnings, diagnostics } = JSON.parse(stdout)
  t.match({ errors, warnings }, { errors: 2, warnings: 1 })
  for (const { code, position } of diagnostics) {
    t.ok(Object.hasOwn(DIAGNOSTICS, code), code)
    const line = readFileSync(join(fixtures, position.file), 'utf8').split('\n')[position.line - 1]
    t.equal(position.excerpt, line)
    t.ok(position.column + position.length - 1 <= line!.length, `${code} lies on its line`)
  }
  checkGolden(t, join(fixtures, 'result.json'), stdout)
})

t.test('-o sarif is SARIF 2.1.0 with the catalogue as rules, relative URIs and regions', async (t) => {
  const { status, stdout } = await runPortico(['check', '-f', 'k8s/', '-o', 'sarif'], { cwd })
  t.equal(status, 1)
  const log = JSON.parse(stdout)
  t.equal(log.version, '2.1.0')
  const [run] = log.runs
  t.strictSame(
    run.tool.driver.rules.map(({ id }: { id: string }) => id),
    Object.keys(DIAGNOSTICS),
  )
  const asked = await runPortico(['check', '-f', 'k8s/', '-o', 'json'], { cwd })
  const { diagnostics } = JSON.parse(asked.stdout)
  t.equal(run.results.length, diagnostics.length)
  for (const [index, result] of run.results.entries()) {
    const { code, position } = diagnostics[index]
    t.equal(run.tool.driver.rules[result.ruleIndex].id, code)
    t.equal(result.ruleId, code)
    t.ok(['error', 'warning', 'note'].includes(result.level))
    const { artifactLocation, region } = result.locations[0].physicalLocation
    t.equal(artifactLocation.uri, position.file)
    t.equal(region.startLine, position.line)
    t.equal(region.endColumn - region.startColumn, position.length)
  }
})

t.test('a file that holds nothing has a place in SARIF too, without columns', async (t) => {
  const folder = t.testdir({ 'empty.yaml': '', 'blank.yaml': '\n\n', 'comment.yaml': '# nothing\n' })
  const { stdout } = await runPortico(['check', '-f', '.', '-o', 'sarif'], { cwd: folder })
  const [run] = JSON.parse(stdout).runs
  t.ok(URL.canParse(run.tool.driver.informationUri))
  const places = run.results.map(({ locations }: { locations: { physicalLocation: unknown }[] }) => {
    return locations[0]?.physicalLocation
  })
  t.strictSame(places, [
    { artifactLocation: { uri: 'blank.yaml' }, region: { startLine: 1 } },
    { artifactLocation: { uri: 'comment.yaml' }, region: { startLine: 1 } },
    { artifactLocation: { uri: 'empty.yaml' }, region: { startLine: 1 } },
  ])
})

t.test('SARIF names stdin and files with spaces by valid URIs', async (t) => {
  const folder = t.testdir({ 'my shop': { 'a#b.yaml': 'kind: [' } })
  const read = async (words: readonly string[], stdin = '') => {
    const { stdout } = await runPortico(['check', '-o', 'sarif', ...words], { cwd: folder, stdin })
    return JSON.parse(stdout).runs[0].results[0].locations[0].physicalLocation.artifactLocation.uri
  }
  t.equal(await read(['-f', 'my shop/']), 'my%20shop/a%23b.yaml')
  t.equal(await read(['-f', '-'], 'kind: ['), '%3Cstdin%3E')
})

t.test('without problems the exit code is 0', async (t) => {
  const { status, stdout } = await runPortico(['check', '-f', 'clean.yaml'], { cwd })
  t.equal(stdout, 'no problems in 2 objects\n')
  t.equal(status, 0)
})

t.test('stdin is read with -f -, also among files', async (t) => {
  const { status, stdout } = await runPortico(['check', '-f', '-'], { stdin: clean })
  t.equal(stdout, 'no problems in 2 objects\n')
  t.equal(status, 0)
  const [ingress, service] = clean.split('---\n')
  const folder = t.testdir({ 'service.yaml': service! })
  const both = await runPortico(['check', '-f', '-', '-f', 'service.yaml'], { stdin: ingress!, cwd: folder })
  t.equal(both.stdout, 'no problems in 2 objects\n')
})

t.test('warnings alone pass, and fail with --strict from flag, environment or file', async (t) => {
  const settings = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nstrict: true\n'
  const folder = t.testdir({
    'warning.yaml': readFileSync(join(fixtures, 'warning.yaml'), 'utf8'),
    'portico.yaml': settings,
  })
  const check = (words: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
    runPortico(['check', '-f', 'warning.yaml', ...words], { cwd: folder, environment })
  const plain = await check([])
  t.match(plain.stdout, /PORTICO_REF_NO_ENDPOINTS[\s\S]*\n\n1 warning in 2 objects\n$/)
  t.equal(plain.status, 0)
  t.equal((await check(['--strict'])).status, 1)
  t.equal((await check([], { PORTICO_STRICT: 'true' })).status, 1)
  t.equal((await check(['-c', 'portico.yaml'])).status, 1)
  t.equal((await check(['-c', 'portico.yaml', '--no-strict'])).status, 0, 'a flag is above the file')
})

const SERVICE = `apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:3000"}}
spec: {ports: [{port: 80}]}
---
`

function printIngress({ name = 'web', kind = 'Ingress', service = 'web', port = '80', annotation = '', tls = '' }) {
  return `apiVersion: networking.k8s.io/v1
kind: ${kind}
metadata: {name: ${name}, annotations: {${annotation}}}
spec: {${tls}rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ${service}, port: {number: ${port}}}}}]}}]}
---
`
}

async function printSecret(): Promise<string> {
  const [one, other] = await Promise.all([
    makeCertificate({ names: ['a.test'] }),
    makeCertificate({ names: ['a.test'] }),
  ])
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'crossed' },
    type: 'kubernetes.io/tls',
    stringData: { 'tls.crt': one.certificate, 'tls.key': other.key },
  })
}

t.test('a dead route or an unused certificate is an error, and the exit code is 1', async (t) => {
  const cases: Readonly<Record<string, readonly [text: string, code: string]>> = {
    'a missing Service': [printIngress({ service: 'wep' }), 'PORTICO_REF_SERVICE_NOT_FOUND'],
    'a missing port': [printIngress({ port: '81' }), 'PORTICO_REF_PORT_NOT_FOUND'],
    'a kind in lower case': [printIngress({ kind: 'ingress' }), 'PORTICO_RES_KIND_UNKNOWN'],
    'a route taken by another': [
      `${printIngress({ name: 'a' })}${SERVICE.replaceAll('web', 'other')}${printIngress({ name: 'b', service: 'other' })}`,
      'PORTICO_ROUTE_CONFLICT',
    ],
    'a key of another certificate': [
      `${printIngress({ tls: 'tls: [{hosts: [a.test], secretName: crossed}], ' })}${await printSecret()}\n---\n`,
      'PORTICO_TLS_KEY_MISMATCH',
    ],
    'a guard': [
      printIngress({ annotation: 'nginx.ingress.kubernetes.io/enable-modsecurity: "true"' }),
      'PORTICO_ANN_GUARD_UNSUPPORTED',
    ],
  }
  for (const [name, [text, code]] of Object.entries(cases)) {
    const folder = t.testdir({ 'app.yaml': text + SERVICE })
    const { status, stdout } = await runPortico(['check', '-f', '.'], { cwd: folder })
    t.equal(status, 1, name)
    t.match(stdout, new RegExp(`^app\\.yaml:\\d+:\\d+ {2}error {2}${code}`, 'm'), name)
  }
})

t.test('--ignore leaves one code out, repeatedly, from flag, environment or file, in every form', async (t) => {
  const settings = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nignore: [PORTICO_REF_NO_ENDPOINTS]\n'
  const folder = t.testdir({
    'app.yaml': `${readFileSync(join(fixtures, 'warning.yaml'), 'utf8')}---\napiVersion: traefik.io/v1alpha1\nkind: Middleware\nmetadata: {name: x}\n`,
    'portico.yaml': settings,
  })
  const check = (words: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
    runPortico(['check', '-f', 'app.yaml', '--strict', ...words], { cwd: folder, environment })
  const one = ['--ignore', 'PORTICO_REF_NO_ENDPOINTS']
  const other = ['--ignore', 'PORTICO_RES_KIND_UNSERVED']
  t.match((await check([])).stdout, /\n2 warnings in 3 objects\n$/)
  const left = await check(one)
  t.match(
    left.stdout,
    /^app\.yaml:\d+:7 {2}warning {2}PORTICO_RES_KIND_UNSERVED {2}kind "Middleware"[\s\S]*\n1 warning in 3 objects\n$/,
  )
  t.equal(left.status, 1)
  t.match(await check([...one, ...other]), { status: 0, stdout: 'no problems in 3 objects\n' })
  t.equal(
    (await check(other, { PORTICO_IGNORE: 'PORTICO_REF_NO_ENDPOINTS' })).status,
    1,
    'a flag is above the environment',
  )
  t.match((await check([], { PORTICO_IGNORE: 'PORTICO_REF_NO_ENDPOINTS' })).stdout, /\n1 warning in/)
  t.match((await check(['-c', 'portico.yaml'])).stdout, /\n1 warning in/)
  t.equal(JSON.parse((await check([...one, '-o', 'json'])).stdout).diagnostics.length, 1)
  t.equal(JSON.parse((await check([...one, '-o', 'sarif'])).stdout).runs[0].results.length, 1)
})

t.test('a code that does not exist, or is one of settings, cannot be ignored', async (t) => {
  const check = (code: string) => runPortico(['check', '-f', 'clean.yaml', '--ignore', code], { cwd })
  const mistyped = await check('PORTICO_REF_NO_ENDPOINT')
  t.equal(mistyped.status, 1)
  t.match(mistyped.stdout, '"PORTICO_REF_NO_ENDPOINT" is no code of a problem')
  t.match(mistyped.stdout, 'did you mean "PORTICO_REF_NO_ENDPOINTS"?')
  t.match((await check('PORTICO_SET_FIELD_VALUE')).stdout, 'cannot be left out')
})

t.test('a guard is reported with its position, and with the setting that lets it pass', async (t) => {
  const folder = t.testdir({
    'app.yaml': printIngress({ annotation: 'nginx.ingress.kubernetes.io/enable-modsecurity: "true"' }) + SERVICE,
  })
  const { stdout } = await runPortico(['check', '-f', '.'], { cwd: folder })
  t.match(stdout, /^app\.yaml:3:37 {2}error .*annotation "nginx.ingress.kubernetes.io\/enable-modsecurity"/)
  t.match(stdout, 'unsupportedGuards: serve')
  const served = await runPortico(['check', '-f', '.', '--unsupported-guards', 'serve'], { cwd: folder })
  t.match(served.stdout, / {2}warning {2}PORTICO_ANN_GUARD_UNSUPPORTED[\s\S]*everything passes unguarded/)
  t.equal(served.status, 0)
  const explained = await runPortico(['explain', 'http://a.test/x', '-f', '.'], { cwd: folder })
  t.match(explained.stdout, /answer {2}503 PORTICO_GW_GUARD_UNSUPPORTED: "nginx.*enable-modsecurity" is a guard/)
  t.equal(explained.status, 1)
  const listed = await runPortico(['get', 'routes', '-f', '.', '-o', 'json'], { cwd: folder })
  t.match(JSON.parse(listed.stdout), [{ state: 'unavailable', reason: /^503: "nginx/, endpoints: [] }])
})

t.test('a file that is not there is a diagnostic, and the rest is still checked', async (t) => {
  const { status, stdout } = await runPortico(['check', '-f', 'nowhere.yaml', '-f', 'warning.yaml'], { cwd })
  t.equal(status, 1)
  t.match(stdout, 'PORTICO_FILE_NOT_FOUND')
  t.match(stdout, 'PORTICO_REF_NO_ENDPOINTS')
  t.match(stdout, '1 error, 1 warning in 2 objects')
})

t.test('a settings file that is not there is one problem, not two', async (t) => {
  const { status, stdout } = await runPortico(['check', '-f', 'clean.yaml', '-c', 'nowhere.yaml'], { cwd })
  t.equal(status, 1)
  t.match(stdout, /^error {2}PORTICO_FILE_NOT_FOUND {2}nowhere\.yaml does not exist\n/)
  t.match(stdout, /\n\n1 error in 2 objects\n$/)
  const other = await runPortico(['check', '-c', 'clean.yaml'], { cwd })
  t.match(other.stdout, 'clean.yaml holds no GatewayConfiguration')
})

t.test('wrong settings are diagnostics too, with the flag or variable that was wrong', async (t) => {
  const flag = await runPortico(['check', '-f', 'clean.yaml', '--http-port', '70000'], { cwd })
  t.equal(flag.status, 1)
  t.match(flag.stdout, '--http-port')
  const variable = await runPortico(['check', '-f', 'clean.yaml'], { cwd, environment: { PORTICO_HTTP_PORT: 'x' } })
  t.equal(variable.status, 1)
  t.match(variable.stdout, 'PORTICO_HTTP_PORT')
})

t.test('escape sequences in a manifest do not reach the terminal', async (t) => {
  const { stdout } = await runPortico(['check', '-f', '-'], {
    stdin: 'kind: "\x1b[2J\x07"\napiVersion: "v\x1b]0;x\x07"\n',
  })
  t.notMatch(stdout, /[\x00-\x08\x0b-\x1f\x7f]/)
})

t.test('a reader that goes away early does no harm', async (t) => {
  const many = Array.from({ length: 3000 }, (_, i) => `kind: Nothing${i}\napiVersion: v9\n`).join('---\n')
  const folder = t.testdir({ 'many.yaml': many })
  const child = keepChild(
    spawn(process.execPath, [MAIN, 'check', '-f', 'many.yaml'], { cwd: folder, env: cleanEnvironment() }),
  )
  const ended = once(child, 'close')
  const errors = text(child.stderr)
  await once(child.stdout, 'data')
  child.stdout.destroy()
  await ended
  t.equal(await errors, '')
  t.equal(child.exitCode, 0)
})
