/** What `portico get` picks and how it is cut: labels, order, jsonpath, columns of one's own; and its list of problems. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ONE_ROUTE } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { runPortico, serveHere, startGateway } from './process.ts'

const route = (name: string, labels: string, paths: string, service = 'web') => `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, labels: {${labels}}}
spec:
  rules:
    - host: ${name}.test
      http: {paths: [${paths
        .split(' ')
        .map((path) => `{path: ${path}, pathType: Prefix, backend: {service: {name: ${service}, port: {number: 80}}}}`)
        .join(', ')}]}
---`

const MANIFESTS = `${route('shop', 'app: shop, tier: web', '/ /cart')}${route('admin', 'app: shop, tier: staff', '/')}${route('blog', 'tier: web', '/', 'gone')}
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: shop}, annotations: {portico.dev/endpoints: "127.0.0.1:3000;weight=9, 127.0.0.1:3001;weight=10"}}
spec: {ports: [{port: 80}]}
`

const cwd = t.testdir({ 'all.yaml': MANIFESTS })
const get = async (...words: string[]) => runPortico(['get', ...words, '-f', 'all.yaml'], { cwd })
const names = async (...words: string[]) => (await get(...words, '-o', 'name')).stdout.trim().split('\n')

t.test('-l asks the labels of the Ingress or Service: equality, sets, presence, several at once', async (t) => {
  const [shop, cart, admin, blog] = [
    'route/shop.test/',
    'route/shop.test/cart',
    'route/admin.test/',
    'route/blog.test/',
  ]
  const cases: readonly (readonly [selector: string, expected: readonly string[]])[] = [
    ['app=shop', [admin, cart, shop]],
    ['app==shop,tier=web', [cart, shop]],
    ['app!=shop', [blog]],
    ['tier in (web, api)', [blog, cart, shop]],
    ['tier notin (web),app', [admin]],
    ['app notin (x)', [admin, blog, cart, shop]],
    ['!app', [blog]],
    ['app,tier=staff', [admin]],
  ]
  for (const [selector, expected] of cases) {
    t.strictSame((await names('routes', '-l', selector)).sort(), [...expected].sort(), selector)
  }
  t.equal((await names('endpoints', '-l', 'app=shop')).length, 2)
  t.strictSame(await names('endpoints', '-l', 'app=blog'), [''])
  t.match(await get('routes', '-l', 'app=none'), { status: 0, stdout: '', stderr: 'no routes' })
})

t.test('a selector that cannot be read, and one for what has no labels, is a usage error', async (t) => {
  for (const selector of ['app=a b', 'in (x)', 'app in x', '=x', 'a=1,,b=2']) {
    t.match(await get('routes', '-l', selector), { status: 2, stderr: 'is no label selector' }, selector)
  }
  t.match(await get('settings', '-l', 'app=shop'), { status: 2, stderr: 'settings have no labels' })
})

t.test('a running gateway tells the labels too', async (t) => {
  const { ports } = await serveHere(t, ['run', '-f', 'all.yaml'], { cwd })
  const { status, stdout } = await runPortico([
    'get',
    'routes',
    '-l',
    'tier=staff',
    '-o',
    'name',
    '--admin-port',
    String(ports.admin),
  ])
  t.equal(status, 0)
  t.equal(stdout, 'route/admin.test/\n')
})

t.test('--sort-by a column or a field, numbers by their size', async (t) => {
  const column = async (order: string) =>
    (await get('endpoints', '--sort-by', order, '-o', 'custom-columns=W:.weight', '--no-headers')).stdout
  t.equal(await column('.weight'), '9\n10\n')
  t.equal(await column('weight'), '9\n10\n')
  t.equal(await column('{.address}'), '9\n10\n')
  t.equal((await names('routes', '--sort-by', 'STATE'))[3], 'route/blog.test/', 'unavailable comes last')
  const wrong = await get('routes', '--sort-by', 'stat')
  t.equal(wrong.status, 2)
  t.match(wrong.stderr, 'did you mean state?')
})

t.test('-o jsonpath as of kubectl', async (t) => {
  const print = async (template: string, ...words: string[]) =>
    (await get(...(words.length > 0 ? words : ['routes']), '-o', `jsonpath=${template}`)).stdout.replace(/\n$/, '')
  t.equal(await print('{.items[*].host}'), 'admin.test blog.test shop.test shop.test')
  t.equal(await print('{.items[0].host}/{.items[-1].path}'), 'admin.test//')
  t.equal(
    await print('{range .items[?(@.state=="served")]}{.host}{"\\t"}{.path}{"\\n"}{end}'),
    'admin.test\t/\nshop.test\t/cart\nshop.test\t/',
  )
  t.equal(await print("{.items[?(@.labels.app)]['host','path']}"), 'admin.test / shop.test /cart shop.test /')
  t.equal(await print('{.items[1:3].path}'), '/ /cart')
  t.equal(await print('{..tier}'), 'staff web web web')
  t.equal(await print('{.items[?(@.weight>9)].address}', 'endpoints'), '127.0.0.1:3001')
  t.equal(
    await print('{.type} {.ports[0]} {.nothing}', 'services', 'web'),
    'ClusterIP 80/TCP ',
    'one by its name is the root',
  )
  t.equal(await print('{.items[0].labels}'), '{"app":"shop","tier":"staff"}')
})

t.test('a jsonpath that cannot be read is a usage error; nothing of it is run', async (t) => {
  for (const template of [
    '{.items[*}',
    '{items}',
    '{range .items[*]}x',
    '{end}',
    '{.items[?(process.exit(7))]}',
    '{.items[?(@.a==b)]}',
    '{.a',
    '{."x}',
  ]) {
    t.match(await get('routes', '-o', `jsonpath=${template}`), { status: 2, stdout: '', stderr: 'jsonpath' }, template)
  }
  for (const output of ['jsonpath', 'custom-columns', 'custom-columns=HOST', 'jsonpth=x']) {
    t.equal((await get('routes', '-o', output)).status, 2, output)
  }
  t.match(await get('routes', '-w', '-o', 'jsonpath={.items}'), { status: 2, stderr: '-w prints tables' })
})

t.test('-o custom-columns', async (t) => {
  const { stdout } = await get('routes', '-o', 'custom-columns=WHERE:.host,STATE:.state,TIER:.labels.tier')
  t.strictSame(
    stdout
      .split('\n')
      .slice(0, 2)
      .map((line) => line.split(/ {2,}/)),
    [
      ['WHERE', 'STATE', 'TIER'],
      ['admin.test', 'served', 'staff'],
    ],
  )
})

t.test(
  'get diagnostics lists problems with their place, by code, severity and object; of files without any object too',
  async (t) => {
    const { status, stdout } = await get('diagnostics')
    t.equal(status, 0)
    t.match(
      stdout,
      /^SEVERITY {3}CODE +PLACE +MESSAGE\nerror +PORTICO_REF_SERVICE_NOT_FOUND +all\.yaml:\d+:\d+ +service "gone"/,
    )
    for (const name of ['PORTICO_REF_SERVICE_NOT_FOUND', 'error', 'blog', 'default/blog', 'Ingress/default/blog']) {
      t.match(
        await names('diagnostics', name),
        [/^diagnostic\/PORTICO_REF_SERVICE_NOT_FOUND\/all\.yaml:\d+:\d+$/],
        name,
      )
    }
    t.match(await get('problems', '-l', 'tier=web', '-o', 'jsonpath={.items[*].code}'), {
      stdout: 'PORTICO_REF_SERVICE_NOT_FOUND',
    })
    const broken = t.testdir({ 'broken.yaml': 'kind: [\n' })
    t.match(await runPortico(['get', 'diagnostics', '-f', 'broken.yaml'], { cwd: broken }), {
      status: 0,
      stdout: /PORTICO_YAML/,
    })
  },
)

t.test('get diagnostics of a gateway whose last reload was refused says so', async (t) => {
  const cwd = t.testdir({ 'shop.yaml': ONE_ROUTE })
  const { ports, child } = await startGateway(
    t,
    ['run', '-f', 'shop.yaml', '--workers', '0', '--strict', '--endpoints', 'default/web=127.0.0.1:1'],
    { cwd },
  )
  const read = () => runPortico(['get', 'diagnostics', '--admin-port', String(ports.admin)])
  t.notMatch((await read()).stderr, 'refused')
  writeFileSync(join(cwd, 'shop.yaml'), 'kind: [\n')
  child.kill('SIGHUP')
  await until(async () => (await read()).stderr !== '')
  t.match(await read(), { status: 0, stderr: 'the last reload was refused: portico logs tells why\n' })
  writeFileSync(join(cwd, 'shop.yaml'), ONE_ROUTE)
  child.kill('SIGHUP')
  await until(async () => !(await read()).stderr.includes('refused'))
})
