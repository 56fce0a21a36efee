/** Orders change what they name, and nothing else: all other parts stay the same objects, so that a reload costs what changed. */
import t from 'tap'
import { MAINTENANCE_BY_HAND } from '../../lib/filters/by-hand.ts'
import { addFilter } from '../../lib/filters/registry.ts'
import type { Model } from '../../lib/model/model.ts'
import { findEndpoints, nameEndpoint, Orders } from '../../lib/observe/orders.ts'
import { translateText } from '../translate/manifests.ts'

const service = (name: string, endpoints: string) =>
  `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {portico.dev/endpoints: "${endpoints}"}}\nspec: {ports: [{port: 80}]}\n`
const ingress = (name: string) => `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}}
spec:
  rules:
    - host: ${name}.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ${name}, port: {number: 80}}}}]}
`
const TEXT = `${service('a', '127.0.0.1:1, 127.0.0.1:2')}${service('b', '127.0.0.1:2')}${ingress('a')}${ingress('b')}`

const create = () => new Orders({ maintain: (filters) => addFilter(filters, MAINTENANCE_BY_HAND) })
const hostsOf = ({ tables }: Model) => tables.flatMap(({ hosts }) => hosts)

t.test('without orders all is the same object', async (t) => {
  const { model } = translateText(TEXT)
  const orders = create()
  t.equal(orders.adjust(model), model)
  t.equal(orders.observe(model.upstreams), model.upstreams)
})

t.test('maintenance makes the hosts that it is for anew, once, and no other', async (t) => {
  const { model } = translateText(TEXT)
  const orders = create()
  orders.maintain('a.test/', true)
  const adjusted = orders.adjust(model)
  const [before, after] = [hostsOf(model), hostsOf(adjusted)]
  t.match(after.find(({ host }) => host === 'a.test')?.routes[0]?.filters, [{ name: 'maintenance' }])
  t.equal(
    after.find(({ host }) => host === 'b.test'),
    before.find(({ host }) => host === 'b.test'),
  )
  t.equal(orders.adjust({ ...model }).tables, adjusted.tables, 'a reload that changes no host changes none here')
  orders.maintain('a.test/', false)
  t.equal(orders.adjust(model), model)
  orders.maintain('Ingress default/b', true)
  t.equal(
    hostsOf(orders.adjust(model)).find(({ host }) => host === 'a.test'),
    before.find(({ host }) => host === 'a.test'),
  )
})

t.test(
  'a drained endpoint is so in each upstream that it is ordered for, and the others stay the same objects',
  async (t) => {
    const { model } = translateText(TEXT)
    const { upstreams } = model
    const orders = create()
    t.strictSame(findEndpoints(upstreams, '127.0.0.1:2').map(nameEndpoint), [
      'default/a:80/127.0.0.1:2',
      'default/b:80/127.0.0.1:2',
    ])
    const found = findEndpoints(upstreams, 'endpoint/default/a:80/127.0.0.1:2')
    t.strictSame(found.map(nameEndpoint), ['default/a:80/127.0.0.1:2'])
    orders.drain(found)
    const drained = orders.observe(upstreams)
    t.match(drained.get('default/a:80')?.endpoints, [{ ready: true }, { ready: false, serving: false, drained: true }])
    t.equal(drained.get('default/b:80'), upstreams.get('default/b:80'))
    t.equal(orders.observe(upstreams), drained)
    t.equal(orders.observe(new Map(upstreams)).get('default/a:80'), drained.get('default/a:80'), 'nor at a reload')
    t.equal(orders.undrain(findEndpoints(drained, '127.0.0.1:2')).length, 1, 'that of the other was not drained')
    t.equal(orders.observe(upstreams), upstreams)
  },
)

t.test('orders are bounded', async (t) => {
  const many = Array.from({ length: 1_001 }, (_, index) => `127.0.0.1:${index + 1}`)
  const { model } = translateText(service('many', many.join(', ')))
  const orders = create()
  const found = [...model.upstreams.values()].flatMap((upstream) =>
    upstream.endpoints.map((endpoint) => ({ upstream, endpoint })),
  )
  t.equal(found.length, 1_001)
  t.equal(orders.drain(found), false)
  t.equal(orders.drain(found.slice(1)), true)
  t.equal(orders.drain(found.slice(0, 1)), false)
  for (let order = 0; order < 1_000; order++) t.ok(orders.maintain(`host-${order}.test/`, true))
  t.equal(orders.maintain('host-x.test/', true), false)
  t.equal(orders.maintain('host-0.test/', false), true)
  t.equal(orders.maintain('host-x.test/', true), true)
})
