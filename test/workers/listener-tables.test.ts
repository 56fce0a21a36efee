/** Listeners of the gateway with tables of their own, over real sockets and reloads. */
import t from 'tap'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { makeModelCertificate } from '../helpers/certificates.ts'
import { connectRaw, connectRawTls, type RawClient } from '../helpers/raw-client.ts'
import { answerWith, startRawUpstream } from '../helpers/raw-upstream.ts'
import { makeModel } from '../helpers/snapshot.ts'
import { CARRIERS, startCarrier } from '../helpers/start-carrier.ts'

const UPSTREAMS = ['one', 'two', 'three'] as const

/** The body of the answer, or the status of a failure. */
async function ask(client: RawClient, host: string): Promise<string | number> {
  const { status, body } = await client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`).response()
  return status === 200 ? String(body) : status
}

for (const [kind, create] of CARRIERS) {
  t.test(`${kind}: each listener serves its own table, and a reload of one leaves the others alone`, async (t) => {
    const upstreams: Record<string, number[]> = {}
    for (const name of UPSTREAMS) {
      const upstream = await startRawUpstream(
        answerWith(`HTTP/1.1 200 OK\r\nContent-Length: ${name.length}\r\n\r\n${name}`),
      )
      t.teardown(() => upstream.close())
      upstreams[name] = [upstream.port]
    }
    const defaultCertificate = await makeModelCertificate({ names: ['a.test'] })
    const { carrier, settings, start, apply } = startCarrier(t, create, { defaultCertificate })
    const first = makeModel(
      {
        upstreams,
        routes: [{ host: 'a.test', to: 'one' }],
        fallback: 'one',
        tables: { side: { routes: [{ host: 'a.test', to: 'two' }] } },
        own: { http: {}, https: { tls: true }, side: { table: 'side' }, secure: { table: 'side', tls: true } },
      },
      settings,
    )
    await start(first)
    const ports = { ...carrier.ports }
    t.same(Object.keys(ports).sort(), ['http', 'https', 'secure', 'side'])
    const clients = {
      http: await connectRaw(ports.http!),
      https: await connectRawTls(ports.https!),
      side: await connectRaw(ports.side!),
      secure: await connectRawTls(ports.secure!),
    }
    t.teardown(() => {
      for (const client of Object.values(clients)) client.destroy()
    })
    const askAll = async (host: string) => {
      const answers = Object.entries(clients).map(async ([name, client]) => [name, await ask(client, host)] as const)
      return Object.fromEntries(await Promise.all(answers))
    }
    t.same(await askAll('a.test'), { http: 'one', https: 'one', side: 'two', secure: 'two' })
    t.same(await askAll('b.test'), { http: 'one', https: 'one', side: 404, secure: 404 }, 'a default backend of one')

    const side = makeModel({ tables: { side: { routes: [{ host: 'b.test', to: 'three' }] } } }).tables[1]!
    await apply({ ...first, tables: [findIngressTable(first), side] })
    t.same(await askAll('a.test'), { http: 'one', https: 'one', side: 404, secure: 404 }, 'on the same connections')
    t.same(await askAll('b.test'), { http: 'one', https: 'one', side: 'three', secure: 'three' })

    const listeners = first.listeners.map((each) => (each.id === 'secure' ? { ...each, table: 'ingress' } : each))
    await apply({ ...first, tables: [findIngressTable(first), side], listeners })
    t.same(await askAll('a.test'), { http: 'one', https: 'one', side: 404, secure: 'one' }, 'another table')
    t.same(carrier.ports, ports, 'no port was opened again')
    await carrier.refresh()
    t.same(Object.fromEntries(carrier.connections()), { http: 1, https: 1, side: 1, secure: 1 })

    await apply({
      ...first,
      tables: [findIngressTable(first)],
      listeners: listeners.filter(({ id }) => id !== 'side'),
    })
    await t.rejects(connectRaw(ports.side!), { code: 'ECONNREFUSED' })
    t.same(Object.keys(carrier.ports).sort(), ['http', 'https', 'secure'])
    t.equal(await ask(clients.http, 'a.test'), 'one')
  })
}
