import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { findFreePort } from '../helpers/free-ports.ts'
import { checkGolden } from './golden.ts'
import { type Finished, runPortico, startGateway } from './process.ts'

const cwd = 'test/fixtures/bin/get'

function get(kind: string, ...words: string[]): Promise<Finished> {
  return runPortico(['get', kind, '-f', 'shop.yaml', ...words], { cwd })
}

for (const kind of ['routes', 'services', 'endpoints', 'certificates', 'listeners']) {
  t.test(`get ${kind} prints the columns of a person, wider with -o wide`, async (t) => {
    const table = await get(kind)
    t.equal(table.status, 0)
    checkGolden(t, join(cwd, `${kind}.txt`), table.stdout)
    checkGolden(t, join(cwd, `${kind}-wide.txt`), (await get(kind, '-o', 'wide')).stdout)
  })

  t.test(`get ${kind} gives the same rows as json, yaml and names`, async (t) => {
    const rows = JSON.parse((await get(kind, '-o', 'json')).stdout)
    t.ok(rows.length > 0)
    const yaml = await get(kind, '-o', 'yaml')
    t.strictSame(parse(yaml.stdout), rows)
    const names = (await get(kind, '-o', 'name')).stdout.trimEnd().split('\n')
    t.equal(names.length, rows.length)
    for (const name of names) t.ok(name.startsWith(`${kind.slice(0, -1)}/`), name)
  })
}

t.test('get routes prints the order in which routes are tried, with conditions and shares', async (t) => {
  const words = ['get', 'routes', '-f', '../explain/routing.yaml']
  checkGolden(t, join(cwd, 'routing.txt'), (await runPortico(words, { cwd })).stdout)
  checkGolden(t, join(cwd, 'routing-wide.txt'), (await runPortico([...words, '-o', 'wide'], { cwd })).stdout)
})

t.test(
  'get settings gives each value and where it came from: flag over environment over file over default',
  async (t) => {
    const settings = `apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
http: { port: 8001 }
https: { port: 8002 }
timeouts: { connect: 2s, drain: 3s }
admin: { token: very-secret }
`
    const folder = t.testdir({ 'portico.yaml': settings })
    const words = ['get', 'settings', '-c', 'portico.yaml', '--https-port', '9002', '--set', 'log.level=warn']
    const environment = { PORTICO_HTTPS_PORT: '7002', PORTICO_TIMEOUTS_CONNECT: '4s' }
    const { status, stdout } = await runPortico(words, { cwd: folder, environment })
    t.equal(status, 0)
    const rows = new Map(
      stdout.split('\n').map((line) => {
        const [name = '', ...rest] = line.split(/ {3,}/)
        return [name, rest]
      }),
    )
    t.strictSame(rows.get('NAME'), ['VALUE', 'SOURCE'])
    t.strictSame(rows.get('http.port'), ['8001', 'file'])
    t.strictSame(rows.get('https.port'), ['9002', 'flag'])
    t.strictSame(rows.get('timeouts.connect'), ['4s', 'environment'])
    t.strictSame(rows.get('timeouts.drain'), ['3s', 'file'])
    t.strictSame(rows.get('limits.headerBytes'), ['32Ki', 'default'])
    t.strictSame(rows.get('log.level'), ['warn', 'flag'])
    t.strictSame(rows.get('admin.token'), ['[redacted]', 'file'])
    t.notMatch(stdout, 'very-secret')
    const named = async (...names: string[]) => {
      const found = await runPortico([...words, '-o', 'name', ...names], { cwd: folder, environment })
      return [found.status, ...found.stdout.trim().split('\n')]
    }
    t.same(await named('dns', 'http.port'), [
      0,
      ...[...rows.keys()].filter((name) => /^dns\.|^http\.port$/.test(name)).map((name) => `setting/${name}`),
    ])
    t.ok((await named('upstream.retry')).includes('setting/upstream.retry.budget'))
    t.same(await named('upstr'), [1, ''])
  },
)

t.test('get settings has the same rows of a running gateway, with where each value comes from', async (t) => {
  const { ports } = await startGateway(t, ['run', '-f', 'shop.yaml', '--timeouts-connect', '2s'], { cwd })
  const read = async (...words: string[]) => {
    const { stdout } = await runPortico(['get', 'settings', '-o', 'json', ...words], { cwd })
    return JSON.parse(stdout) as Record<string, unknown>[]
  }
  const files = await read('-f', 'shop.yaml')
  const running = await read('--admin-port', String(ports.admin))
  t.strictSame(running.map(Object.keys), files.map(Object.keys))
  t.strictSame([...new Set(running.map(({ source }) => source))], ['default', 'flag'])
  t.match(
    running.find(({ name }) => name === 'timeouts.connect'),
    { value: 2000, text: '2s', default: '5s' },
  )
})

t.test('-n keeps one namespace, -A and nothing list all', async (t) => {
  const all = JSON.parse((await get('services', '-o', 'json')).stdout)
  t.equal(all.length, 3)
  t.strictSame(JSON.parse((await get('services', '-o', 'json', '-A', '-n', 'shop')).stdout), all)
  const shop = JSON.parse((await get('services', '-o', 'json', '-n', 'shop')).stdout)
  t.strictSame(
    shop.map(({ name }: { name: string }) => name),
    ['api', 'web'],
  )
  const none = await get('services', '-n', 'nowhere')
  t.equal(none.status, 0)
  t.equal(none.stdout, '')
  t.match(none.stderr, 'no services in namespace nowhere')
})

t.test('single ones are named as with kubectl; a name that is not there is exit code 1', async (t) => {
  for (const name of ['api', 'shop/api', 'service/shop/api']) {
    const { status, stdout } = await get('svc', name, '-o', 'name')
    t.equal(status, 0, name)
    t.equal(stdout, 'service/shop/api\n', name)
  }
  const host = await get('route', 'shop.localhost', '-o', 'name')
  t.match(host.stdout, 'route/shop.localhost/api\n')
  const { status, stdout, stderr } = await get('service', 'web', 'wep', '-o', 'name')
  t.equal(status, 1)
  t.equal(stdout, 'service/shop/web\n')
  t.match(stderr, 'no services named "wep"')
})

t.test('endpoints and listeners are named by their Service too; a namespace alone names nothing', async (t) => {
  const all = ['53/UDP/127.0.0.1:3000', '53/UDP/127.0.0.1:3001', '80/127.0.0.1:3000', '80/127.0.0.1:3001']
  for (const name of ['web', 'shop/web']) {
    const endpoints = await get('endpoints', name, '-o', 'name')
    t.strictSame(
      endpoints.stdout.trimEnd().split('\n'),
      all.map((one) => `endpoint/shop/web:${one}`),
      endpoints.stderr,
    )
    const listeners = await get('listeners', name, '-o', 'name')
    t.equal(listeners.stdout, 'listener/shop/web:53/UDP\nlistener/shop/web:80/TCP\n', listeners.stderr)
  }
  for (const kind of ['services', 'endpoints']) t.equal((await get(kind, 'shop')).status, 1, kind)
})

t.test('kinds go by their singular and by the names kubectl has for them', async (t) => {
  const names: Readonly<Record<string, readonly string[]>> = {
    routes: ['route', 'ing', 'ingress', 'ingresses', 'Ingress'],
    services: ['service', 'svc'],
    endpoints: ['endpoint', 'ep', 'endpointslice', 'endpointslices'],
    certificates: ['certificate', 'cert', 'certs', 'secret', 'secrets'],
    listeners: ['listener'],
    workers: ['worker'],
  }
  for (const [kind, others] of Object.entries(names)) {
    const { stdout } = await get(kind)
    for (const other of others) t.equal((await get(other)).stdout, stdout, other)
  }
  t.match((await get('ingres')).stderr, /unknown kind "ingres"\n/)
})

t.test('problems of the files are counted on stderr, and do not spoil the data', async (t) => {
  const { stdout, stderr } = await get('routes', '-o', 'json')
  t.doesNotThrow(() => JSON.parse(stdout))
  t.match(stderr, /2 errors.* in 7 objects: portico check tells more\n/)
})

t.test('files that cannot be read at all are exit code 1', async (t) => {
  const { status, stderr, stdout } = await runPortico(['get', 'routes', '-f', 'nowhere/'], { cwd })
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, 'PORTICO_FILE_NOT_FOUND')
})

t.test('without files and without a gateway: exit code 4, and how to go on', async (t) => {
  const port = await findFreePort()
  const { status, stdout, stderr } = await runPortico(['get', 'routes', '--admin-port', String(port)])
  t.equal(status, 4)
  t.equal(stdout, '')
  t.match(stderr, `no running gateway reached: 127.0.0.1:${port} refused the connection`)
  t.match(stderr, 'portico get routes -f FILE-OR-FOLDER')
})

t.test('a gateway that asks for a token, and another server, are told apart', async (t) => {
  let answer: readonly [number, string] = [401, '{}']
  const tokens: (string | undefined)[] = []
  const server = createServer((request, response) => {
    tokens.push(request.headers.authorization)
    response.writeHead(answer[0]).end(answer[1])
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const port = String((server.address() as AddressInfo).port)
  const refused = await runPortico(['get', 'routes', '--admin-port', port])
  t.equal(refused.status, 4)
  t.match(refused.stderr, 'set PORTICO_ADMIN_TOKEN')
  answer = [200, '<html>']
  const other = await runPortico(['get', 'routes', '--admin-port', port], {
    environment: { PORTICO_ADMIN_TOKEN: 'secret' },
  })
  t.equal(other.status, 4)
  t.match(other.stderr, 'is not Portico')
  t.strictSame(tokens, [undefined, 'Bearer secret'])
})
