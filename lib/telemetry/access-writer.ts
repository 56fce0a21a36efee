/**
 * The access log of a process: which requests get a line, in which form, and where the lines go. Lines that come soon after each other
 * go out together. HOT
 */

import { isatty } from 'node:tty'
import { printTime } from '../base/clock.ts'
import type { LogField } from '../base/log-template.ts'
import { compileRedaction, type SecretNames } from '../base/redact.ts'
import type { FACILITIES } from '../base/syslog-facility.ts'
import { paintAnsi, paintNothing } from '../base/terminal-text.ts'
import type { LineContext } from './access-field.ts'
import {
  COMBINED,
  COMMON,
  type ConnectionLineMaker,
  createJsonMaker,
  createTemplateMaker,
  type Escape,
  type LineMaker,
  printJsonConnection,
  printPlainConnection,
  UPSTREAM_INFO,
} from './access-line.ts'
import {
  accessFields,
  connectionFields,
  createAccessLog,
  createConnectionLog,
  printAccess,
  printConnection,
} from './access-log.ts'
import { createLogSink, type LineSink } from './line-sink.ts'
import { isPretty, type Log, type LogSettings } from './log.ts'
import type { LogDestination } from './log-destination.ts'
import { LogFile } from './log-file.ts'
import { type ConnectionRecord, endOf, type RequestFacts, type RequestRecord } from './record.ts'
import { Syslog } from './syslog.ts'

/** docs/logs.md explains each. */
export type AccessLogSettings = Readonly<{
  format: 'auto' | 'json' | 'common' | 'combined' | 'ingress-nginx' | 'template'
  template: string
  escape: Escape
  fields: readonly string[]
  to: 'stdout' | 'file' | 'syslog'
  file: string
  syslog: string
  syslogFacility: (typeof FACILITIES)[number]
  sample: number
  failures: '5xx' | '4xx' | 'none'
  /** Milliseconds; 0: no request is slow. */
  slow: number
  redact: readonly string[]
}>

type Settings = Readonly<{ log: LogSettings; accessLog: AccessLogSettings }>

export type AccessWriterOptions = Readonly<{
  log: Log
  /** Standard output; undefined: `log` was given by an embedding program, and gets the lines that would go there. */
  stdout: LogDestination | undefined
  settings: Settings
  /** 0: the process that reads the configuration. */
  worker: number
}>

const STDOUT = 1
/** Milliseconds that a line waits for more: a write costs about as much as the making of ten lines. */
const GATHER_MS = 10
/** Characters of lines that go out without a wait. */
const MAX_BATCH = 65_536

const TEMPLATES = { common: COMMON, combined: COMBINED, 'ingress-nginx': UPSTREAM_INFO } as const

export class AccessWriter {
  readonly #log: Log
  readonly #worker: number
  /** Undefined: the log that was given gets the lines. */
  readonly #sink: LineSink | undefined
  readonly #isStdout: boolean
  readonly #logRequest: ReturnType<typeof createAccessLog>
  readonly #logConnection: ReturnType<typeof createConnectionLog>
  #settings: AccessLogSettings | undefined
  #print: LineMaker = () => ''
  #printConnection: ConnectionLineMaker = () => ''
  #secretKeys: SecretNames | undefined
  /** From this status on a request is logged in any case. */
  #failure = Number.POSITIVE_INFINITY
  #slow = Number.POSITIVE_INFINITY
  /** The part of other requests that is logged. */
  #share = 1
  #batch: string[] = []
  #size = 0
  #isScheduled = false

  constructor({ log, stdout, settings, worker }: AccessWriterOptions) {
    this.#log = log
    this.#worker = worker
    this.#logRequest = createAccessLog(log)
    this.#logConnection = createConnectionLog(log)
    const { to, file, syslog, syslogFacility } = settings.accessLog
    const onTrouble = (reason: string) =>
      log.warn({ reason, worker_pid: process.pid }, 'the access log cannot be written: its lines are dropped')
    this.#isStdout = to === 'stdout'
    if (to === 'file') this.#sink = new LogFile({ path: file, onTrouble })
    else if (to === 'syslog') this.#sink = new Syslog({ to: syslog, facility: syslogFacility, onTrouble })
    else this.#sink = stdout && createLogSink(stdout)
    this.configure(settings)
  }

  /** Lines that its own destination dropped. */
  get dropped(): number {
    return this.#sink?.dropped ?? 0
  }

  /** Settings come into force. */
  configure({ log, accessLog }: Settings): void {
    if (accessLog === this.#settings) return
    this.#settings = accessLog
    const { sample, failures, slow, redact } = accessLog
    this.#share = sample === 0 ? 0 : 1 / sample
    this.#failure = failures === 'none' ? Number.POSITIVE_INFINITY : failures === '5xx' ? 500 : 400
    this.#slow = slow === 0 ? Number.POSITIVE_INFINITY : slow
    this.#secretKeys = compileRedaction(redact)
    const context = { worker: this.#worker, secretKeys: this.#secretKeys }
    const maker = createMaker(accessLog, this.#isStdout && isPretty(log), context)
    this.#print = maker.print
    this.#printConnection = maker.printConnection
  }

  /** A request has ended. */
  request(record: RequestRecord, facts: RequestFacts | undefined): void {
    if (!this.#isWanted(record)) return
    if (this.#sink === undefined) this.#logRequest(record, this.#secretKeys)
    else if (!this.#isSilent) this.#add(this.#print(record, facts))
  }

  /** A connection at L4 has ended. */
  connection(record: ConnectionRecord): void {
    if (this.#sink === undefined) this.#logConnection(record)
    else if (!this.#isSilent) this.#add(this.#printConnection(record, Date.now()))
  }

  /** After a rotation. */
  reopen(): void {
    this.#send()
    this.#sink?.reopen()
  }

  /** Resolves when all lines are written, or after so many milliseconds. */
  async flush(timeout: number): Promise<void> {
    this.#send()
    const sink = this.#sink
    // Who has the log waits for standard output.
    if (sink === undefined || this.#isStdout) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeout)
      sink.flush(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  close(): void {
    this.#send()
    this.#sink?.close()
  }

  /** What is silent on standard output is so with its access lines. */
  get #isSilent(): boolean {
    return this.#isStdout && this.#log.level === 'silent'
  }

  #isWanted({ status, error, durationMs }: RequestRecord): boolean {
    if (this.#share === 1 || durationMs >= this.#slow || status >= this.#failure) return true
    // An answer that broke off has the status that it began with.
    if (error !== undefined && status < 400 && this.#failure !== Number.POSITIVE_INFINITY) return true
    return Math.random() < this.#share
  }

  #add(line: string): void {
    this.#batch.push(line)
    this.#size += line.length
    if (this.#size > MAX_BATCH) this.#send()
    else if (!this.#isScheduled) {
      this.#isScheduled = true
      setTimeout(this.#sendGathered, GATHER_MS)
    }
  }

  #sendGathered = (): void => {
    this.#isScheduled = false
    this.#send()
  }

  #send(): void {
    if (this.#batch.length === 0) return
    const lines = this.#batch
    this.#batch = []
    this.#size = 0
    this.#sink?.write(lines)
  }
}

type Maker = Readonly<{ print: LineMaker; printConnection: ConnectionLineMaker }>

function createMaker(settings: AccessLogSettings, isForPeople: boolean, context: LineContext): Maker {
  const { format, template, fields } = settings
  if (format === 'auto' && isForPeople) return createPrettyMaker(context)
  if (format === 'auto' || format === 'json') {
    return { print: createJsonMaker(fields as readonly LogField[], context), printConnection: printJsonConnection }
  }
  const print =
    format === 'template'
      ? createTemplateMaker(template, settings.escape, context)
      : createTemplateMaker(TEMPLATES[format], 'text', context)
  return { print, printConnection: printPlainConnection }
}

function createPrettyMaker({ secretKeys }: LineContext): Maker {
  const paint = isatty(STDOUT) && !process.env.NO_COLOR ? paintAnsi : paintNothing
  return {
    print: (record) => `${printTime(endOf(record))} ${printAccess(accessFields(record, secretKeys), paint)}\n`,
    printConnection: (record, at) => `${printTime(at)} ${printConnection(connectionFields(record), paint)}\n`,
  }
}
