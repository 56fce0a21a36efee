/** The log: pino, with JSON lines on stdout, or lines for people on a terminal. */
import { createRequire } from 'node:module'
import { isatty } from 'node:tty'
import { type Logger, pino } from 'pino'
import { printTime } from '../base/clock.ts'
import { paintAnsi, paintNothing } from '../base/terminal-text.ts'
import {
  ACCESS_MESSAGE,
  type AccessFields,
  CONNECTION_MESSAGE,
  type ConnectionFields,
  printAccess,
  printConnection,
} from './access-log.ts'
import { LogDestination } from './log-destination.ts'
import type { RecentLines } from './recent-lines.ts'

export type Log = Logger

/** A receiver of lines: `write` must not block, `flush` calls back when all lines are written. */
export type LogStream = { write(line: string): void; flush?(done: () => void): void }

export type LogSettings = Readonly<{
  level: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  format: 'auto' | 'json' | 'pretty'
}>

const STDOUT = 1

/** True if lines are for people. */
export function isPretty({ format }: LogSettings): boolean {
  return format === 'pretty' || (format === 'auto' && isatty(STDOUT))
}

const require = createRequire(import.meta.url)

/** Lines go to `stream`, by default standard output, and to `recent`. The level may be changed at any time: `log.level = …`. */
export function createLog(
  settings: LogSettings,
  stream: LogStream = new LogDestination({ fd: STDOUT }),
  recent?: Pick<RecentLines, 'add'>,
): Log {
  const isTerminal = isatty(STDOUT)
  return pino(
    {
      level: settings.level,
      base: null, // No process id and host name: collectors of logs add their own.
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    remember(isPretty(settings) ? prettyStream(stream, isTerminal && !process.env.NO_COLOR) : stream, recent),
  )
}

/** Resolves when all lines are written, or after `timeout` milliseconds. Await it before the process ends. */
export function flushLog(log: Log, timeout: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, timeout)
    log.flush(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function remember(stream: LogStream, recent: Pick<RecentLines, 'add'> | undefined): LogStream {
  if (!recent) return stream
  return {
    write: (line) => {
      recent.add(line)
      stream.write(line)
    },
    flush: (done) => flushStream(stream, done),
  }
}

function flushStream(stream: LogStream, done: () => void): void {
  if (stream.flush) stream.flush(done)
  else done()
}

/** Prints a line of the log for people, with a line end. */
export function createLinePrinter(colour: boolean): (entry: object) => string {
  // Most processes write no such lines, and to load what prints them takes a fortieth of the start of a worker.
  const { prettyFactory } = require('pino-pretty') as typeof import('pino-pretty')
  const print = prettyFactory({ colorize: colour, translateTime: 'SYS:HH:MM:ss', singleLine: true })
  return (entry) => {
    const { at, msg, ...rest } = entry as { at?: unknown; msg?: unknown }
    // The place of a problem stands before its message, as portico check has it.
    return print(typeof at === 'string' ? { ...rest, msg: `${at}  ${msg}` } : entry)
  }
}

function prettyStream(stream: LogStream, colour: boolean): LogStream {
  const paint = colour ? paintAnsi : paintNothing
  const print = createLinePrinter(colour)
  return {
    write: (line) => {
      const entry = JSON.parse(line) as { time: string; msg: string }
      const text =
        entry.msg === ACCESS_MESSAGE
          ? printAccess(entry as unknown as AccessFields, paint)
          : entry.msg === CONNECTION_MESSAGE
            ? printConnection(entry as unknown as ConnectionFields, paint)
            : undefined
      stream.write(text === undefined ? print(entry) : `${printTime(Date.parse(entry.time))} ${text}\n`)
    },
    flush: (done) => flushStream(stream, done),
  }
}
