/** The log's two forms. */
import t from 'tap'
import { createAccessLog, createConnectionLog } from '../../lib/telemetry/access-log.ts'
import { createLog, flushLog } from '../../lib/telemetry/log.ts'
import { makeRecord } from './make-record.ts'

function collect(format: 'json' | 'pretty' | 'auto') {
  let text = ''
  let flushes = 0
  const log = createLog(
    { level: 'info', format },
    {
      write: (line) => {
        text += line
      },
      flush: (done) => {
        flushes++
        done()
      },
    },
  )
  return { log, read: () => text, flushes: () => flushes }
}

t.test('JSON lines have a level by name, a time people can read, and no host or process', async (t) => {
  const { log, read } = collect('json')
  log.warn({ listener: 'http' }, 'listener failed')
  log.debug('not this')
  const entry = JSON.parse(read())
  t.match(entry, { level: 'warn', listener: 'http', msg: 'listener failed', time: /^\d{4}-/ })
  t.same(Object.keys(entry), ['level', 'time', 'listener', 'msg'])
})

t.test('the level may be changed while running', async (t) => {
  const { log, read } = collect('json')
  log.level = 'error'
  log.info('not this')
  log.error('this')
  t.match(JSON.parse(read()), { msg: 'this' })
})

t.test('a pretty line has the place of a problem before the message', async (t) => {
  const { log, read } = collect('pretty')
  log.warn({ code: 'PORTICO_ANN_UNKNOWN', at: 'k8s/shop.yaml:3:5' }, 'unknown annotation')
  t.match(
    read().replaceAll(/\x1b\[\d+m/g, ''),
    / WARN: k8s\/shop\.yaml:3:5 {2}unknown annotation \{"code":"PORTICO_ANN_UNKNOWN"\}\n$/,
  )
})

t.test('pretty lines are for people, access lines in their own form', async (t) => {
  const { log, read } = collect('pretty')
  log.info({ port: 8080 }, 'listening')
  createAccessLog(log)(makeRecord({ status: 404, error: 'PORTICO_REQ_NO_ROUTE', labels: undefined }))
  createConnectionLog(log)({
    listener: 'NodePort default/db:5432/TCP [::]:30432',
    clientAddress: '203.0.113.7',
    endpoint: '127.0.0.1:5432',
    tries: 1,
    bytesIn: 79,
    bytesOut: 310,
    durationMs: 15.8,
    error: 'PORTICO_UP_CONNECT_REFUSED',
    detail: 'why',
  })
  const [first, second, third, rest] = read()
    .replaceAll(/\x1b\[\d+m/g, '')
    .split('\n')
  t.match(first, /^\[?\d\d:\d\d:\d\d\]? INFO: listening \{"port":8080\}$/)
  t.match(second, /^\d\d:\d\d:\d\d 404 GET shop\.test\/api\?x=1 {2}12 ms {2}PORTICO_REQ_NO_ROUTE$/)
  t.match(
    third,
    /^\d\d:\d\d:\d\d 203\.0\.113\.7 to NodePort default\/db:5432\/TCP \[::]:30432 {2}16 ms {2}127\.0\.0\.1:5432 {2}79 bytes in, 310 out {2}PORTICO_UP_CONNECT_REFUSED {2}why$/,
  )
  t.equal(rest, '')
})

t.test('flushLog waits for the stream, in both forms, but not for ever', async (t) => {
  for (const format of ['json', 'pretty'] as const) {
    const { log, flushes } = collect(format)
    await flushLog(log, 10_000)
    t.equal(flushes(), 1, format)
  }
  const stalled = createLog({ level: 'info', format: 'json' }, { write: () => {}, flush: () => {} })
  await flushLog(stalled, 10)
  t.pass('gave up')
})
