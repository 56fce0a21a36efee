/** The data side of one process, over a model of few words, with ports of Services opened where the system gives them. */
import { pino } from 'pino'
import type { Test } from 'tap'
import { type Clock, systemClock } from '../../lib/base/clock.ts'
import type { Certificate } from '../../lib/model/certificate.ts'
import { isServiceListener, placeOf } from '../../lib/model/listener.ts'
import { findUpdate, type SnapshotSource } from '../../lib/snapshot/update.ts'
import { type ConnectionResult, RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { Traffic } from '../../lib/workers/traffic.ts'
import { makeSettings } from './settings.ts'
import { type ModelWords, makeModel } from './snapshot.ts'
import { chooseFolder } from './spools.ts'

export type StartedTraffic = {
  readonly traffic: Traffic
  readonly counts: RequestCounts
  /** Every log line, parsed. */
  readonly lines: Record<string, unknown>[]
  /** The bound ports of Services, by place. */
  readonly ports: Record<string, number>
  /** Of the only Service. */
  readonly port: number
  /** Puts another configuration in force; opens and closes nothing. */
  load(words: ModelWords, changes?: Readonly<Record<string, unknown>>): Promise<void>
  /** Of all listeners together. */
  result(name: ConnectionResult): number
}

export async function startTraffic(
  t: Test,
  words: ModelWords,
  changes: Readonly<Record<string, unknown>> = {},
  given: { clock?: Clock; defaultCertificate?: Certificate } = {},
): Promise<StartedTraffic> {
  const settings = makeSettings(changes)
  const lines: Record<string, unknown>[] = []
  const counts = new RequestCounts()
  const traffic = new Traffic({
    settings,
    clock: given.clock ?? systemClock,
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    counts,
    defaultCertificate: given.defaultCertificate,
    ticketSecret: Buffer.alloc(32),
    affinitySecret: Buffer.alloc(32),
    dataFolder: chooseFolder(t),
  })
  t.teardown(() => traffic.close())
  let current: SnapshotSource | undefined
  let generation = 0
  const load = async (next: ModelWords, other = changes) => {
    const settings = makeSettings({ 'https.enabled': given.defaultCertificate !== undefined, ...other })
    const before = current
    current = { generation: ++generation, builtAt: 0, settings, model: makeModel(next, settings) }
    await traffic.apply(findUpdate(before, current))
  }
  await load(words)
  const ports: Record<string, number> = {}
  for (const listener of current?.model.listeners.filter(isServiceListener) ?? []) {
    ports[placeOf(listener)] = (await traffic.listen(placeOf(listener))).port
  }
  return {
    traffic,
    counts,
    lines,
    ports,
    port: Object.values(ports)[0] ?? 0,
    load,
    result: (name) => [...counts.connections.values()].reduce((sum, results) => sum + (results.get(name) ?? 0), 0),
  }
}
