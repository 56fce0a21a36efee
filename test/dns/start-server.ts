/** A DNS server over manifests given as text, on a free port of 127.0.0.1. */
import pino from 'pino'
import type { Test } from 'tap'
import { type DnsLimits, DnsServer } from '../../lib/dns/server.ts'
import { makeSettings } from '../helpers/settings.ts'
import { translateText } from '../translate/manifests.ts'

export type StartedServer = Readonly<{
  server: DnsServer
  port: number
  /** Lines of the log. */
  lines: readonly Readonly<Record<string, unknown>>[]
  /** Other manifests, or other settings, from now on. */
  change(manifests: string, settings?: Readonly<Record<string, unknown>>): void
}>

export const WEB = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}
`

/** `settings` by dotted name. */
export async function startServer(
  t: Test,
  manifests: string,
  settings: Readonly<Record<string, unknown>> = {},
  limits: Partial<DnsLimits> = {},
): Promise<StartedServer> {
  const fixed = { 'dns.enabled': true, 'dns.port': 0, ...settings }
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const configure = (text: string, more = {}) => ({
    builtAt: Date.UTC(2026, 0, 1),
    settings: makeSettings({ ...fixed, ...more }),
    model: translateText(text).model,
  })
  const server = new DnsServer({ log, limits, first: configure(manifests) })
  t.teardown(() => server.close())
  const { port } = await server.start()
  return { server, port, lines, change: (text, more) => server.apply(configure(text, more)) }
}
