/** A log that keeps its lines. */
import { pino } from 'pino'
import type { Log } from '../../lib/telemetry/log.ts'

export type LogLine = Readonly<Record<string, unknown>> & Readonly<{ msg: string }>

export type MemoryLog = Log & {
  /** Of one level, in order. */
  lines(level: 'debug' | 'info' | 'warn' | 'error'): readonly LogLine[]
}

export function createMemoryLog(): MemoryLog {
  const lines: LogLine[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const levels = log.levels.values
  return Object.assign(log, {
    lines: (level: string) => lines.filter((line) => line.level === levels[level]),
  })
}
