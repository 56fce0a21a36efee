/** Starts what carries the traffic of a gateway, for a test that says what each configuration is. */
import { pino } from 'pino'
import type { Test } from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import type { Model } from '../../lib/model/model.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import type { Carrier, CarrierOptions } from '../../lib/workers/carrier.ts'
import { OwnTraffic } from '../../lib/workers/own-traffic.ts'
import { WorkerSet } from '../../lib/workers/worker-set.ts'
import { makeSettings } from './settings.ts'
import { type ModelWords, makeModel } from './snapshot.ts'
import { chooseFolder } from './spools.ts'

export type CreateCarrier = (options: CarrierOptions) => Carrier

export const CARRIERS: readonly [name: string, create: CreateCarrier][] = [
  ['one process', (options) => new OwnTraffic(options)],
  ['two workers', (options) => new WorkerSet({ ...options, size: 2 })],
]

/** Without listeners of the settings. */
const settings = makeSettings({ 'http.enabled': false, 'https.enabled': false, 'log.level': 'silent' })

export function startCarrier(t: Test, create: CreateCarrier, options: Partial<CarrierOptions> = {}) {
  const lines: Record<string, unknown>[] = []
  const carrier = create({
    settings,
    clock: systemClock,
    log: pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) }),
    counts: new RequestCounts(),
    defaultCertificate: undefined,
    ticketSecret: Buffer.alloc(32),
    affinitySecret: Buffer.alloc(32),
    dataFolder: chooseFolder(t),
    logLinesDropped: () => 0,
    portRetryMs: 50,
    ...options,
  })
  t.teardown(() => carrier.close())
  let generation = 0
  const serve = (words: ModelWords | Model) => ({
    generation: ++generation,
    builtAt: 0,
    settings,
    model: 'counts' in words ? words : makeModel(words, settings),
  })
  return {
    carrier,
    settings,
    lines,
    start: (words: ModelWords | Model) => carrier.start(serve(words)),
    apply: (words: ModelWords | Model) => carrier.apply(serve(words)),
    warnings: () => lines.filter(({ level }) => level === 40),
  }
}
