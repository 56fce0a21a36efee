/** X-Request-Id at every door: kept from any client where it is harmless, else made anew; the same for endpoint, client and log. */
import t, { type Test } from 'tap'
import { SETTINGS as TABLE } from '../../lib/settings/table.ts'
import { defaultCertificate } from '../downstream/start-listener.ts'
import { startEchoUpstream } from '../helpers/echo-upstream.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { connectRaw, connectRawTls, findAll } from '../helpers/raw-client.ts'
import { startTraffic } from '../helpers/start-traffic.ts'
import { until } from '../helpers/until.ts'

const SETTINGS = {
  'http.address': '127.0.0.1',
  'http.port': 0,
  'https.address': '127.0.0.1',
  'https.port': 0,
}
const NEW = /^[0-9a-f]{32}$/

/** The ids that endpoint, client and log have. */
type Ids = { endpoint: readonly string[]; client: string | undefined; log: unknown }
type Door = (sent: string | undefined) => Promise<Ids>

async function startDoors(t: Test, settings: Readonly<Record<string, unknown>>): Promise<Record<string, Door>> {
  const echo = await startEchoUpstream()
  t.teardown(() => echo.close())
  const started = await startTraffic(
    t,
    {
      upstreams: { web: [echo.port] },
      routes: [{ to: 'web' }],
      listeners: [{ to: 'web', port: 0, layer: 'L7' }],
    },
    { ...SETTINGS, ...settings },
    { defaultCertificate: await defaultCertificate() },
  )
  const http = (await started.traffic.listen('http')).port
  const https = (await started.traffic.listen('https')).port
  const note = async (count: number, client: string | undefined): Promise<Ids> => {
    const logged = () => started.lines.filter(({ msg }) => msg === 'request')
    await until(() => logged().length > count)
    return {
      endpoint: findAll(echo.requests.at(-1)!.headers, 'x-request-id'),
      client,
      log: logged().at(-1)!.request_id,
    }
  }
  const count = () => started.lines.filter(({ msg }) => msg === 'request').length
  const overHttp1 =
    (connect: () => ReturnType<typeof connectRaw>, more = ''): Door =>
    async (sent) => {
      const before = count()
      const client = await connect()
      const field = sent === undefined ? '' : `X-Request-Id: ${sent}\r\n`
      client.send(`GET / HTTP/1.1\r\nHost: gw.test\r\n${more}${field}\r\n`)
      const response = await client.response()
      client.destroy()
      return note(before, response.header('x-request-id'))
    }
  const h2 = connectH2(t, https, { tls: true })
  return {
    http: overHttp1(() => connectRaw(http)),
    https: overHttp1(() => connectRawTls(https)),
    "a Service's port": overHttp1(() => connectRaw(started.port)),
    'an upgrade': overHttp1(() => connectRaw(http), 'Connection: Upgrade\r\nUpgrade: foo\r\n'),
    'HTTP/2': async (sent) => {
      const before = count()
      const response = await requestH2(h2, {
        ':path': '/',
        ':authority': 'gw.test',
        ...(sent !== undefined && { 'x-request-id': sent }),
      })
      return note(before, response.headers['x-request-id'] as string | undefined)
    },
  }
}

t.test('the settings do not list it among what is believed of trusted proxies alone', async (t) => {
  t.notMatch(TABLE.trustedProxies.doc, /X-Request-Id/i)
})

for (const fastLane of [true, false]) {
  for (const trustedProxies of [[], ['127.0.0.0/8']]) {
    const where = `${fastLane ? 'with' : 'without'} the fast lane, ${trustedProxies.length > 0 ? 'trusted' : 'a stranger'}`
    t.test(`the id of a client is kept where it is harmless: ${where}`, async (t) => {
      const doors = await startDoors(t, { 'fastLane.enabled': fastLane, trustedProxies })
      for (const [name, ask] of Object.entries(doors)) {
        for (const id of ['abc-1.2_3', 'a', 'f'.repeat(128)]) {
          t.same(await ask(id), { endpoint: [id], client: id, log: id }, `${name}: ${id.slice(0, 10)}`)
        }
        for (const bad of [undefined, '', 'a'.repeat(129), 'a b', 'a"b', '%0d%0a', 'a,b', '<b>']) {
          const ids = await ask(bad)
          t.match(ids.client, NEW, `${name}: a new one in place of ${bad?.slice(0, 10)}`)
          t.same(ids, { endpoint: [ids.client], client: ids.client, log: ids.client }, name)
        }
      }
    })
  }
}
