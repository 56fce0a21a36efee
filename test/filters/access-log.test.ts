import t from 'tap'
import { printFilters } from '../../lib/filters/registry.ts'
import { connectH2, requestH2 } from '../helpers/h2-client.ts'
import { createMemoryLog } from '../helpers/memory-log.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, readMetrics, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { printFiltered, translateFiltered } from './filtered.ts'

const ADMIN = { 'admin.enabled': 'true', 'admin.port': '0', 'log.access': 'true' }

for (const lane of ['true', 'false']) {
  t.test(`requests are kept out of the log, and metrics count them; fast lane ${lane}`, async (t) => {
    const log = createMemoryLog()
    const print = (logs: string) => printFiltered({ 'access-log': logs, 'deny-source-range': '127.0.0.66' })
    const running = await runGateway(t, print('false'), {
      endpoints: endpointsOf(await startEchoes(t, 'web')),
      flags: { ...ADMIN, 'fastLane.enabled': lane },
      log,
    })
    const visit = async (target: string, localAddress = '127.0.0.1') => {
      const client = await connectRaw(running.http, { localAddress })
      const { status } = await client.send(`GET ${target} HTTP/1.1\r\nHost: a.test\r\n\r\n`).response()
      client.destroy()
      return status
    }
    t.equal(await visit('/quiet'), 200)
    t.equal(await visit('/quiet', '127.0.0.66'), 403)
    const session = connectH2(t, running.https, { tls: true })
    t.equal((await requestH2(session, { ':path': '/quiet', ':authority': 'a.test' })).status, 200)
    t.equal(await visit('/quiet/%zz'), 400, 'no route is known')
    await running.change(print('true'))
    t.equal(await visit('/loud'), 200)
    const targets = () => log.lines('info').flatMap(({ target }) => target ?? [])
    await until(() => targets().includes('/loud'))
    t.same(targets(), ['/quiet/%zz', '/loud'], 'what was asked before is not there')
    t.match(await readMetrics(running), /portico_requests_total\{[^}]*\} [3-9]/)
  })
}

t.test('what it says', (t) => {
  t.same(printFilters(translateFiltered({ 'access-log': 'false' }).route!), ['access-log: no lines in the access log'])
  t.equal(translateFiltered({ 'access-log': 'true' }).route!.filters, undefined)
  for (const value of ['', 'no', 'off', 'False']) {
    const { diagnostics } = translateFiltered({ 'access-log': value })
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', help: /write "true" or "false"/ }])
  }
  t.end()
})
