import t from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { loadConfiguration } from '../../lib/control/configuration.ts'
import { EndpointRegistry } from '../../lib/upstream/choice/registry.ts'
import { BARE } from '../helpers/routed-request.ts'
import { buildSnapshot } from '../helpers/snapshot.ts'

const MANIFESTS = `apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {portico.dev/endpoints: "127.0.0.1:3000, 127.0.0.1:3001"}
spec: {ports: [{name: http, port: 80}, {name: unused, port: 81}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  tls: [{hosts: [a.test], secretName: none}]
  rules:
    - host: a.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /named, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
          - {path: /gone, pathType: Prefix, backend: {service: {name: gone, port: {number: 80}}}}
`

t.test('a snapshot leads each route to its pool, and each host to its certificate', async (t) => {
  const configuration = await loadConfiguration({ sources: ['-'], stdin: MANIFESTS, flags: {}, environment: {} })
  const { settings, model } = configuration
  const registry = new EndpointRegistry({ settings: () => settings, clock: systemClock })
  t.teardown(() => registry.close())
  const clock = { ...systemClock, now: () => 1234 }
  const snapshot = buildSnapshot({ settings, model, generation: 7 }, registry, clock)

  const { table } = snapshot.listeners.get('TCP [::]:8080')!
  t.equal(snapshot.listeners.get('TCP [::]:8443')?.table, table, 'one table for both listeners')
  const routes = table.hosts.find('a.test')
  const served = routes?.find('/x', BARE)
  t.match(served?.labels, { ingress: 'default/web', route: 'default/web|a.test|Prefix /', upstream: 'default/web:80' })
  t.equal(served?.upstream?.upstream.key, 'default/web:80')
  t.equal(routes?.find('/named/x', BARE)?.upstream, served?.upstream, 'one Service port is one pool')
  const unavailable = routes?.find('/gone', BARE)
  t.same([unavailable?.action.type, unavailable?.upstream], ['unavailable', undefined])
  t.equal(table.hosts.find('b.test'), undefined)

  t.same(
    snapshot.pools.map(({ upstream }) => upstream.key),
    ['default/web:80'],
    'pools are made for ports that a route leads to',
  )
  t.equal([...registry.states()].length, 2)
  t.match(snapshot.certificates.find('a.test'), { host: 'a.test', certificate: undefined })
  t.match(snapshot, { generation: 7, builtAt: 1234, settings })
  t.ok([snapshot, snapshot.pools, served].every((value) => Object.isFrozen(value)))
})

t.test('two snapshots of one model share the states of endpoints', async (t) => {
  const configuration = await loadConfiguration({ sources: ['-'], stdin: MANIFESTS, flags: {}, environment: {} })
  const registry = new EndpointRegistry({ settings: () => configuration.settings, clock: systemClock })
  t.teardown(() => registry.close())
  const [one, two] = [1, 2].map((generation) => buildSnapshot({ ...configuration, generation }, registry, systemClock))
  t.not(one?.pools[0], two?.pools[0])
  t.same(one?.pools[0]?.states, two?.pools[0]?.states)
  t.equal(one?.pools[0]?.states[0], two?.pools[0]?.states[0])
})
