import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { type Boot, printBoot, printUrl } from '../../bin/print/boot.ts'
import { paintAnsi, paintNothing } from '../../lib/base/terminal-text.ts'
import { loadConfiguration } from '../../lib/control/configuration.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { checkGolden } from './golden.ts'
import { startGateway } from './process.ts'

const DAY = 86_400_000

async function boot(stdin: string, more: Partial<Boot> = {}, flags: Record<string, string> = {}): Promise<Boot> {
  const { model, settings, controllerObjects, diagnostics, sources, objects } = await loadConfiguration({
    sources: ['-'],
    stdin,
    flags,
    environment: {},
  })
  const ports = { http: 8080, https: 8443, admin: 9901 }
  return {
    version: '1.2.3',
    model,
    settings,
    controllerObjects,
    diagnostics,
    sources,
    objects,
    ports,
    listenerStates: new Map(),
    descriptors: 20_000,
    elapsedMs: 184.4,
    now: Date.now(),
    width: 200,
    ...more,
  }
}

t.test('hosts in match order, wildcards, every host, default backend, weights, missing endpoints', async (t) => {
  const text = readFileSync('test/fixtures/bin/boot/many-kinds.yaml', 'utf8')
  checkGolden(t, 'test/fixtures/bin/boot/many-kinds.txt', `${printBoot(await boot(text), paintNothing)}\n`)
})

t.test('the boot table says so if the defaults of ingress-nginx hold', async (t) => {
  const flags = { compatibility: 'ingress-nginx' }
  const map = `apiVersion: v1
kind: ConfigMap
metadata: {name: ingress-nginx-controller, namespace: ingress-nginx}
data: {proxy-body-size: 8m, worker-processes: "4"}
`
  t.match(
    printBoot(await boot(map, {}, flags), paintNothing),
    'defaults of ingress-nginx, 1 key of ConfigMap ingress-nginx/ingress-nginx-controller: portico get settings',
  )
  t.match(
    printBoot(await boot(map.replace('name: ', 'name: x'), {}, flags), paintNothing),
    'defaults of ingress-nginx: portico',
  )
  t.notMatch(printBoot(await boot(map), paintNothing), 'defaults of')
})

t.test('conditions and weights of routes', async (t) => {
  const text = readFileSync('test/fixtures/bin/explain/routing.yaml', 'utf8')
  checkGolden(t, 'test/fixtures/bin/boot/routing.txt', `${printBoot(await boot(text), paintNothing)}\n`)
})

t.test('on a narrow screen the table leaves out details that portico get shows', async (t) => {
  const text = readFileSync('test/fixtures/bin/boot/many-kinds.yaml', 'utf8')
  const wide = await boot(text)
  const table = (width: number) =>
    printBoot({ ...wide, width }, paintNothing)
      .split('\n\n')[1]
      ?.split('\n') ?? []
  for (const width of [200, 150, 120, 80]) {
    for (const line of table(width)) t.ok(line.length <= Math.max(width, 100), `${width}: ${line}`)
  }
  t.match(table(200)[2], '127.0.0.1:3000;weight=3, 127.0.0.1:3001, 127.0.0.1:3002, 2 more   (annotation')
  t.match(table(150)[2], '127.0.0.1:3000;weight=3, 127.0.0.1:3001, 3 more  (annotation')
  t.match(table(120)[2], /127\.0\.0\.1:3000;weight=3, 127\.0\.0\.1:3001, 3 more$/)
  t.match(table(80)[2], /127\.0\.0\.1:3000;weight=3, 4 more$/)
  t.equal(table(80).length, table(200).length)
})

t.test('objects of kinds that route or guard traffic and are not served are counted', async (t) => {
  const kinds = ['HTTPRoute', 'Gateway', 'ConfigMap'].map((kind) => {
    const group = kind === 'ConfigMap' ? 'v1' : 'gateway.networking.k8s.io/v1'
    return `apiVersion: ${group}\nkind: ${kind}\nmetadata: {name: x}\n`
  })
  const screen = printBoot(await boot(kinds.join('---\n')), paintNothing)
  t.match(screen.split('\n')[0], ' 3 objects, 2 of kinds that are not served, 2 warnings ')
  t.match(screen, /<stdin>:2:7 {2}warning {2}PORTICO_RES_KIND_UNSERVED {2}kind "HTTPRoute" is not served/)
})

t.test('colours do not move the columns', async (t) => {
  const facts = await boot(readFileSync('test/fixtures/bin/boot/many-kinds.yaml', 'utf8'))
  const coloured = printBoot(facts, paintAnsi)
  t.not(coloured, printBoot(facts, paintNothing))
  t.equal(coloured.replace(/\x1b\[\d+m/g, ''), printBoot(facts, paintNothing))
})

t.test('a listener that is off has no URL and no line', async (t) => {
  const text = readFileSync('test/fixtures/bin/boot/many-kinds.yaml', 'utf8')
  const onlyHttp = printBoot(await boot(text, { ports: { http: 80 } }), paintNothing)
  t.match(onlyHttp, '\n  http://shop.example.com\n')
  t.notMatch(onlyHttp, 'https://')
  t.notMatch(onlyHttp, '\n  https')
  t.notMatch(onlyHttp, '\n  admin')
  t.match(onlyHttp, 'curl --resolve shop.example.com:80:127.0.0.1 http://shop.example.com/')
})

t.test('the DNS server has a line where it is on', async (t) => {
  const named = await boot('', { ports: { http: 80, dns: 8053 } })
  t.match(printBoot(named, paintNothing), /\n {2}dns +127\.0\.0\.1:8053 {3}cluster\.local\n/)
  const dns = { ...named.settings.dns, address: '::1', zone: 'corp.test', forward: ['system'] }
  const forwarding = printBoot({ ...named, settings: { ...named.settings, dns } }, paintNothing)
  t.match(forwarding, /\n {2}dns +\[::1\]:8053 {3}corp\.test; other names from system\n/)
  t.notMatch(printBoot({ ...named, ports: { http: 80 } }, paintNothing), '\n  dns')
})

t.test('the default backend takes any other host; endpoints that drain serve while no other is ready', async (t) => {
  const text = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: site }
spec:
  defaultBackend: { service: { name: errors, port: { number: 80 } } }
---
apiVersion: v1
kind: Service
metadata: { name: errors }
spec: { ports: [{ port: 80 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: errors-1, labels: { kubernetes.io/service-name: errors } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: [{ addresses: ["127.0.0.9"], conditions: { ready: false, serving: true, terminating: true } }]
`
  const screen = printBoot(await boot(text), paintNothing)
  t.match(screen, '\n  any other host   →  default/errors:80  →  127.0.0.9:8080\n')
})

t.test('ports that other machines can reach are named', async (t) => {
  const service = (setting: string) => `apiVersion: v1
kind: Service
metadata: { name: web, annotations: { portico.dev/endpoints: "127.0.0.1:3000" } }
spec: { type: NodePort, ports: [{ name: a, port: 80, nodePort: 30080 }, { name: b, port: 53, nodePort: 30053, protocol: UDP }] }
---
apiVersion: portico.dev/v1alpha1
kind: GatewayConfiguration
${setting}
`
  const here = 'http: { address: 127.0.0.1 }\nhttps: { address: "::1" }\nnodePorts: { addresses: [127.0.0.1] }'
  const open = async (setting: string, more: Partial<Boot> = {}) =>
    /\n {2}open +(.*)\n/.exec(printBoot(await boot(service(setting), more), paintNothing))?.[1]
  const words = 'reachable from the network (from this machine alone: --local)'
  t.equal(await open(''), `8080, 8443, 30053, 30080: ${words}`)
  t.equal(await open(here), undefined)
  t.equal(await open(here.replace('[127.0.0.1]', '[127.0.0.1, 192.0.2.1]')), `30053, 30080: ${words}`)
  t.equal(await open(here.replace('"::1"', '192.0.2.1'), { ports: { http: 8080, https: 8443 } }), `8443: ${words}`)
  t.equal(await open(here.replace('"::1"', '192.0.2.1'), { ports: { http: 8080 } }), undefined, 'https is off')
})

t.test('usual ports are left out of URLs', async (t) => {
  t.equal(printUrl('http', 'a.test', 80), 'http://a.test')
  t.equal(printUrl('https', 'a.test', 443), 'https://a.test')
  t.equal(printUrl('http', 'a.test', 443), 'http://a.test:443')
  t.equal(printUrl('https', 'a.test', 8443), 'https://a.test:8443')
})

t.test('a host with a certificate redirects to it, and its days are counted', async (t) => {
  const { certificate, key } = await makeCertificate({ names: ['shop.localhost'] })
  const text = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: shop }
spec:
  tls: [{ hosts: [shop.localhost], secretName: shop-tls }]
  rules:
    - host: shop.localhost
      http:
        paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }]
---
apiVersion: v1
kind: Service
metadata: { name: web, annotations: { portico.dev/endpoints: "127.0.0.1:3000" } }
spec: { ports: [{ port: 80 }] }
---
apiVersion: v1
kind: Secret
metadata: { name: shop-tls }
type: kubernetes.io/tls
stringData:
  tls.crt: ${JSON.stringify(certificate)}
  tls.key: ${JSON.stringify(key)}
`
  const facts = await boot(text)
  t.strictSame(facts.diagnostics, [])
  const notAfter = facts.model.certificates[0]?.certificate?.notAfter as number
  const screen = printBoot({ ...facts, now: notAfter - 61.5 * DAY }, paintNothing)
  t.match(screen, '\n  http://shop.localhost:8080   →  308 to https\n  https://shop.localhost:8443\n')
  t.match(screen, /\n {2}https +certificate default\/shop-tls, expires in 61 days; all others: self-signed default\n/)
  t.match(printBoot({ ...facts, now: notAfter - 1.5 * DAY }, paintNothing), 'expires in 1 day;')
  t.match(printBoot({ ...facts, now: notAfter + DAY }, paintNothing), 'default/shop-tls, expired;')
  t.notMatch(screen, 'try it', 'curl knows a *.localhost host')
  t.match(
    screen,
    "*.localhost is known to curl and browsers; others: curl -H 'Host: shop.localhost' http://127.0.0.1:8080/\n",
  )
})

t.test('ports of Services are shown as URLs', async (t) => {
  const services = (ports: string, name = 'web') => `apiVersion: v1
kind: Service
metadata: { name: ${name}, annotations: { portico.dev/endpoints: "127.0.0.1:3000, 127.0.0.1:3001" } }
spec: { type: NodePort, ports: [${ports}] }
`
  const text = services(
    '{name: http, port: 80, nodePort: 30080, appProtocol: http}, {name: dns, port: 53, protocol: UDP, nodePort: 30053}, {name: db, port: 5432, nodePort: 30432}',
  )
  const screen = printBoot(await boot(text), paintNothing)
  t.match(
    screen,
    `
  any other host   →  404

  udp://localhost:30053    NodePort   →  default/web:53/UDP   →  127.0.0.1:3000, 127.0.0.1:3001
  tcp://localhost:30432    NodePort   →  default/web:5432     →  127.0.0.1:3000, 127.0.0.1:3001
  http://localhost:30080   NodePort   →  default/web:80       →  127.0.0.1:3000, 127.0.0.1:3001

  https `,
  )
  t.match(
    printBoot(await boot(text, { width: 90 }), paintNothing),
    '→  default/web:80       →  127.0.0.1:3000, 1 more\n',
  )
  const many = Array.from({ length: 22 }, (_, index) =>
    services(`{port: 80, nodePort: ${30_100 + index}}`, `s${index}`),
  )
  t.match(printBoot(await boot(many.join('---\n')), paintNothing), '\n  … and 2 more: portico get listeners\n')
})

t.test('ports that could not be opened are marked, and load balancers without an address say why', async (t) => {
  const service = (name: string, spec: string) => `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, annotations: { portico.dev/endpoints: "127.0.0.1:3000" } }
spec: { ${spec} }
`
  const text = [
    service(
      'web',
      'type: NodePort, ports: [{port: 80, nodePort: 30080, name: a}, {port: 81, nodePort: 30081, name: b}]',
    ),
    service('first', 'type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 8081}]'),
    service('second', 'type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: 8081}]'),
    service(
      'theirs',
      'type: LoadBalancer, allocateLoadBalancerNodePorts: false, loadBalancerClass: a.b/c, ports: [{port: 83}]',
    ),
  ].join('')
  const wide = await boot(text)
  const taken = wide.model.listeners.find(({ port }) => port === 30081)?.id as string
  const screen = printBoot({ ...wide, listenerStates: new Map([[taken, 'port 30081 is in use']]) }, paintNothing)
  t.match(screen, /\n {2}tcp:\/\/localhost:30080 +NodePort +→ {2}default\/web:80 +→ {2}127\.0\.0\.1:3000\n/)
  t.match(screen, /\n {2}tcp:\/\/localhost:30081 +NodePort +→ {2}default\/web:81 +not open: port 30081 is in use\n/)
  t.match(screen, /\n {2}<pending> +LoadBalancer +→ {2}default\/second +not open: port .*8081.* is taken\n/)
  t.match(
    screen,
    /\n {2}<pending> +LoadBalancer +→ {2}default\/theirs +not open: loadBalancerClass "a.b\/c" is another/,
  )
  t.notMatch(screen, /<pending> .*first/)
  const off = await boot(text, {}, { 'loadBalancers.enabled': 'false', 'nodePorts.enabled': 'false' })
  t.match(printBoot(off, paintNothing), /\n {2}<pending> .*default\/first +not open: loadBalancers.enabled is off\n/)
})

t.test('a port that another process has is marked at the start', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const cwd = t.testdir({
    'web.yaml': `apiVersion: v1
kind: Service
metadata: { name: web, annotations: { portico.dev/endpoints: "127.0.0.1:3000" } }
spec: { type: LoadBalancer, allocateLoadBalancerNodePorts: false, ports: [{port: ${port}}] }
`,
  })
  const words = ['run', '-f', 'web.yaml', '--load-balancers-address', '127.0.0.1', '--log-format', 'pretty']
  const gateway = await startGateway(t, words, { cwd })
  await gateway.says(/\n {2}https /)
  t.match(gateway.stderr(), new RegExp(`tcp://127\\.0\\.0\\.1:${port} .* not open: .*in use`))
})

t.test('nothing but problems is still a screen', async (t) => {
  const screen = printBoot(await boot('kind: ['), paintNothing)
  t.match(screen, 'portico 1.2.3   stdin, 0 objects, 1 error   ready in 184 ms')
  t.match(screen, '\n  any other host   →  404\n')
  t.match(screen, 'PORTICO_YAML_SYNTAX')
})

t.test('more problems than a screen holds are counted', async (t) => {
  const text = Array.from({ length: 30 }, (_, i) => `apiVersion: v1\nkind: Nothing${i}\nmetadata: { name: a }\n`).join(
    '---\n',
  )
  const screen = printBoot(await boot(text), paintNothing)
  t.match(screen, '… and 10 more: portico check lists them all')
})

t.test('names from manifests cannot reach the terminal', async (t) => {
  const text = 'apiVersion: v1\nkind: "Bad\\e[2J"\nmetadata: { name: "a\\e[31m" }\n'
  t.notMatch(printBoot(await boot(text), paintNothing), /\x1b/)
})
