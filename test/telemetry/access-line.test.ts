/** Lines of each format: fields, escapes of hostile texts, and names of ingress-nginx. */
import fc from 'fast-check'
import t from 'tap'
import { LOG_FIELDS, type LogField } from '../../lib/base/log-template.ts'
import { createFieldReader, printMs, printSeconds } from '../../lib/telemetry/access-field.ts'
import {
  COMBINED,
  COMMON,
  createJsonMaker,
  createTemplateMaker,
  printJsonConnection,
  printPlainConnection,
  UPSTREAM_INFO,
} from '../../lib/telemetry/access-line.ts'
import { accessFields, connectionFields } from '../../lib/telemetry/access-log.ts'
import { commonTime } from '../../lib/telemetry/line-time.ts'
import type { ConnectionRecord, RequestFacts, RequestRecord } from '../../lib/telemetry/record.ts'
import { makeRecord } from './make-record.ts'

const PLAIN = { worker: 2, secretKeys: undefined }
const HIDING = { worker: 2, secretKeys: /token|secret/i }

function makeFacts(fields: Readonly<Record<string, string>> = {}): RequestFacts {
  return {
    tls: { version: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256', serverName: 'shop.test' },
    traceId: fields.traceparent?.split('-')[1],
    grpcStatus: '0',
    field: (name) => fields[name],
  }
}

const read = (field: LogField, record: RequestRecord, facts?: RequestFacts, context = PLAIN) =>
  createFieldReader(field, context)(record, facts)

const print = (template: string, record: RequestRecord, facts?: RequestFacts, form: 'text' | 'json' = 'text') =>
  createTemplateMaker(template, form, PLAIN)(record, facts)

/** What clients and endpoints can put into records. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom(
    '"',
    '\\',
    '\u2028',
    '\ud800',
    '\x00',
    '\x7f',
    '\x9b',
    `${'x'.repeat(3000)}"`,
    'a\r\n{"level":"info"}',
  ),
)
const hostileRecord = fc
  .record({
    id: hostile,
    authority: hostile,
    method: hostile,
    target: hostile,
    clientAddress: hostile,
    userAgent: fc.option(hostile, { nil: undefined }),
    detail: fc.option(hostile, { nil: undefined }),
    endpoint: fc.option(hostile, { nil: undefined }),
    durationMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
    upstreamMs: fc.option(fc.double({ min: 0, max: 1e7, noNaN: true }), { nil: undefined }),
    tunnel: fc.boolean(),
    labels: fc.option(fc.record({ ingress: hostile, route: hostile, upstream: hostile }), { nil: undefined }),
  })
  .map((changes) => makeRecord(changes))

t.test('a line of JSON says what the fields say, whatever is in them', async (t) => {
  for (const context of [PLAIN, HIDING]) {
    const make = createJsonMaker([], context)
    fc.assert(
      fc.property(hostileRecord, (record) => {
        const line = make(record, undefined)
        t.equal(line.indexOf('\n'), line.length - 1)
        const { level, time, msg, ...fields } = JSON.parse(line)
        // Addresses are none of a client's texts.
        const { client, endpoint } = fields
        const texts = JSON.parse(JSON.stringify({ ...accessFields(record, context.secretKeys), client, endpoint }))
        t.strictSame({ level, msg, fields }, { level: 'info', msg: 'request', fields: texts })
        t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
      }),
      { numRuns: 500 },
    )
  }
})

t.test('a template with JSON escapes is JSON, whatever is in its fields', async (t) => {
  const template = '{"m":"$method","t":"$target","a":"$http_user_agent","h":"$http_x_any","s":$status,"d":"$cause"}'
  fc.assert(
    fc.property(hostileRecord, hostile, (record, any) => {
      const line = print(template, record, makeFacts({ 'x-any': any }), 'json')
      const parsed = JSON.parse(line)
      t.equal(parsed.s, 200)
      t.equal(line.indexOf('\n'), line.length - 1)
    }),
    { numRuns: 500 },
  )
})

t.test('with escapes of nginx, texts have neither quotes nor line ends', async (t) => {
  fc.assert(
    fc.property(hostile, (text) => {
      const line = print('"$http_user_agent"', makeRecord({ userAgent: text }))
      t.match(line, /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\x[0-9A-F]{2})*"\n$/)
    }),
    { numRuns: 500 },
  )
  const line = print('$http_user_agent', makeRecord({ userAgent: 'a"b\\c\x01\xe9\u20ac' }))
  t.equal(line, 'a\\x22b\\x5Cc\\x01\\xE9\\xE2\\x82\\xAC\n')
})

t.test('common, combined and upstreaminfo', async (t) => {
  const basic = `Basic ${Buffer.from('ann:hunter2').toString('base64')}`
  const facts = makeFacts({ authorization: basic, referer: 'https://a.test/?x=1' })
  const record = makeRecord({ durationMs: 12.4, upstreamMs: 10, bytesIn: 7 })
  const time = commonTime(1_700_000_000_012)
  const common = `203.0.113.7 - ann [${time}] "GET /api?x=1 HTTP/1.1" 200 5`
  t.equal(print(COMMON, record, facts), `${common}\n`)
  t.equal(print(COMBINED, record, facts), `${common} "https://a.test/?x=1" "curl/8"\n`)
  const info = '7 0.012 [default-api-80] [-] 10.1.1.1:80 5 0.012 200 abc'
  t.equal(print(UPSTREAM_INFO, record, facts), `${common} "https://a.test/?x=1" "curl/8" ${info}\n`)
  const bare = makeRecord({ labels: undefined, endpoint: undefined, upstreamMs: undefined, userAgent: undefined })
  t.match(print(UPSTREAM_INFO, bare), / 200 5 "-" "-" 0 0\.012 \[-\] \[-\] - - - - abc\n$/)
  t.match(time, /^\d\d\/Nov\/2023:\d\d:\d\d:\d\d [+-]\d{4}$/)
})

t.test('fields are what they say', async (t) => {
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const facts = makeFacts({ traceparent: trace, 'x-forwarded-for': '192.0.2.9', 'content-type': 'text/plain' })
  const record = makeRecord({
    authority: 'Shop.Test:8443',
    target: '/a/b?token=1&x=2',
    error: 'PORTICO_UP_RESET',
    detail: 'closed',
    tunnel: true,
  })
  const expected: Partial<Record<LogField, unknown>> = {
    ...{
      authority: 'Shop.Test:8443',
      host: 'shop.test',
      http_host: 'Shop.Test:8443',
      uri: '/a/b',
      args: 'token=***&x=2',
    },
    ...{ request: 'GET /a/b?token=***&x=2 HTTP/1.1', request_uri: '/a/b?token=***&x=2', is_args: '?', https: 'on' },
    ...{ namespace: 'default', ingress_name: 'shop', service_name: 'api', service_port: '80', tries: 1, worker: 2 },
    ...{ phase: 'answer', code: 'PORTICO_UP_RESET', cause: 'closed', tunnel: 'true', grpc_status: '0' },
    ...{ tls_version: 'TLSv1.3', ssl_cipher: 'TLS_AES_128_GCM_SHA256', ssl_server_name: 'shop.test' },
    ...{ trace_id: '0af7651916cd43dd8448eb211c80319c', content_type: 'text/plain', duration_ms: 12.346 },
    ...{ proxy_add_x_forwarded_for: '192.0.2.9, 10.0.0.1', remote_addr: '203.0.113.7', msec: '1700000000.012' },
    ...{ time: '2023-11-14T22:13:20.012Z', request_time: '0.012', bytes_sent: 5, upstream_status: 200 },
  }
  for (const [field, value] of Object.entries(expected)) {
    t.equal(read(field as LogField, record, facts, HIDING as never), value, field)
  }
  for (const field of LOG_FIELDS) t.doesNotThrow(() => read(field, record), field)
  t.equal(
    read('http_referer', record, makeFacts({ referer: 'https://a.test/?secret=1' }), HIDING as never),
    'https://a.test/?secret=***',
  )
})

t.test('further fields stand in lines of JSON where they apply', async (t) => {
  const make = createJsonMaker(['trace_id', 'phase', 'tls_version', 'worker', 'http_referer'], PLAIN)
  const facts = makeFacts({ referer: 'a"b' })
  t.match(JSON.parse(make(makeRecord(), facts)), { tls_version: 'TLSv1.3', worker: 2, http_referer: 'a"b' })
  t.notMatch(make(makeRecord(), facts), /trace_id|phase/)
})

t.test('numbers of milliseconds are those of JSON', async (t) => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (time) => {
      t.equal(printMs(time), JSON.stringify(Math.round(time * 1000) / 1000))
      t.match(printSeconds(time), /^\d+\.\d{3}$/)
      t.ok(Math.abs(Number(printSeconds(time)) - time / 1000) < 0.000_51 + time * 1e-12)
    }),
  )
})

t.test('lines of connections', async (t) => {
  const record: ConnectionRecord = {
    listener: 'NodePort default/db:5432/TCP [::]:30432',
    clientAddress: '203.0.113.7',
    endpoint: '127.0.0.1:5432',
    tries: 1,
    bytesIn: 79,
    bytesOut: 310,
    durationMs: 15.8,
    error: undefined,
    detail: 'a\nb',
  }
  const at = 1_700_000_000_000
  const { level, time, msg, ...fields } = JSON.parse(printJsonConnection(record, at))
  t.strictSame({ level, msg }, { level: 'info', msg: 'connection' })
  t.equal(time, '2023-11-14T22:13:20.000Z')
  t.strictSame(fields, JSON.parse(JSON.stringify(connectionFields(record))))
  t.equal(printPlainConnection(record, at), `[203.0.113.7] [${commonTime(at)}] TCP 200 310 79 0.016\n`)
  t.match(printPlainConnection({ ...record, error: 'PORTICO_UP_CONNECT_REFUSED' }, at), / TCP 502 /)
})
