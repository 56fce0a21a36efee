/** The rules of the Kubernetes DNS specification 1.1.0, one by one, asked with dig. */
import t, { type Test } from 'tap'
import { type RunningGateway, runGateway } from '../helpers/running-gateway.ts'
import { type Dug, dig, isDigHere } from './dig.ts'

const CLUSTER = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.10
  clusterIPs: [10.96.0.10, "fd00:96::10"]
  ipFamilyPolicy: RequireDualStack
  ports: [{name: http, port: 80, targetPort: 8080}, {name: query, port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {type: NodePort, clusterIP: 10.96.0.11, externalIPs: [192.0.2.9], ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: prod}
spec: {clusterIP: None, ports: [{name: pg, port: 5432, targetPort: 5433}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-4, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: pg, port: 5433}]
endpoints:
  - {addresses: [10.1.0.1], hostname: db-0, targetRef: {kind: Pod, name: db-0}}
  - {addresses: [10.1.0.2]}
  - {addresses: [10.1.0.3], hostname: db-2, conditions: {ready: false}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-6, namespace: prod, labels: {kubernetes.io/service-name: db}}
addressType: IPv6
ports: [{name: pg, port: 5433}]
endpoints:
  - {addresses: ["fd00:1::1"], hostname: db-0, targetRef: {kind: Pod, name: db-0}}
---
apiVersion: v1
kind: Service
metadata: {name: idle}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: idle-1, labels: {kubernetes.io/service-name: idle}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
  - {addresses: [10.2.0.1], conditions: {ready: false}}
---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, publishNotReadyAddresses: true, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: peers-1, labels: {kubernetes.io/service-name: peers}}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints:
  - {addresses: [10.3.0.1], conditions: {ready: false}}
---
apiVersion: v1
kind: Service
metadata: {name: set}
spec: {clusterIP: None, selector: {app: set}}
---
apiVersion: v1
kind: Pod
metadata: {name: set-0, labels: {app: set}}
spec: {hostname: set-0, subdomain: set, containers: [{name: c, image: i}]}
status: {podIP: 10.4.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: set-1, labels: {app: set}}
spec: {hostname: set-1, subdomain: other, containers: [{name: c, image: i}]}
status: {podIP: 10.4.0.2}
---
apiVersion: v1
kind: Service
metadata: {name: local, annotations: {portico.dev/endpoints: "127.0.0.1:3000, 127.0.0.2:3001, elsewhere.test:3002, 127.0.0.3:3003;weight=0"}}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: partner}
spec: {type: ExternalName, externalName: partner.example.com., ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: circle}
spec: {type: ExternalName, externalName: circle.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: dangling}
spec: {type: ExternalName, externalName: nobody.default.svc.cluster.local}
---
apiVersion: v1
kind: Service
metadata: {name: address}
spec: {type: ExternalName, externalName: 192.0.2.1}
`

const FLAGS = { 'dns.enabled': 'true', 'dns.port': '0' }

const SOA = /^cluster\.local\. SOA ns\.dns\.cluster\.local\. hostmaster\.cluster\.local\. \d+ 7200 1800 86400 5$/

function holdNegative(t: Test, dug: Dug, status: string, label: string): void {
  t.equal(dug.status, status, label)
  t.same(dug.answer, [], label)
  t.match(dug.authority, [SOA], label)
  t.ok(dug.flags.includes('aa'), label)
}

t.test('names of the cluster', { skip: isDigHere ? false : 'dig is not installed' }, async (t) => {
  const running: RunningGateway = await runGateway(t, CLUSTER, { flags: FLAGS })
  const port = running.gateway.ports.dns!
  const ask = (words: string): Promise<Dug> => dig(port, words)
  const answers = async (words: string): Promise<readonly string[]> => [...(await ask(words)).answer].sort()

  t.test('N1: the version of the schema', async (t) => {
    t.same(await answers('dns-version.cluster.local TXT'), ['dns-version.cluster.local. TXT "1.1.0"'])
  })

  t.test('N2: a Service with a virtual IP, in each family, with its TTL, authoritative', async (t) => {
    const dug = await ask('web.default.svc.cluster.local A')
    t.same(dug.answer, ['web.default.svc.cluster.local. A 10.96.0.10'])
    t.same(dug.ttls, [5])
    t.equal(dug.status, 'NOERROR')
    t.ok(dug.flags.includes('aa'))
    t.notOk(dug.flags.includes('ra'), 'nothing is looked up elsewhere')
    t.same(await answers('web.default.svc.cluster.local AAAA'), ['web.default.svc.cluster.local. AAAA fd00:96::10'])
  })

  t.test('N3: SRV of named ports: the port of the Service, its name, its addresses beside it', async (t) => {
    const dug = await ask('_http._tcp.web.default.svc.cluster.local SRV')
    t.same(dug.answer, ['_http._tcp.web.default.svc.cluster.local. SRV 0 100 80 web.default.svc.cluster.local.'])
    t.same(dug.additional, [
      'web.default.svc.cluster.local. A 10.96.0.10',
      'web.default.svc.cluster.local. AAAA fd00:96::10',
    ])
    t.same(await answers('_query._udp.web.default.svc.cluster.local SRV'), [
      '_query._udp.web.default.svc.cluster.local. SRV 0 100 53 web.default.svc.cluster.local.',
    ])
  })

  t.test('N4: an address of a Service leads back to its name', async (t) => {
    t.same(await answers('-x 10.96.0.10'), ['10.0.96.10.in-addr.arpa. PTR web.default.svc.cluster.local.'])
    const [record] = await answers('-x fd00:96::10')
    t.match(record, /^0\.1\.0\.0\.[0.]+\.6\.9\.0\.0\.0\.0\.d\.f\.ip6\.arpa\. PTR web\.default\.svc\.cluster\.local\.$/)
    const other = await ask('10.0.96.10.in-addr.arpa TXT')
    t.equal(other.status, 'NOERROR')
    t.match(other.authority, [/^10\.0\.96\.10\.in-addr\.arpa\. SOA /])
  })

  t.test('N5: a headless Service has the addresses of its ready endpoints, and no name without any', async (t) => {
    t.same(await answers('db.prod.svc.cluster.local A'), [
      'db.prod.svc.cluster.local. A 10.1.0.1',
      'db.prod.svc.cluster.local. A 10.1.0.2',
    ])
    t.same(await answers('db.prod.svc.cluster.local AAAA'), ['db.prod.svc.cluster.local. AAAA fd00:1::1'], 'S32')
    holdNegative(t, await ask('idle.default.svc.cluster.local A'), 'NXDOMAIN', 'nothing is ready')
    holdNegative(t, await ask('_http._tcp.idle.default.svc.cluster.local SRV'), 'NXDOMAIN', 'nor its ports')
  })

  t.test('N6: endpoints by hostname or, without one, by their address with dashes', async (t) => {
    t.same(await answers('db-0.db.prod.svc.cluster.local A'), ['db-0.db.prod.svc.cluster.local. A 10.1.0.1'])
    t.same(await answers('db-0.db.prod.svc.cluster.local AAAA'), ['db-0.db.prod.svc.cluster.local. AAAA fd00:1::1'])
    t.same(await answers('10-1-0-2.db.prod.svc.cluster.local A'), ['10-1-0-2.db.prod.svc.cluster.local. A 10.1.0.2'])
    holdNegative(t, await ask('db-2.db.prod.svc.cluster.local A'), 'NXDOMAIN', 'not ready')
    holdNegative(t, await ask('10-1-0-1.db.prod.svc.cluster.local A'), 'NXDOMAIN', 'it has a hostname')
  })

  t.test('N7: SRV of a headless Service: endpoints with their own port', async (t) => {
    const dug = await ask('_pg._tcp.db.prod.svc.cluster.local SRV')
    t.same([...dug.answer].sort(), [
      '_pg._tcp.db.prod.svc.cluster.local. SRV 0 50 5433 10-1-0-2.db.prod.svc.cluster.local.',
      '_pg._tcp.db.prod.svc.cluster.local. SRV 0 50 5433 db-0.db.prod.svc.cluster.local.',
    ])
    t.same([...dug.additional].sort(), [
      '10-1-0-2.db.prod.svc.cluster.local. A 10.1.0.2',
      'db-0.db.prod.svc.cluster.local. A 10.1.0.1',
      'db-0.db.prod.svc.cluster.local. AAAA fd00:1::1',
    ])
  })

  t.test('N8: the address of an endpoint with a hostname leads back to that', async (t) => {
    t.same(await answers('-x 10.1.0.1'), ['1.0.1.10.in-addr.arpa. PTR db-0.db.prod.svc.cluster.local.'])
    t.equal((await answers('-x fd00:1::1')).length, 1)
    t.equal((await ask('-x 10.1.0.2')).status, 'REFUSED', 'without a hostname there is no such name')
  })

  t.test('N9: ExternalName is an alias; within the zone its addresses come along', async (t) => {
    for (const type of ['A', 'AAAA', 'CNAME', 'TXT']) {
      t.same(
        await answers(`partner.default.svc.cluster.local ${type}`),
        ['partner.default.svc.cluster.local. CNAME partner.example.com.'],
        type,
      )
    }
    t.same((await ask('alias.default.svc.cluster.local A')).answer, [
      'alias.default.svc.cluster.local. CNAME web.default.svc.cluster.local.',
      'web.default.svc.cluster.local. A 10.96.0.10',
    ])
    const dangling = await ask('dangling.default.svc.cluster.local A')
    t.equal(dangling.status, 'NXDOMAIN', 'RFC 6604: the code is that of the last name')
    t.equal(dangling.answer.length, 1)
    t.match(dangling.authority, [SOA])
    const circle = await ask('circle.default.svc.cluster.local A')
    t.ok(circle.answer.length < 12 && circle.answer.every((line) => line.includes('CNAME')), 'a circle ends')
    holdNegative(t, await ask('address.default.svc.cluster.local A'), 'NOERROR', 'an address is no name (S33)')
  })

  t.test(
    'N10: no SRV for unnamed ports and ports of an ExternalName, nothing for nodePorts and externalIPs',
    async (t) => {
      holdNegative(t, await ask('_http._tcp.plain.default.svc.cluster.local SRV'), 'NXDOMAIN', 'unnamed')
      holdNegative(
        t,
        await ask('_tcp.plain.default.svc.cluster.local SRV'),
        'NXDOMAIN',
        'nor what would stand above it',
      )
      holdNegative(t, await ask('_http._tcp.partner.default.svc.cluster.local SRV'), 'NXDOMAIN', 'ExternalName')
      t.same(await answers('plain.default.svc.cluster.local A'), ['plain.default.svc.cluster.local. A 10.96.0.11'])
      t.equal((await ask('-x 192.0.2.9')).status, 'REFUSED')
    },
  )

  t.test('N11: a name without records of the type is there, and has none; a name that is not, is not', async (t) => {
    for (const words of [
      'plain.default.svc.cluster.local AAAA',
      'web.default.svc.cluster.local SRV',
      'web.default.svc.cluster.local MX',
      '_tcp.web.default.svc.cluster.local A',
      'default.svc.cluster.local A',
      'svc.cluster.local A',
      'dns.cluster.local A',
      'cluster.local A',
      'dns-version.cluster.local A',
    ]) {
      holdNegative(t, await ask(words), 'NOERROR', words)
    }
    for (const words of [
      'nobody.default.svc.cluster.local A',
      'web.nowhere.svc.cluster.local A',
      'nowhere.svc.cluster.local A',
      '_https._tcp.web.default.svc.cluster.local SRV',
      '_http._udp.web.default.svc.cluster.local SRV',
      'a.b.web.default.svc.cluster.local A',
      'web.default.cluster.local A',
      'web.cluster.local A',
      'web\\.default.svc.cluster.local A',
      '\\000\\255.default.svc.cluster.local A',
    ]) {
      holdNegative(t, await ask(words), 'NXDOMAIN', words)
    }
  })

  t.test('N12: publishNotReadyAddresses', async (t) => {
    t.same(await answers('peers.default.svc.cluster.local A'), ['peers.default.svc.cluster.local. A 10.3.0.1'])
  })

  t.test(
    'N13: Pods by hostname where the Service is their subdomain, ports or no ports; no names by address',
    async (t) => {
      t.same(await answers('set.default.svc.cluster.local A'), [
        'set.default.svc.cluster.local. A 10.4.0.1',
        'set.default.svc.cluster.local. A 10.4.0.2',
      ])
      t.same(await answers('set-0.set.default.svc.cluster.local A'), [
        'set-0.set.default.svc.cluster.local. A 10.4.0.1',
      ])
      t.same(await answers('-x 10.4.0.1'), ['1.0.4.10.in-addr.arpa. PTR set-0.set.default.svc.cluster.local.'])
      holdNegative(t, await ask('set-1.set.default.svc.cluster.local A'), 'NXDOMAIN', 'another subdomain')
      t.same(await answers('10-4-0-2.set.default.svc.cluster.local A'), [
        '10-4-0-2.set.default.svc.cluster.local. A 10.4.0.2',
      ])
      holdNegative(t, await ask('10-4-0-1.default.pod.cluster.local A'), 'NXDOMAIN', 'anybody could claim an address')
    },
  )

  t.test('a Service that was given no virtual IP leads to its endpoints', async (t) => {
    t.same(await answers('local.default.svc.cluster.local A'), [
      'local.default.svc.cluster.local. A 127.0.0.1',
      'local.default.svc.cluster.local. A 127.0.0.2',
    ])
    t.same(await answers('_http._tcp.local.default.svc.cluster.local SRV'), [
      '_http._tcp.local.default.svc.cluster.local. SRV 0 50 3000 127-0-0-1.local.default.svc.cluster.local.',
      '_http._tcp.local.default.svc.cluster.local. SRV 0 50 3001 127-0-0-2.local.default.svc.cluster.local.',
    ])
  })

  t.test('the zone itself: SOA, NS, and where its server is', async (t) => {
    t.match(await answers('cluster.local SOA'), [SOA])
    t.same(await answers('cluster.local NS'), ['cluster.local. NS ns.dns.cluster.local.'])
    t.same(await answers('ns.dns.cluster.local A'), ['ns.dns.cluster.local. A 127.0.0.1'])
  })

  t.test('the case of a question comes back, and does not matter', async (t) => {
    const dug = await ask('wEb.DEFAULT.svc.Cluster.LOCAL A')
    t.same(dug.answer, ['wEb.DEFAULT.svc.Cluster.LOCAL. A 10.96.0.10'])
    t.match(dug.text, ';wEb.DEFAULT.svc.Cluster.LOCAL.')
  })

  t.test('ANY is answered with one set (RFC 8482)', async (t) => {
    const dug = await ask('web.default.svc.cluster.local ANY +notcp')
    t.same(dug.answer, ['web.default.svc.cluster.local. A 10.96.0.10'])
    t.equal(dug.transport, 'UDP')
  })

  t.test('other names, classes, operations and transfers are refused', async (t) => {
    for (const words of ['example.com A', 'local A', 'notcluster.local A', '. NS', 'xcluster.local A']) {
      const dug = await ask(words)
      t.equal(dug.status, 'REFUSED', words)
      t.notOk(dug.flags.includes('aa'), words)
    }
    t.equal((await ask('version.bind TXT CH')).status, 'NOTIMP')
    t.equal((await ask('cluster.local A +opcode=STATUS')).status, 'NOTIMP')
    t.match((await ask('cluster.local AXFR')).text, /Transfer failed/)
  })

  t.test('addresses are first in turn', async (t) => {
    const first = new Set<string | undefined>()
    for (let asked = 0; asked < 4; asked++) first.add((await ask('db.prod.svc.cluster.local A')).answer[0])
    t.equal(first.size, 2)
  })

  t.test('EDNS is answered where the client has it; over TCP all the same', async (t) => {
    t.equal((await ask('web.default.svc.cluster.local A')).edns, true)
    t.equal((await ask('web.default.svc.cluster.local A +noedns')).edns, false)
    const dug = await ask('web.default.svc.cluster.local A +tcp')
    t.equal(dug.transport, 'TCP')
    t.same(dug.answer, ['web.default.svc.cluster.local. A 10.96.0.10'])
    t.match((await ask('web.default.svc.cluster.local A +edns=7 +noednsneg')).text, /BADVERS/)
    t.same((await ask('web.default.svc.cluster.local A +keepopen +dnssec')).answer.length, 1)
  })
})

t.test('200 addresses do not fit into a packet', { skip: isDigHere ? false : 'dig is not installed' }, async (t) => {
  const endpoints = Array.from({ length: 200 }, (_, index) => `127.1.${index >> 8}.${index & 255}:80`)
  const flags = { ...FLAGS, endpoints: `default/many=${endpoints.join(',')}` }
  const many = `
apiVersion: v1
kind: Service
metadata: {name: many}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
`
  const { gateway } = await runGateway(t, many, { flags })
  const port = gateway.ports.dns!

  const cut = await dig(port, 'many.default.svc.cluster.local A +ignore')
  t.ok(cut.flags.includes('tc'))
  t.ok(cut.answer.length > 50, 'what fits is sent: some clients never ask again')
  t.ok(cut.bytes <= 1232)
  const old = await dig(port, 'many.default.svc.cluster.local A +ignore +noedns')
  t.ok(old.flags.includes('tc') && old.bytes <= 512 && old.answer.length < cut.answer.length)
  const greedy = await dig(port, 'many.default.svc.cluster.local A +ignore +bufsize=4096')
  t.ok(greedy.flags.includes('tc') && greedy.bytes <= 1232, 'whatever the client would take')
  const small = await dig(port, 'many.default.svc.cluster.local A +ignore +bufsize=100')
  t.ok(small.flags.includes('tc') && small.bytes > 400 && small.bytes <= 512)

  const whole = await dig(port, 'many.default.svc.cluster.local A')
  t.ok(whole.isRetried)
  t.equal(whole.transport, 'TCP')
  t.equal(new Set(whole.answer).size, 200)
  const services = await dig(port, '_http._tcp.many.default.svc.cluster.local SRV')
  t.equal(new Set(services.answer).size, 200)
  t.equal(new Set(services.additional).size, 200)
})
