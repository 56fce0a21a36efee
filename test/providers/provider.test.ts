/** A gateway that an embedding program gives resources, beside files: over a real socket. */
import t, { type Test } from 'tap'
import {
  type ChangeListener,
  type Manifests,
  type Provider,
  type Reloaded,
  TextProvider,
  type Watch,
} from '../../lib/index.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { endpointsOf, type RunningGateway, runGateway, startEchoes, visit } from '../helpers/running-gateway.ts'

function printRoute(host: string, service: string): string {
  return [
    { apiVersion: 'v1', kind: 'Service', metadata: { name: service }, spec: { ports: [{ port: 80 }] } },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'Ingress',
      metadata: { name: service },
      spec: {
        rules: [
          {
            host,
            http: {
              paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: service, port: { number: 80 } } } }],
            },
          },
        ],
      },
    },
  ]
    .map((object) => JSON.stringify(object))
    .join('\n---\n')
}

/** A program's own provider, as a registry of services would be: it turns what it has into manifests, and can fail. */
class RegistryProvider implements Provider {
  readonly #manifests = new TextProvider({ name: 'registry', text: '' })
  #listener: ChangeListener | undefined
  trouble: string | undefined
  watches = 0

  set(text: string, trouble?: string): void {
    this.trouble = trouble
    this.#manifests.set(text)
    this.#listener?.onChange(false)
  }

  async read(): Promise<Manifests> {
    if (this.trouble !== undefined) throw new Error(this.trouble)
    return this.#manifests.read()
  }

  async watch(listener: ChangeListener): Promise<Watch> {
    this.#listener = listener
    this.watches++
    return { close: () => this.watches-- }
  }

  describe(): string {
    return 'registry'
  }
}

async function run(t: Test, provider: Provider): Promise<RunningGateway> {
  const upstreams = await startEchoes(t, 'shop', 'cart', 'pay')
  return runGateway(t, printRoute('shop.test', 'shop'), {
    endpoints: endpointsOf(upstreams),
    flags: { watch: 'true' },
    providers: [provider],
  })
}

/** Waits for the next reload; `act` brings it about. */
async function reloaded({ gateway }: RunningGateway, act: () => void): Promise<Reloaded> {
  const next = new Promise<Reloaded>((resolve) => gateway.on('reloaded', resolve))
  act()
  return next
}

t.test('resources of a program are served beside files, change, and stay while their provider fails', async (t) => {
  const registry = new RegistryProvider()
  registry.set(printRoute('cart.test', 'cart'))
  const running = await run(t, registry)
  const ask = async (host: string) => (await visit(running, `http://${host}/`)).answeredBy
  t.same([await ask('shop.test'), await ask('cart.test'), await ask('pay.test')], ['shop', 'cart', 404])
  t.equal(running.gateway.configuration.sources, '1 file, registry')

  const changed = await reloaded(running, () =>
    registry.set(`${printRoute('cart.test', 'cart')}\n---\n${printRoute('pay.test', 'pay')}`),
  )
  t.same([changed.files, changed.kept], [['<registry>'], []])
  t.same([await ask('shop.test'), await ask('cart.test'), await ask('pay.test')], ['shop', 'cart', 'pay'])
  const { model, locate } = running.gateway.served
  const route = findIngressTable(model).hosts.find(({ host }) => host === 'pay.test')?.routes[0]
  t.match(locate(route?.owner as never, ['metadata', 'name']), { file: '<registry>', line: 7 })

  const failed = await reloaded(running, () => registry.set('', 'connection refused'))
  t.match(failed.kept, [{ text: /^still serving registry as of / }])
  t.match(failed.newDiagnostics, [
    { code: 'PORTICO_FILE_UNREADABLE', severity: 'error', message: 'registry cannot be read: connection refused' },
  ])
  await running.change(printRoute('new.test', 'shop'))
  t.same([await ask('new.test'), await ask('shop.test')], ['shop', 404], 'files go on being read')
  t.same([await ask('cart.test'), await ask('pay.test')], ['cart', 'pay'], 'what the provider gave last is served')

  const recovered = await reloaded(running, () => registry.set(printRoute('cart.test', 'cart')))
  t.same([recovered.kept, recovered.goneDiagnostics > 0], [[], true])
  t.same([await ask('cart.test'), await ask('pay.test')], ['cart', 404])
  await running.gateway.stop()
  t.equal(registry.watches, 0, 'the watch is closed with the gateway')
})
