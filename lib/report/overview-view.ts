/** The gateway on one screen, as the admin API shows it. */
import { printIsoTime } from '../base/clock.ts'
import type { ServedConfiguration } from '../model/served.ts'

export type Overview = Readonly<{
  version: string
  /** ISO 8601. */
  startedAt: string
  /** When the configuration in force came, ISO 8601. */
  configuredAt: string
  generation: number
  /** Traffic may be sent here. */
  ready: boolean
  /** Why it is not ready. */
  reasons: readonly string[]
  routes: number
  services: number
  /** The DNS server is on. */
  dns: boolean
  /** Requests are kept for a while. */
  records: boolean
  /** The admin listener takes orders. */
  writes: boolean
}>

export type Running = Readonly<{
  ready: boolean
  reasons?: readonly string[]
  version?: string
  /** Milliseconds since the epoch. */
  startedAt?: number
}>

export function overviewView(served: ServedConfiguration, running: Running): Overview {
  const { ready, reasons = [], version = 'unknown', startedAt = served.builtAt } = running
  const { settings } = served
  return {
    version,
    startedAt: printIsoTime(startedAt),
    configuredAt: printIsoTime(served.builtAt),
    generation: served.generation,
    ready,
    reasons,
    routes: served.model.counts.routes,
    services: served.model.services.length,
    dns: settings.dns.enabled,
    records: settings.admin.records > 0,
    writes: settings.admin.writes,
  }
}
