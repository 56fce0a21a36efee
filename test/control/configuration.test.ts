import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  type ConfigurationInput,
  ConfigurationLoader,
  hasSettingErrors,
  loadConfiguration,
} from '../../lib/control/configuration.ts'
import { printFilters } from '../../lib/filters/registry.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { settingsView } from '../../lib/report/views.ts'

const SETTINGS = 'apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n'
const SERVICE = 'apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n'
const INGRESS = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: a.test
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
`

function createFolder(t: Test, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'portico-configuration-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

function load(input: Partial<ConfigurationInput>) {
  return loadConfiguration({ sources: [], flags: {}, environment: {}, ...input })
}

t.test('manifests and settings become a model', async (t) => {
  const folder = createFolder(t, {
    'all.yaml': `${SERVICE}---\n${INGRESS}`,
    'portico.yaml': `${SETTINGS}endpoints: {default/web: ["127.0.0.1:3000"]}\n`,
  })
  const { model, settings, provenance, diagnostics, files, objects, resources } = await load({ sources: [folder] })
  t.same(
    diagnostics.filter(({ severity }) => severity !== 'info'),
    [],
  )
  t.same(
    findIngressTable(model).hosts.map(({ host }) => host),
    ['a.test'],
  )
  t.match(model.upstreams.get('default/web:80')?.endpoints, [{ host: '127.0.0.1', port: 3000, source: 'settings' }])
  t.same([files, resources.size, settings.http.port, provenance.get('endpoints')], [2, 2, 8080, 'file'])
  t.ok(objects >= 2)
})

t.test('stdin is one of the sources', async (t) => {
  const { model, diagnostics } = await load({
    sources: ['-'],
    stdin: `${SERVICE}---\n${INGRESS.replace('web, port', 'wab, port')}`,
  })
  t.equal(findIngressTable(model).hosts.length, 1)
  t.match(
    diagnostics.find(({ code }) => code === 'PORTICO_REF_SERVICE_NOT_FOUND'),
    { position: { file: '<stdin>' } },
  )
})

t.test('stdin without an object is an error', async (t) => {
  for (const text of ['', '\n', '---\n# Source: empty chart\n', 'apiVersion: v1\nkind: List\nitems: []\n']) {
    const { diagnostics } = await load({ sources: ['-'], stdin: text })
    t.match(
      diagnostics,
      [{ code: 'PORTICO_FILE_EMPTY', severity: 'error', message: 'no objects passed on stdin' }],
      JSON.stringify(text),
    )
    t.equal(diagnostics.length, 1)
  }
  for (const text of ['Error: chart not found\n', 'no such file\n']) {
    const { diagnostics } = await load({ sources: ['-'], stdin: text })
    t.match(diagnostics, [{ code: 'PORTICO_RES_NOT_AN_OBJECT', severity: 'error' }], text)
    t.equal(diagnostics.length, 1)
  }
})

t.test('what is served of a configuration has no literal for nothing', async (t) => {
  const { model } = await load({ sources: ['-'], stdin: SERVICE })
  t.match(model.services, [{ clusterIP: '', externalIP: '' }])
})

t.test('the settings file comes first, and may be one of the sources too', async (t) => {
  const folder = createFolder(t, { 'a.yaml': `${SETTINGS}http: {port: 1}\n`, 'z.yaml': `${SETTINGS}http: {port: 2}\n` })
  const { settings, diagnostics } = await load({ sources: [folder], config: join(folder, 'z.yaml') })
  t.equal(settings.http.port, 2)
  t.match(diagnostics, [{ code: 'PORTICO_SET_DUPLICATE', position: { file: /a\.yaml$/ } }])
  t.notOk(hasSettingErrors(diagnostics), 'the settings in force have no error')
})

t.test('a settings file without settings is an error', async (t) => {
  const folder = createFolder(t, { 'web.yaml': SERVICE })
  const { diagnostics } = await load({ config: join(folder, 'web.yaml') })
  t.match(
    diagnostics.filter(({ severity }) => severity === 'error'),
    [{ code: 'PORTICO_SET_MISSING', message: /web\.yaml holds no GatewayConfiguration$/ }],
  )
  t.ok(hasSettingErrors(diagnostics))
})

t.test('limits on files hold for the very files they stand among', async (t) => {
  const folder = createFolder(t, {
    'portico.yaml': `${SETTINGS}files: {maxBytes: 1Ki}\n`,
    'large.yaml': `${SERVICE}# ${'x'.repeat(2_000)}\n`,
  })
  const { diagnostics } = await load({ sources: [folder] })
  t.same(
    diagnostics.filter(({ severity }) => severity === 'error').map(({ code }) => code),
    ['PORTICO_FILE_TOO_LARGE'],
  )
})

t.test('every problem is told in one pass, by file and line', async (t) => {
  const folder = createFolder(t, {
    'a.yaml': `${SETTINGS}http: {prot: 1}\ntimeouts: {connect: 5}\n`,
    'b.yaml': 'kind: [',
    'c.yaml': SERVICE.replace('port: 80', 'port: 99999'),
    'd.yaml': INGRESS,
  })
  const { diagnostics } = await load({ sources: [folder] })
  t.same(
    diagnostics
      .filter(({ severity }) => severity !== 'info')
      .map(({ code, position }) => `${position?.file.at(-6)}:${position?.line} ${code}`),
    [
      'a:3 PORTICO_SET_FIELD_UNKNOWN',
      'a:4 PORTICO_SET_FIELD_VALUE',
      'b:1 PORTICO_YAML_SYNTAX',
      'c:4 PORTICO_RES_FIELD_VALUE',
      'd:8 PORTICO_REF_SERVICE_NOT_FOUND',
    ],
  )
})

t.test('a generation counts the loads, a fingerprint tells whether they differ', async (t) => {
  const folder = createFolder(t, { 'all.yaml': `${SERVICE}---\n${INGRESS}` })
  const loader = new ConfigurationLoader({ sources: [folder], flags: {}, environment: {} })
  const first = await loader.load()
  const second = await loader.load()
  writeFileSync(join(folder, 'all.yaml'), SERVICE)
  const third = await loader.load()
  t.same(
    [first, second, third].map(({ resources }) => resources.generation),
    [1, 2, 3],
  )
  t.equal(second.fingerprint, first.fingerprint)
  t.not(third.fingerprint, first.fingerprint)
})

t.test('nothing to read is no failure', async (t) => {
  const { model, diagnostics } = await load({ sources: [createFolder(t, {})] })
  t.same([findIngressTable(model).hosts.length, diagnostics.some(({ severity }) => severity === 'error')], [0, false])
})

t.test('filters of all routes in the settings act where no object speaks of them', async (t) => {
  const guarded = INGRESS.replaceAll('web}\nspec', 'other, annotations: {portico.dev/rate-limit: 1/s}}\nspec').replace(
    'a.test',
    'b.test',
  )
  const folder = createFolder(t, {
    'all.yaml': `${SERVICE}---\n${INGRESS}---\n${guarded}`,
    'portico.yaml': `${SETTINGS}routes: {rateLimit: 9/s, responseHeadersSet: {X-A: b}}\n`,
  })
  const { model, diagnostics } = await load({ sources: [folder] })
  t.same(
    diagnostics.filter(({ code }) => code !== 'PORTICO_REF_NO_ENDPOINTS'),
    [],
  )
  const headers = 'headers: response set X-A (settings)'
  t.same(
    findIngressTable(model).hosts.map(({ routes }) => printFilters(routes[0]!)),
    [
      ['rate-limit: 9/s a client, 9 at once (settings)', headers],
      ['rate-limit: 1/s a client, 1 at once', headers],
    ],
  )
})

t.test('an option under routes that cannot be used is an error of the settings, at its place', async (t) => {
  const folder = createFolder(t, { 'all.yaml': `${SERVICE}---\n${INGRESS}` })
  const options = [
    'rateLimit: 9',
    'rateLimti: 9/s',
    'respondBodyFrom: pages/a',
    'targetRefs: []',
    'compress: {br: true}',
  ]
  const text = `${SETTINGS}routes:\n${options.map((option) => `  ${option}\n`).join('')}`
  writeFileSync(join(folder, 'portico.yaml'), text)
  const { model, diagnostics } = await load({ sources: [folder] })
  t.ok(hasSettingErrors(diagnostics), 'Portico does not start')
  t.match(
    diagnostics
      .filter(({ code }) => code.startsWith('PORTICO_SET_'))
      .map(({ position, message, help }) => `${position?.line}:${position?.column} ${message} | ${help}`),
    [
      '4:14 routes.rateLimit: "9" is no rate | write requests a second',
      '5:3 unknown setting "rateLimti" in routes | did you mean "rateLimit"?',
      '6:20 routes.respondBodyFrom: the settings cannot refer to an object | write the text itself',
      '7:3 unknown setting "targetRefs" in routes',
      '8:13 routes.compress: it cannot be a mapping',
    ],
  )
  t.match(
    findIngressTable(model).hosts[0]?.routes[0]?.action,
    { code: 'PORTICO_GW_GUARD_INVALID' },
    'a guard among them',
  )
  writeFileSync(join(folder, 'portico.yaml'), `${SETTINGS}routes: {rateLimit: , compress: }\n`)
  const left = await load({ sources: [folder] })
  t.match(
    left.diagnostics.filter(({ code }) => code.startsWith('PORTICO_SET_')).map(({ message }) => message),
    ['routes.rateLimit: nothing stands here'],
    'a guard without a value; any other option is left out',
  )
  const flags = await load({ sources: [join(folder, 'all.yaml')], flags: { routes: 'rateLimit=9' } })
  t.match(
    flags.diagnostics.filter(({ code }) => code.startsWith('PORTICO_SET_')),
    [{ message: 'routes.rateLimit: "9" is no rate', position: undefined }],
  )
})

t.test('at a reload the settings from before stay in force where an option under routes cannot be used', async (t) => {
  const folder = createFolder(t, { 'all.yaml': `${SERVICE}---\n${INGRESS}` })
  const write = (rate: string) =>
    writeFileSync(join(folder, 'portico.yaml'), `${SETTINGS}routes: {rateLimit: ${rate}}\n`)
  const loader = new ConfigurationLoader({ sources: [folder], flags: {}, environment: {} })
  const find = async () => {
    const { model, kept } = await loader.load()
    return [printFilters(findIngressTable(model).hosts[0]!.routes[0]!)[0], kept.length]
  }
  write('9/s')
  t.same(await find(), ['rate-limit: 9/s a client, 9 at once (settings)', 0])
  write('9')
  t.same(await find(), ['rate-limit: 9/s a client, 9 at once (settings)', 1])
  write('8/s')
  t.same(await find(), ['rate-limit: 8/s a client, 8 at once (settings)', 0])
})

t.test('the query of a URL under routes is never printed', async (t) => {
  const routes = { authUrl: 'http://127.0.0.1:1/?secret=hunter2', rateLimit: '1/s' }
  t.same(settingsView({ ...(await load({})).settings, routes }).routes, {
    authUrl: 'http://127.0.0.1:1/?…',
    rateLimit: '1/s',
  })
})

t.test('a value without quotes that is wrong with quotes too has its own error alone', async (t) => {
  const annotated = (kind: string, value: string) =>
    kind.replace('{name: web}', `{name: web, annotations: {portico.dev/${value}}}`)
  const explain = async (stdin: string) => {
    const { diagnostics } = await load({ sources: ['-'], stdin })
    return diagnostics
      .filter(({ code }) => code !== 'PORTICO_REF_SERVICE_NOT_FOUND')
      .map(({ code, help }) => [code, help])
  }
  for (const value of ['rate-limit: 10', 'redirect-www: true', 'balancer: 7', 'mirror-share: 20']) {
    const own = await explain(
      `${annotated(SERVICE, value)}---\n${annotated(INGRESS, value.replace('balancer', 'split'))}`,
    )
    t.ok(own.length >= 2)
    t.ok(
      own.every(([code, help]) => code === 'PORTICO_ANN_VALUE' && !help?.includes('quote it')),
      value,
    )
  }
  const quoted = [['PORTICO_RES_FIELD_TYPE', 'quote it: "3"']]
  t.same(await explain(`${SERVICE}---\n${annotated(INGRESS, 'tries: 3')}`), quoted)
})
