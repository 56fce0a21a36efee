/** The Deployment of the controller: Portico takes its place, and its flags are settings. */
import { readFileSync, writeFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { loadConfiguration } from '../../../../lib/control/configuration.ts'
import { findIngressTable } from '../../../../lib/model/route-table.ts'
import { SETTING_LIST } from '../../../../lib/settings/resolve.ts'
import {
  CLASS_FLAGS,
  FLAG_SETTINGS,
  PASSTHROUGH_FLAG,
  REFUSED_FLAGS,
} from '../../../../lib/translate/ingress/nginx/controller-flags.ts'
import { runPortico } from '../../../bin/process.ts'
import { startDoors } from '../../../doors/request-doors.ts'
import { endpointsOf, makeSecretYaml, runGateway, startEchoes, visit } from '../../../helpers/running-gateway.ts'
import { askHost, printIngresses, printService } from './nginx-ingress.ts'

const PAGE = 'docs/ingress-nginx-controller.md'

type WrittenController = Readonly<{ kind?: string; name?: string; image?: string; namespace?: string }>

/** As the charts write it. */
function printController(
  words: readonly string[],
  {
    kind = 'Deployment',
    name = 'ingress-nginx-controller',
    image,
    namespace = 'ingress-nginx',
  }: WrittenController = {},
): string {
  const container = {
    name: 'controller',
    image: image ?? 'registry.k8s.io/ingress-nginx/controller:v1.15.1',
    args: image === undefined ? ['/nginx-ingress-controller', ...words] : words,
    env: [
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { fieldPath: 'metadata.namespace' } } },
      { name: 'CLASS', value: 'edge' },
    ],
  }
  const template = { metadata: { labels: { app: 'controller', tier: 'edge' } }, spec: { containers: [container] } }
  return `apiVersion: apps/v1\nkind: ${kind}\nmetadata: ${JSON.stringify({ name, namespace })}\nspec: ${JSON.stringify({ template })}\n`
}

const printMap = (name: string, data: Readonly<Record<string, string>>): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, namespace: ingress-nginx}\ndata: ${JSON.stringify(data)}\n`

const load = (stdin: string, flags: Readonly<Record<string, string>> = {}) =>
  loadConfiguration({ sources: ['-'], stdin, flags, environment: {} })

const listHosts = async (stdin: string, flags: Readonly<Record<string, string>> = {}) =>
  findIngressTable((await load(stdin, flags)).model).hosts.map(({ host }) => host)

t.test('a controller among the manifests turns compatibility on, and its flags are settings', async (t) => {
  const map = printMap('edge', { 'proxy-body-size': '3m' })
  const words = ['--configmap=$(POD_NAMESPACE)/edge', '--ingress-class', '$(CLASS)', '--v=2', '--election-id=x']
  const { settings, provenance, controllerObjects, diagnostics } = await load(`${printController(words)}---\n${map}`)
  t.same(diagnostics, [])
  t.equal(settings.compatibility, 'ingress-nginx')
  t.equal(settings.controllerConfigmap, 'ingress-nginx/edge')
  t.equal(settings.limits.bodyBytes, 3 * 1024 ** 2)
  t.same(settings.ingressClasses, ['edge'])
  t.equal(provenance.get('ingressClasses'), 'compatibility')
  t.match(controllerObjects, [
    { name: 'Deployment ingress-nginx/ingress-nginx-controller', part: 'flag', count: 2 },
    { name: 'ConfigMap ingress-nginx/edge', part: 'key', count: 1 },
  ])
  const off = await load(`${printController(words)}---\n${map}`, { compatibility: 'off' })
  t.same([off.settings.ingressClasses, off.settings.limits.bodyBytes, off.controllerObjects], [[], 0, []])
  const own = await load(`${printController(words)}---\n${map}`, { 'limits.bodyBytes': '1Ki' })
  t.equal(own.settings.limits.bodyBytes, 1024)
})

t.test('what runs the controller, and what does not', async (t) => {
  const isOn = async (stdin: string) => (await load(stdin)).settings.compatibility === 'ingress-nginx'
  t.ok(await isOn(printController([], { kind: 'DaemonSet' })))
  for (const image of [
    'quay.io/kubernetes-ingress-controller/nginx-ingress-controller:0.33.0',
    'registry.k8s.io/ingress-nginx/controller-chroot:v1.9.0@sha256:ab',
    'docker.io/bitnami/nginx-ingress-controller',
  ]) {
    t.ok(await isOn(printController([], { image })), image)
  }
  for (const image of ['nginx:1.27', 'example.test/ingress-nginx/controllers:1', 'example.test/my-controller']) {
    t.notOk(await isOn(printController(['--ingress-class=nginx'], { image })), image)
  }
  t.notOk(await isOn(printController([]).replace('apps/v1', 'apps/v1beta9')))
  t.notOk(await isOn(printController(['-l', '/nginx-ingress-controller'], { image: 'busybox' })))
  const odd = ['args: 7', 'args: [{a: 1}, null]', 'image: []'].map(
    (field) =>
      `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{${field}}]}}}\n`,
  )
  for (const text of odd) t.notOk(await isOn(text), text)
})

t.test('--ingress-class and its like decide which Ingresses are served', async (t) => {
  const className = (name: string, controller: string) =>
    `apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: ${name}}\nspec: {controller: ${controller}}\n`
  const text = [
    className('nginx', 'k8s.io/ingress-nginx'),
    className('inner', 'example.test/inner'),
    className('own', 'portico.dev/ingress-controller'),
    printIngresses({
      a: { nginx: {}, more: 'ingressClassName: nginx' },
      b: { nginx: {}, more: 'ingressClassName: inner' },
      c: { nginx: { 'kubernetes.io/ingress.class': 'legacy' } },
      d: { nginx: {} },
      e: { nginx: {}, more: 'ingressClassName: own' },
    }),
    printService('web'),
  ].join('---\n')
  const served = (...words: readonly string[]) => listHosts(`${printController(words)}---\n${text}`)
  t.same(await served(), ['a.test', 'e.test'])
  t.same(await served('--controller-class=example.test/inner', '--ingress-class=x'), ['b.test', 'e.test'])
  t.same(await served('--ingress-class=legacy'), ['a.test', 'c.test', 'e.test'])
  t.same(await served('--watch-ingress-without-class=true'), ['a.test', 'd.test', 'e.test'])
  t.same(await served('--watch-ingress-without-class'), ['a.test', 'd.test', 'e.test'])
  t.same(await served('--watch-ingress-without-class=false'), ['a.test', 'e.test'])
  t.same(await listHosts(`${printController([])}---\n${text}`, { ingressClasses: 'inner' }), ['b.test'])
  t.same(await listHosts(text, { ingressClasses: '-,inner' }), ['b.test', 'd.test'])
})

t.test('of several controllers one is named, or nobody gets in', async (t) => {
  const edge = printController(['--ingress-class=edge', '--default-backend-service=default/a'], { name: 'a' })
  const inner = printController(['--ingress-class=inner', '--default-backend-service=default/b'], { name: 'b' })
  const text = `${inner}---\n${edge}---\n${printService('a')}---\n${printService('b')}`
  const { settings, diagnostics } = await load(text)
  t.equal(settings.defaultBackendService, '')
  t.match(settings.routes, { maintenance: 'true' })
  t.match(diagnostics, [
    {
      code: 'PORTICO_SET_CONTROLLER',
      severity: 'error',
      message: 'there are 2 controllers whose place could be taken',
    },
  ])
  const open = await load(text, { unsupportedGuards: 'serve' })
  t.notOk('maintenance' in open.settings.routes)
  for (const flags of [
    { ingressClasses: 'inner', compatibility: 'ingress-nginx' },
    { controllerWorkload: 'ingress-nginx/b' },
  ]) {
    const named = await load(text, flags)
    t.equal(named.settings.defaultBackendService, 'default/b')
    t.equal(named.settings.controllerWorkload, 'ingress-nginx/b')
    t.same(named.diagnostics, [])
  }
  const lost = await load(text, { controllerWorkload: 'ingress-nginx/c' })
  t.match(lost.diagnostics, [{ code: 'PORTICO_SET_FIELD_VALUE', message: /there is no controller ingress-nginx\/c/ }])
  const twice = await load(`${edge}---\n${edge}---\n${printService('a')}`)
  t.equal(twice.settings.defaultBackendService, 'default/a', 'of two with one name the first counts')
})

t.test('flags that are not done are told, with their place; a value of a wrong form too', async (t) => {
  for (const name of REFUSED_FLAGS.keys()) {
    const { diagnostics } = await load(printController([`--${name}=x`]))
    t.match(diagnostics, [{ code: 'PORTICO_SET_CONTROLLER', severity: 'warning', position: { line: 4 } }], name)
    t.same((await load(printController([`--${name}=false`]))).diagnostics, [], name)
  }
  const wrong = await load(printController(['--default-ssl-certificate=no name', '--configmap=a/lost']))
  t.match(wrong.diagnostics, [
    { severity: 'warning', message: '--default-ssl-certificate: "no name" cannot stand here' },
    {
      severity: 'warning',
      message: '--configmap: there is no ConfigMap a/lost',
      help: /until then no key of it counts/,
    },
  ])
  const unknown = await load(
    printController(['--maxmind-license-key=tellnobody', '--confgmap=tellnobody', '--constructor=tellnobody']),
  )
  t.match(unknown.diagnostics, [
    { message: '--confgmap: ingress-nginx has no such flag', help: 'did you mean --configmap?' },
    { message: '--constructor: ingress-nginx has no such flag' },
  ])
  t.notMatch(JSON.stringify(unknown.diagnostics), 'tellnobody')
})

t.test(
  '--annotations-prefix: annotations under another domain, at all doors; those of the usual one are not read',
  async (t) => {
    const ingresses = printIngresses({
      a: { nginx: { 'edge.test/rewrite-target': '/b' } },
      b: { nginx: { 'rewrite-target': '/b' } },
    })
    const more = `---\n${printController(['--annotations-prefix=edge.test', '--watch-ingress-without-class'])}---\n${ingresses}`
    const doors = await startDoors(t, {}, more)
    for (const door of doors.names) {
      t.match((await askHost(doors, door, 'a', { target: '/a' })).upstream[0], / \/b /, door)
      t.match((await askHost(doors, door, 'b', { target: '/a' })).upstream[0], / \/a /, door)
    }
    const told = await load(`${more.slice(4)}---\n${printService('web')}`.replace('"/b"', '"no path"'))
    t.match(told.diagnostics, [{ severity: 'warning', position: { excerpt: /edge\.test\/rewrite-target/ } }])
    t.match(JSON.stringify(told.diagnostics), /edge\.test/)
  },
)

t.test('--default-backend-service names the Service whose first port gets what no rule takes', async (t) => {
  const rest =
    'apiVersion: v1\nkind: Service\nmetadata: {name: rest}\nspec: {ports: [{name: a, port: 81}, {name: b, port: 82}]}\n'
  const words = ['--default-backend-service=default/rest', '--watch-ingress-without-class']
  const text = [printController(words), rest, printIngresses({ a: { nginx: {} } }), printService('web')].join('---\n')
  const table = findIngressTable((await load(text)).model)
  t.match(table.defaultRoute, {
    owner: { kind: 'Service', namespace: 'default', name: 'rest' },
    action: { type: 'forward', upstream: 'default/rest:81' },
  })
  t.equal(table.hosts.length, 1)
})

/** The status of a request for a host that no rule has, and what answered it. */
async function askOther(t: Test, manifests: string, flags: Readonly<Record<string, string>>) {
  const upstreams = await startEchoes(t, 'web', 'rest')
  const gateway = await runGateway(t, manifests, { flags, endpoints: endpointsOf(upstreams) })
  return (await visit(gateway, 'http://x.test/')).answeredBy
}

t.test(
  'defaultBackendService behind Ingresses: other hosts, other paths; an Ingress without rules goes before',
  async (t) => {
    const services = ['web', 'rest'].map(
      (name) => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: 80}]}\n`,
    )
    const text = [printIngresses({ a: { nginx: {}, paths: [['/a']] } }), ...services].join('---\n')
    const flags = { defaultBackendService: 'default/rest' }
    t.equal(await askOther(t, text, flags), 'rest')
    t.equal(await askOther(t, text, {}), 404)
    const catchAll =
      'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: all}\nspec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n'
    t.equal(await askOther(t, `${text}---\n${catchAll}`, flags), 'web')
    const withRules = text.replace('rules:', 'defaultBackend: {service: {name: web, port: {number: 80}}}, rules:')
    t.equal(await askOther(t, withRules, flags), 'rest')
    t.equal(await askOther(t, withRules, {}), 'web')
    const { diagnostics } = await load(text, { defaultBackendService: 'default/rset' })
    t.match(diagnostics, [
      { code: 'PORTICO_REF_SERVICE_NOT_FOUND', help: /did you mean "default\/rest"\?/ },
      { code: 'PORTICO_REF_NO_ENDPOINTS' },
    ])
    const empty = await load(text, { defaultBackendService: 'default/rest' })
    t.match(empty.diagnostics, [
      { code: 'PORTICO_REF_NO_ENDPOINTS' },
      { code: 'PORTICO_REF_NO_ENDPOINTS', message: /"default\/rest:80"/ },
    ])
  },
)

/** The common name of the certificate that a name gets. */
function peek(port: number, servername: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...(servername && { servername }) })
    socket.on('secureConnect', () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

t.test('--default-ssl-certificate is served to all names that no other certificate covers', async (t) => {
  const secrets = [await makeSecretYaml('all', ['all.test']), await makeSecretYaml('own', ['own.test'])]
  const ingress = printIngresses({ own: { nginx: {}, tls: ['own.test'] } }).replace(
    '"own.test"]',
    '"own.test"], secretName: own',
  )
  const text = [...secrets, ingress, printService('web')].join('---\n')
  const gateway = await runGateway(t, text, { flags: { defaultSslCertificate: 'default/all' } })
  t.equal(await peek(gateway.https, 'own.test'), 'own.test')
  t.equal(await peek(gateway.https, 'other.test'), 'all.test')
  t.equal(await peek(gateway.https, ''), 'all.test')
  await gateway.change(`${[secrets[1], ingress, printService('web')].join('---\n')}`)
  t.not(await peek(gateway.https, 'other.test'), 'all.test')
  t.equal(await peek(gateway.https, 'own.test'), 'own.test')
  const lost = await load(text, { defaultSslCertificate: 'default/al' })
  t.match(lost.diagnostics, [
    { code: 'PORTICO_REF_SECRET_NOT_FOUND', message: /^defaultSslCertificate: /, help: /^did you mean "all"/ },
  ])
  const words = ['-f', '-', '--default-ssl-certificate', 'default/all']
  const { stdout } = await runPortico(['get', 'certificates', ...words], { stdin: text })
  t.match(stdout, /default\/all +all\.test/)
  const explained = await runPortico(['explain', ...words, 'https://x.test/'], { stdin: text })
  t.match(explained.stdout, /default\/all/)
})

t.test('ssl-passthrough acts where the controller runs with --enable-ssl-passthrough', async (t) => {
  const passed = async (...words: readonly string[]) => {
    const ingress = printIngresses({ a: { nginx: { 'ssl-passthrough': 'true' } } })
    const all = ['--watch-ingress-without-class', ...words]
    const { model } = await load([printController(all), ingress, printService('web')].join('---\n'))
    return model.certificates.some(({ passthrough }) => passthrough !== undefined)
  }
  t.ok(await passed('--enable-ssl-passthrough'))
  t.notOk(await passed())
  t.notOk(await passed('--enable-ssl-passthrough=false'))
})

t.test('Services of the controller open no ports, since the gateway takes its place', async (t) => {
  const service = (name: string, selector: string, namespace = 'ingress-nginx') =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {type: LoadBalancer, externalTrafficPolicy: Local, selector: ${selector}, ports: [{port: 80}]}\n`
  const open = async (text: string, flags = {}) => {
    const { model, diagnostics } = await load(`${printController([])}---\n${text}`, flags)
    const opened = model.listeners.filter(({ kind }) => kind === 'LoadBalancer').length
    return [opened, ...diagnostics.map(({ code }) => code)]
  }
  t.same(await open(service('lb', '{app: controller}')), [0, 'PORTICO_SVC_UNHEARD'])
  t.same(await open(service('lb', '{app: other}')), [1, 'PORTICO_REF_POLICY_LOCAL'])
  t.same(await open(service('lb', '{app: controller, tier: inner}')), [1, 'PORTICO_REF_POLICY_LOCAL'])
  t.same(await open(service('lb', '{app: controller}', 'other')), [1, 'PORTICO_REF_POLICY_LOCAL'])
  t.same(await open(service('lb', '{app: controller}'), { compatibility: 'off' }), [1, 'PORTICO_REF_POLICY_LOCAL'])
})

t.test('settings exist for all flags, and a flag stands in one list alone', async (t) => {
  const names = new Set(SETTING_LIST.map(({ name }) => name))
  for (const setting of FLAG_SETTINGS.values()) t.ok(names.has(setting), setting)
  const all = [...FLAG_SETTINGS.keys(), ...CLASS_FLAGS, PASSTHROUGH_FLAG, ...REFUSED_FLAGS.keys()]
  t.equal(new Set(all).size, all.length)
})

t.test(`${PAGE} lists every flag`, async (t) => {
  const rows = [
    ...[...FLAG_SETTINGS].map(([name, setting]) => `| \`--${name}\` | exact | \`${setting}\` |`),
    ...CLASS_FLAGS.map((name) => `| \`--${name}\` | exact | \`ingressClasses\` |`),
    `| \`--${PASSTHROUGH_FLAG}\` | exact | without it \`ssl-passthrough\` of Ingresses has no effect |`,
    ...[...REFUSED_FLAGS].map(([name, why]) => `| \`--${name}\` | refused | ${why} |`),
  ]
  const page = readFileSync(PAGE, 'utf8')
  const table = `\n| flag | support | here |\n|---|---|---|\n${rows.join('\n')}\n`
  const expected = page.replace(/(<!-- flags: .* -->\n)[\s\S]*?(?=\n## )/, (_, mark) => `${mark}${table}`)
  t.match(page, '<!-- flags: ')
  if (process.env.UPDATE === '1') writeFileSync(PAGE, expected)
  t.equal(readFileSync(PAGE, 'utf8'), expected, 'UPDATE=1 rewrites the list')
})
