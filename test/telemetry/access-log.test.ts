/** Access lines: their fields, the escaping and bounds of text, and their form for people. */
import t from 'tap'
import { paintNothing } from '../../lib/base/terminal-text.ts'
import { accessFields, createAccessLog, printAccess } from '../../lib/telemetry/access-log.ts'
import { createLog } from '../../lib/telemetry/log.ts'
import { makeRecord } from './make-record.ts'

/** The lines an access log writes at a level. */
function write(level: 'info' | 'error' | 'silent', record = makeRecord()): Record<string, unknown>[] {
  const lines: Record<string, unknown>[] = []
  const log = createLog({ level, format: 'json' }, { write: (line) => void lines.push(JSON.parse(line)) })
  createAccessLog(log)(record)
  return lines
}

t.test('every field has its name and unit; those that do not apply are left out', async (t) => {
  const [line = {}] = write('info')
  t.match(line.time, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
  t.same(Object.keys(line), [
    ...['level', 'time', 'request_id', 'client', 'peer', 'host', 'method', 'target', 'protocol', 'scheme', 'status'],
    ...['bytes_in', 'bytes_out', 'duration_ms', 'upstream_ms', 'ingress', 'route', 'service', 'endpoint', 'tries'],
    ...['user_agent', 'msg'],
  ])
  t.match(line, {
    level: 'info',
    request_id: 'abc',
    client: '203.0.113.7',
    peer: '10.0.0.1',
    host: 'shop.test',
    target: '/api?x=1',
    status: 200,
    duration_ms: 12.346,
    upstream_ms: 10,
    service: 'default/api:80',
    endpoint: '10.1.1.1:80',
    msg: 'request',
  })
  const [failed = {}] = write('info', makeRecord({ error: 'PORTICO_UP_RESET', detail: 'why', tunnel: true }))
  t.match(failed, { code: 'PORTICO_UP_RESET', detail: 'why', tunnel: true })
})

t.test('they are written whatever the level, unless it is silent', async (t) => {
  t.equal(write('error').length, 1)
  t.equal(write('silent').length, 0)
})

t.test('text of a client can neither forge lines nor fill the disk', async (t) => {
  const hostile = 'a\r\n{"level":"info"}\x1b[2J\u202e\u2028\x9b'
  const fields = accessFields(
    makeRecord({
      authority: hostile,
      target: hostile,
      method: hostile,
      userAgent: hostile,
      detail: hostile,
      id: hostile,
    }),
  )
  for (const text of [fields.host, fields.target, fields.method, fields.user_agent, fields.detail, fields.request_id]) {
    t.equal(text, 'a\\x0d\\x0a{"level":"info"}\\x1b[2J\\u202e\\u2028\\x9b')
  }
  const long = accessFields(makeRecord({ target: `/${'x'.repeat(100_000)}`, userAgent: 'y'.repeat(100_000) }))
  t.equal(long.target.length, 2049)
  t.equal(long.user_agent?.length, 513)
})

t.test('for people it is one line', async (t) => {
  const print = (changes: Parameters<typeof makeRecord>[0]) =>
    printAccess(accessFields(makeRecord(changes)), paintNothing)
  t.equal(print({}), '200 GET shop.test/api?x=1  12 ms  default/api:80')
  t.equal(print({ durationMs: 0.44 }), '200 GET shop.test/api?x=1  0.4 ms  default/api:80')
  t.equal(
    print({ status: 502, error: 'PORTICO_UP_CONNECT_REFUSED', detail: '127.0.0.1:9002 refused the connection' }),
    '502 GET shop.test/api?x=1  12 ms  default/api:80  PORTICO_UP_CONNECT_REFUSED  127.0.0.1:9002 refused the connection',
  )
})
