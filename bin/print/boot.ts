/** The first screen: URLs with their Services, endpoints and certificates, and the problems. */

import { isLoopback } from '../../lib/admin/access.ts'
import { alignColumns } from '../../lib/base/columns.ts'
import { printCount } from '../../lib/base/count.ts'
import { countDiagnostics, countUnserved, type Diagnostic } from '../../lib/base/diagnostics.ts'
import { statusOf } from '../../lib/base/errors.ts'
import type { Paint } from '../../lib/base/terminal-text.ts'
import { escapeText, measureText } from '../../lib/base/terminal-text.ts'
import { explainShortage } from '../../lib/control/start-error.ts'
import { redirectsToHttps } from '../../lib/filters/registry.ts'
import type { CertificateBinding } from '../../lib/model/certificate.ts'
import { isServiceListener, PENDING, type ServiceListener } from '../../lib/model/listener.ts'
import type { Model } from '../../lib/model/model.ts'
import type { Route, VirtualHost } from '../../lib/model/route.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { usableEndpoints } from '../../lib/model/tier.ts'
import type { Endpoint } from '../../lib/model/upstream.ts'
import { printConditions } from '../../lib/report/print.ts'
import { describeShares } from '../../lib/report/shares.ts'
import type { ControllerObject } from '../../lib/settings/compatibility.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { printHostPort } from '../admin-client.ts'
import { printProblems } from './problems.ts'

export type BoundPorts = Readonly<{ http?: number; https?: number; admin?: number; dns?: number }>

export type Boot = Readonly<{
  version: string
  model: Model
  settings: Settings
  /** The objects of another controller that have a say where settings are not written. */
  controllerObjects: readonly ControllerObject[]
  diagnostics: readonly Diagnostic[]
  ports: BoundPorts
  /** The states of the ports that Services open, by id: `open`, or the reason why it is not. */
  listenerStates: ReadonlyMap<string, string>
  /** What was read: `3 files, stdin`. */
  sources: string
  objects: number
  /** Most file descriptors of a process; undefined if unknown. */
  descriptors: number | undefined
  /** Milliseconds since the start of the process. */
  elapsedMs: number
  /** The present time, in milliseconds since the epoch, for the days that certificates are still valid. */
  now: number
  /** The width of the screen in columns. Anything that does not fit is left to `portico get`. */
  width: number
}>

/** Most rows of a table. The last line of a longer one says how to list the rest. */
const MOST_ROUTES = 50
const MOST_LISTENERS = 20
const MOST_PROBLEMS = 20
const MOST_REACHABLE = 10
const DAY = 86_400_000

/** The whole screen, without a line end after the last line. */
export function printBoot(boot: Boot, paint: Paint): string {
  const problems = boot.diagnostics.filter(({ severity }) => severity !== 'info')
  return [
    printTitle(boot, paint),
    '',
    ...printHosts(boot, paint),
    '',
    ...printServiceListeners(boot, paint),
    ...printListeners(boot, paint),
    ...printReachable(boot, paint),
    ...printCompatibility(boot),
    ...printDescriptors(boot, paint),
    ...printTrial(boot),
    ...(problems.length > 0 ? ['', ...printProblems(problems.slice(0, MOST_PROBLEMS), paint)] : []),
    ...(problems.length > MOST_PROBLEMS
      ? [`… and ${problems.length - MOST_PROBLEMS} more: portico check lists them all`]
      : []),
    '',
  ].join('\n')
}

/** `http://shop.localhost:8080`; `*` stands for every host. */
export function printUrl(scheme: 'http' | 'https', host: string, port: number): string {
  const plain = port === (scheme === 'http' ? 80 : 443)
  return `${scheme}://${host}${plain ? '' : `:${port}`}`
}

/** The last line of the table, for hosts that no rule names. */
function printFallback(model: Model): string {
  const { defaultRoute } = findIngressTable(model)
  return defaultRoute ? printBackend(model, defaultRoute).slice(0, 2).join('  →  ') : '404'
}

function printTitle({ version, sources, objects, diagnostics, elapsedMs }: Boot, paint: Paint): string {
  const { error, warning } = countDiagnostics(diagnostics)
  const unserved = countUnserved(diagnostics)
  const facts = [
    escapeText(sources),
    printCount(objects, 'object'),
    ...(unserved > 0 ? [paint('yellow', `${unserved} of kinds that are not served`)] : []),
    ...(error > 0 ? [paint('red', printCount(error, 'error'))] : []),
    ...(warning > 0 ? [paint('yellow', printCount(warning, 'warning'))] : []),
  ]
  return `${paint('bold', `portico ${version}`)}   ${facts.join(', ')}   ready in ${Math.round(elapsedMs)} ms`
}

/** Hosts with their URLs; under each its routes, aligned over the whole table. */
function printHosts(boot: Boot, paint: Paint): string[] {
  const { model } = boot
  const forms = FORMS.map((form) => layOutHosts(boot, form, paint))
  const fits = (lines: readonly string[]) => lines.every((line) => measureText(line) <= boot.width)
  const out = [...(forms.find(fits) ?? (forms.at(-1) as string[]))]
  const { hosts } = findIngressTable(model)
  const routes = hosts.reduce((sum, host) => sum + host.routes.length, 0)
  if (routes > MOST_ROUTES) out.push(`  … and ${routes - MOST_ROUTES} more: portico get routes`)
  if (!hosts.some(({ host }) => host === '')) {
    out.push(`  any other host   ${paint('dim', '→')}  ${printFallback(model)}`)
  }
  return out
}

/** The table, from its fullest form to its narrowest. */
type Form = Readonly<{ gap: number; endpoints: number; source: boolean }>
const FORMS: readonly Form[] = [
  { gap: 3, endpoints: 3, source: true },
  { gap: 2, endpoints: 2, source: true },
  { gap: 2, endpoints: 2, source: false },
  { gap: 2, endpoints: 1, source: false },
]

function layOutHosts({ model, ports }: Boot, { gap, endpoints: most, source }: Form, paint: Paint): string[] {
  const arrow = paint('dim', '→')
  const lines: (string | readonly string[])[] = []
  let left = MOST_ROUTES
  for (const host of findIngressTable(model).hosts) {
    if (left <= 0) break
    lines.push(...printHostLines(host, ports, paint))
    for (const route of host.routes.slice(0, left)) {
      const [backend, endpoints, from = ''] = printBackend(model, route, most)
      const path = route.pathType === 'default' ? 'otherwise' : escapeText(route.path || '/')
      const type = `${route.pathType === 'default' ? '' : route.pathType}${printShort(printConditions(route))}`
      const cells = [`    ${path}`, type, `${arrow}  ${backend}`, `${arrow}  ${endpoints}`]
      lines.push(source ? [...cells, paint('dim', from)] : cells)
    }
    left -= host.routes.length
  }
  const aligned = alignColumns(
    lines.filter((line) => typeof line !== 'string'),
    gap,
  )
  let next = 0
  return lines.map((line) => (typeof line === 'string' ? line : (aligned[next++] as string)))
}

/** The only condition, or how many there are. */
function printShort(conditions: readonly string[]): string {
  const [first] = conditions
  if (first === undefined) return ''
  return ` if ${conditions.length === 1 ? escapeText(first) : `${conditions.length} conditions`}`
}

function printHostLines(virtualHost: VirtualHost, ports: BoundPorts, paint: Paint): string[] {
  const { host } = virtualHost
  const name = host === '' ? 'localhost' : host
  const http = ports.http === undefined ? undefined : paint('cyan', printUrl('http', name, ports.http))
  const https = ports.https === undefined ? undefined : paint('cyan', printUrl('https', name, ports.https))
  const aside = host === '' ? '   (any host)' : ''
  if (redirectsToHttps(virtualHost) && http !== undefined && https !== undefined) {
    return [`  ${http}   ${paint('dim', '→')}  308 to https`, `  ${https}${aside}`]
  }
  return [`  ${[http, https].filter((url) => url !== undefined).join('   ') || name}${aside}`]
}

/** The Service, its first endpoints and their source, or the reason why there are none. */
function printBackend(model: Model, route: Route, most = 3): [backend: string, endpoints: string, source?: string] {
  const { action } = route
  const backend = escapeText(action.backend)
  if (action.type === 'unavailable') return [backend, `${statusOf(action.code)}: ${escapeText(action.reason)}`]
  const shares = describeShares(model, action).filter(({ weight }) => weight > 0)
  const endpoints = shares.flatMap(({ upstream }) => (upstream ? usableEndpoints(upstream) : []))
  if (endpoints.length === 0) return [backend, '503: no endpoint is ready']
  const sources = [...new Set(endpoints.map(({ sourceName }) => sourceName))]
  return [
    backend,
    printShown(endpoints, most),
    `(${escapeText(sources.slice(0, 2).join(', '))}${sources.length > 2 ? ', …' : ''})`,
  ]
}

function printShown(endpoints: readonly Endpoint[], most: number): string {
  const shown = endpoints.slice(0, most).map(printEndpoint)
  if (endpoints.length > most) shown.push(`${endpoints.length - most} more`)
  return shown.join(', ')
}

function printEndpoint({ host, port, weight }: Endpoint): string {
  return printHostPort(escapeText(host), port) + (weight === 1 ? '' : `;weight=${weight}`)
}

/** The ports that Services open: the URL, the Service's port and its endpoints, or the reason why the port is not open. */
function printServiceListeners(boot: Boot, paint: Paint): string[] {
  const { model, listenerStates, width } = boot
  const listeners = model.listeners.filter(isServiceListener)
  const pending = printPending(boot, paint)
  if (listeners.length + pending.length === 0) return []
  const arrow = paint('dim', '→')
  const forms = [3, 1].map((most) => {
    const rows = listeners.slice(0, MOST_LISTENERS).map((listener) => {
      const state = listenerStates.get(listener.id) ?? 'open'
      const upstream = model.upstreams.get(listener.upstream)
      const endpoints = upstream ? usableEndpoints(upstream) : []
      return [
        `  ${paint('cyan', printListenerUrl(listener))}`,
        paint('dim', listener.kind),
        `${arrow}  ${escapeText(listener.upstream)}`,
        state === 'open'
          ? `${arrow}  ${endpoints.length === 0 ? 'no endpoint is ready' : printShown(endpoints, most)}`
          : paint('yellow', `not open: ${escapeText(state)}`),
      ]
    })
    return alignColumns([...rows, ...pending], 3)
  })
  const lines = forms.find((form) => form.every((line) => measureText(line) <= width)) ?? (forms.at(-1) as string[])
  const left = listeners.length - MOST_LISTENERS
  return [...lines, ...(left > 0 ? [`  … and ${left} more: portico get listeners`] : []), '']
}

/** The load balancers without an address, each with the reason. */
function printPending({ model, settings, diagnostics }: Boot, paint: Paint): string[][] {
  const waiting = model.services.filter(({ externalIP }) => externalIP === PENDING)
  return waiting.slice(0, MOST_LISTENERS).map(({ namespace, name, type }) => {
    const own = diagnostics.filter(({ resource }) => resource === `Service ${namespace}/${name}`)
    const cause =
      own.find(({ message }) => message.includes(PENDING)) ?? own.find(({ code }) => code === 'PORTICO_SVC_UNHEARD')
    const whole = settings.loadBalancers.enabled ? 'it has no TCP or UDP port' : 'loadBalancers.enabled is off'
    const reason = cause?.message.replace(`: EXTERNAL-IP is ${PENDING}`, '') ?? whole
    return [
      `  ${PENDING}`,
      paint('dim', type),
      `${paint('dim', '→')}  ${escapeText(`${namespace}/${name}`)}`,
      paint('yellow', `not open: ${escapeText(reason)}`),
    ]
  })
}

/** `tcp://localhost:30080`, `udp://…`, `http://…`. */
function printListenerUrl({ layer, tls, transport, address, port }: ServiceListener): string {
  const scheme = layer === 'L7' ? (tls ? 'https' : 'http') : transport.toLowerCase()
  const host = address === '::' || address === '0.0.0.0' ? 'localhost' : address
  return `${scheme}://${printHostPort(host, port)}`
}

function printListeners({ model, settings, ports, now }: Boot, paint: Paint): string[] {
  const rows: string[][] = []
  if (ports.https !== undefined) rows.push(['  https', printCertificates(model.certificates, now)])
  if (ports.admin !== undefined) {
    const { address } = settings.admin
    const host = address === '::' || address === '0.0.0.0' ? 'localhost' : printHostPort(address, 0).replace(/:0$/, '')
    rows.push([
      '  admin',
      `${paint('cyan', `${printUrl('http', host, ports.admin)}/dashboard/`)}   also /metrics, /readyz`,
    ])
  }
  const { enabled, socket } = settings.admin
  if (enabled && socket !== '') rows.push(['  admin', `${escapeText(socket)}   for this user alone`])
  if (ports.dns !== undefined) rows.push(['  dns', printDns(settings.dns, ports.dns)])
  return alignColumns(rows, 4)
}

/** The ports that other machines can connect to. */
function printReachable({ model, settings, ports, listenerStates }: Boot, paint: Paint): string[] {
  const own = (['http', 'https', 'admin', 'dns'] as const).map((name) => [settings[name].address, ports[name]] as const)
  const health = model.services.flatMap(({ healthChecks = [] }) => healthChecks)
  const listeners = model.listeners
    .filter(isServiceListener)
    .filter(({ id }) => (listenerStates.get(id) ?? 'open') === 'open')
  const opened = [...listeners, ...health].map(({ address, port }) => [address, port] as const)
  const open = [...own, ...opened].flatMap(([address, port]) =>
    port === undefined || isLoopback(address) ? [] : [port],
  )
  if (open.length === 0) return []
  const all = [...new Set(open)].sort((one, other) => one - other)
  const shown = all.slice(0, MOST_REACHABLE).join(', ')
  const more = all.length > MOST_REACHABLE ? ` and ${all.length - MOST_REACHABLE} more` : ''
  return [
    `  ${paint('yellow', 'open')}     ${shown}${more}: reachable from the network (from this machine alone: --local)`,
  ]
}

/** Tells whose defaults hold, since nothing in the settings may say so. */
function printCompatibility({ settings, controllerObjects }: Boot): string[] {
  if (settings.compatibility !== 'ingress-nginx') return []
  const said = controllerObjects.map(({ name, part, count }) => `, ${printCount(count, part)} of ${escapeText(name)}`)
  return [`  defaults of ingress-nginx${said.join('')}: portico get settings`]
}

/** Warns if the limit of file descriptors is low, or below the configured number of connections. */
function printDescriptors({ settings, descriptors }: Boot, paint: Paint): string[] {
  const shortage = explainShortage(settings, descriptors)
  return shortage ? [`  ${paint('yellow', 'limit')}    ${shortage.message}`, `           ${shortage.help}`] : []
}

function printDns({ address, zone, forward }: Settings['dns'], port: number): string {
  const others = forward.length === 0 ? '' : `; other names from ${escapeText(forward.join(', '))}`
  return `${printHostPort(address, port)}   ${escapeText(zone)}${others}`
}

function printCertificates(bindings: readonly CertificateBinding[], now: number): string {
  const seen = new Map<string, string>()
  for (const { certificate } of bindings) {
    if (!certificate || seen.has(certificate.name)) continue
    const days = Math.floor((certificate.notAfter - now) / DAY)
    const left = days < 0 ? 'expired' : `expires in ${printCount(days, 'day')}`
    seen.set(certificate.name, `${escapeText(certificate.name)}, ${left}`)
  }
  const shown = [...seen.values()].slice(0, 3)
  if (seen.size > shown.length) shown.push(`${seen.size - shown.length} more`)
  if (shown.length === 0) return 'self-signed default certificate'
  const hasRest = bindings.some(({ host, certificate }) => host === '' && certificate !== undefined)
  return `certificate ${shown.join('; ')}${hasRest ? '' : '; all others: self-signed default'}`
}

/** Most resolvers do not know names below localhost. */
function explainLocalhost(host: string, port: number): string {
  return `*.localhost is known to curl and browsers; others: curl -H 'Host: ${host}' ${printUrl('http', '127.0.0.1', port)}/`
}

/** Explains how to reach hosts whose names lead elsewhere, and names below localhost with clients that do not know them. */
function printTrial({ model, ports }: Boot): string[] {
  const named = findIngressTable(model).hosts.filter(({ host }) => host !== '' && !host.startsWith('*'))
  const [first] = named
  if (!first) return []
  const locals = named.filter(({ host }) => host.endsWith('.localhost'))
  const local = locals.find((host) => !redirectsToHttps(host)) ?? locals[0]
  if (local) return ports.http === undefined ? [] : ['', `  names    ${explainLocalhost(local.host, ports.http)}`]
  if (named.some(({ host }) => host === 'localhost')) return []
  const scheme = ports.http === undefined || (redirectsToHttps(first) && ports.https !== undefined) ? 'https' : 'http'
  const port = ports[scheme]
  if (port === undefined) return []
  const served = first.routes.find((route) => route.pathType !== 'default' && printBackend(model, route).length === 3)
  const path = served?.path || '/'
  const insecure = scheme === 'https' ? '-k ' : ''
  return [
    '',
    `  try it   curl ${insecure}--resolve ${first.host}:${port}:127.0.0.1 ${printUrl(scheme, first.host, port)}${escapeText(path)}`,
  ]
}
