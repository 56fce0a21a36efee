/** Which requests get a line, and where lines go: real files, and real receivers of syslog. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, renameSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { type AccessLogSettings, AccessWriter } from '../../lib/telemetry/access-writer.ts'
import { LogDestination } from '../../lib/telemetry/log-destination.ts'
import type { RequestRecord } from '../../lib/telemetry/record.ts'
import { createMemoryLog } from '../helpers/memory-log.ts'
import { until } from '../helpers/until.ts'
import { makeRecord } from './make-record.ts'

const USUAL: AccessLogSettings = {
  format: 'auto',
  template: '',
  escape: 'text',
  fields: [],
  to: 'file',
  file: '',
  syslog: '',
  syslogFacility: 'local7',
  sample: 1,
  failures: '5xx',
  slow: 0,
  redact: [],
}

type Test = { testdir(): string; teardown(end: () => void): void }

function open(t: Test, changes: Partial<AccessLogSettings>) {
  // Another call would empty the folder.
  const file = changes.file ?? join(t.testdir(), 'access.log')
  const log = createMemoryLog()
  const settings = (some: Partial<AccessLogSettings>) => ({
    log: { level: 'info', format: 'json' } as const,
    accessLog: { ...USUAL, file, ...changes, ...some },
  })
  const writer = new AccessWriter({ log, stdout: undefined, settings: settings({}), worker: 1 })
  t.teardown(() => writer.close())
  const write = async (...records: Partial<RequestRecord>[]) => {
    for (const each of records) writer.request(makeRecord(each), undefined)
    await writer.flush(5000)
  }
  return {
    ...{ file, log, writer, write },
    configure: (some: Partial<AccessLogSettings>) => writer.configure(settings(some)),
    read: () => readFileSync(file, 'utf8').split('\n').slice(0, -1),
  }
}

t.test('lines are of the format in force', async (t) => {
  const { write, read, configure } = open(t, {})
  await write({})
  configure({ format: 'template', template: '$status $code' })
  await write({ error: 'PORTICO_UP_RESET', status: 502 })
  configure({ format: 'common' })
  await write({})
  const [json = '', template, common] = read()
  t.match(JSON.parse(json), { msg: 'request', status: 200 })
  t.equal(template, '502 PORTICO_UP_RESET')
  t.match(common, /^203\.0\.113\.7 - - \[.*\] "GET \/api\?x=1 HTTP\/1\.1" 200 5$/)
})

t.test('values of queries are hidden by the words in their names', async (t) => {
  const { write, read } = open(t, { format: 'template', template: '$target', redact: ['*token', '*api_key', 'a*b'] })
  await write({ target: '/?id_token=1&x-Api_Key=2&apixkey=3&TOKEN=4&a*b=5&aab=6' })
  t.same(read(), ['/?id_token=***&x-Api_Key=***&apixkey=3&TOKEN=***&a*b=***&aab=***'])
})

t.test('samples; failures and slow requests are logged whatever the sample', async (t) => {
  const { write, read, configure } = open(t, { format: 'template', template: '$status $duration_ms', sample: 10 })
  await write(...Array.from({ length: 10_000 }, () => ({})))
  const sampled = read().length
  t.ok(sampled > 800 && sampled < 1200, `${sampled} of 10000`)
  const linesOf = async (some: Partial<AccessLogSettings>) => {
    configure({ sample: 0, ...some })
    const before = read().length
    await write(
      { status: 200, durationMs: 1 },
      { status: 404, durationMs: 2 },
      { status: 502, durationMs: 3, error: 'PORTICO_UP_RESET' },
      { status: 200, durationMs: 4, error: 'PORTICO_UP_TRUNCATED' },
      { status: 200, durationMs: 500 },
    )
    return read()
      .slice(before)
      .map((line) => line.split(' ')[1])
  }
  t.same(await linesOf({}), ['3', '4'])
  t.same(await linesOf({ failures: '4xx' }), ['2', '3', '4'])
  t.same(await linesOf({ failures: 'none' }), [])
  t.same(await linesOf({ failures: 'none', slow: 500 }), ['500'])
  t.same(await linesOf({ slow: 500 }), ['3', '4', '500'])
})

t.test('standard output gets lines unless the log is silent', async (t) => {
  const path = join(t.testdir(), 'stdout')
  const fd = openSync(path, 'w')
  const stdout = new LogDestination({ fd })
  const log = createMemoryLog()
  const settings = { log: { level: 'info', format: 'pretty' }, accessLog: { ...USUAL, to: 'stdout' } } as const
  const writer = new AccessWriter({ log, stdout, settings, worker: 0 })
  writer.request(makeRecord(), undefined)
  log.level = 'silent'
  writer.request(makeRecord({ status: 500 }), undefined)
  await writer.flush(100)
  await new Promise<void>((resolve) => stdout.flush(resolve))
  closeSync(fd)
  t.match(
    readFileSync(path, 'utf8').replaceAll(/\x1b\[\d+m/g, ''),
    /^\d\d:\d\d:\d\d 200 GET shop\.test\/api\?x=1 .*\n$/,
  )
})

t.test('a log that was given gets what would go to standard output', async (t) => {
  const log = createMemoryLog()
  const settings = {
    log: { level: 'info', format: 'json' },
    accessLog: { ...USUAL, to: 'stdout', redact: ['x'] },
  } as const
  const writer = new AccessWriter({ log, stdout: undefined, settings, worker: 0 })
  writer.request(makeRecord(), undefined)
  t.match(log.lines('info'), [{ msg: 'request', target: '/api?x=***' }])
})

t.test('a file that was renamed is left at reopen, and lines before it are in it', async (t) => {
  const { file, writer, write, read } = open(t, { format: 'template', template: '$status' })
  await write({ status: 201 })
  renameSync(file, `${file}.old`)
  writer.request(makeRecord({ status: 202 }), undefined)
  writer.reopen()
  await write({ status: 203 })
  await until(() => readFileSync(`${file}.old`, 'utf8') === '201\n202\n')
  t.same(read(), ['203'])
})

t.test('a full disk, and a file that cannot be opened, cost lines, which are counted', async (t) => {
  const full = open(t, { file: '/dev/full' })
  await full.write({}, {}, {})
  t.equal(full.writer.dropped, 3)
  const missing = open(t, { file: join(t.testdir(), 'none', 'access.log') })
  await missing.write({}, {})
  t.equal(missing.writer.dropped, 2)
  t.match(missing.log.lines('warn'), [{ reason: /ENOENT/, msg: /the access log cannot be written/ }])
})

const MESSAGE = /^<190>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ portico \d+ access - (\d+)\n?$/

for (const [family, host, shown] of [
  ['udp4', '127.0.0.1', '127.0.0.1'],
  ['udp6', '::1', '[::1]'],
] as const) {
  t.test(`syslog over ${family}`, async (t) => {
    const receiver = createSocket(family)
    const messages: string[] = []
    receiver.on('message', (message) => void messages.push(message.toString()))
    receiver.bind(0, host)
    await once(receiver, 'listening')
    t.teardown(() => receiver.close())
    const to = `udp://${shown}:${receiver.address().port}`
    const { writer, write } = open(t, { format: 'template', template: '$status', to: 'syslog', syslog: to })
    let sent = 0
    await until(async () => {
      await write({ status: 200 })
      sent++
      return messages.length > 0
    })
    await write({ status: 201 }, { status: 202 })
    await until(() => messages.length === sent - writer.dropped + 2)
    t.same(
      messages.slice(-2).map((message) => MESSAGE.exec(message)?.[1]),
      ['201', '202'],
    )
  })
}

t.test('syslog over a Unix socket', async (t) => {
  const path = join(t.testdir(), 'log.sock')
  const lines: string[] = []
  const listen = async () => {
    const server = createServer((socket) => {
      createInterface(socket).on('line', (line) => void lines.push(line))
      server.once('cut', () => socket.destroy())
    })
    server.listen(path)
    await once(server, 'listening')
    return server
  }
  const first = await listen()
  const { writer, write, log } = open(t, {
    ...{ format: 'template', template: '$status', to: 'syslog', syslog: `unix:${path}`, file: '' },
  })
  await write({ status: 201 }, { status: 202 })
  await until(() => lines.length === 2)
  t.same(
    lines.map((line) => MESSAGE.exec(line)?.[1]),
    ['201', '202'],
  )
  first.emit('cut')
  first.close()
  await once(first, 'close')
  await until(async () => {
    await write({})
    return writer.dropped > 0
  })
  const second = await listen()
  t.teardown(() => {
    writer.close()
    second.emit('cut')
    second.close()
  })
  await until(async () => {
    await write({ status: 203 })
    return lines.some((line) => line.endsWith(' 203'))
  })
  t.match(log.lines('warn')[0], { msg: /the access log cannot be written/ })
})
