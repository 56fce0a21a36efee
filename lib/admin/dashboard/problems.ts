/** What is wrong now, in words, the worst first. */
import { printCount, printRate, printTime } from './format.ts'
import type { Certificate, Circuit, Diagnostic, Endpoint, Listener, Reload, Traffic, Worker } from './rows.ts'

export type Problem = Readonly<{ tone: 'bad' | 'warn'; text: string; href: string }>

type Known = Readonly<{
  diagnostics: readonly Diagnostic[]
  endpoints: readonly Endpoint[]
  certificates: readonly Certificate[]
  listeners: readonly Listener[]
  workers: readonly Worker[]
  circuits: readonly Circuit[]
  reloads: readonly Reload[]
  /** Undefined: not known so far. */
  traffic: Traffic | undefined
}>

const isGood = ({ state }: Endpoint): boolean => ['ready', 'draining', 'stale'].includes(state)

/** Of the requests of a route that are answered 4xx, so many are worth a word; those that fit no route, of all requests. */
const REFUSED_SHARE = 0.5
const UNROUTED_SHARE = 0.1

/** Diagnostics that say of a certificate what the list of certificates says too. */
const OF_CERTIFICATES = ['PORTICO_TLS_EXPIRED', 'PORTICO_TLS_EXPIRES_SOON']

/** Endpoints, certificates and routes that are named. */
const MOST_NAMED = 5

export function listProblems({
  diagnostics,
  endpoints,
  certificates,
  listeners,
  workers,
  circuits,
  reloads,
  traffic,
}: Known): readonly Problem[] {
  const [last] = reloads
  const problems: Problem[] = []
  if (last?.outcome === 'refused') {
    const text = `The change of ${printTime(last.at)} was refused: ${last.reason ?? 'see its problems'}`
    problems.push({ tone: 'bad', text, href: '#/configuration' })
  }
  for (const kept of last?.kept ?? []) problems.push({ tone: 'bad', text: kept, href: '#/configuration' })
  for (const { name, address, port, enabled, state } of listeners) {
    if (!enabled || state === 'open' || state === '') continue
    problems.push({
      tone: 'bad',
      text: `Port ${address}:${port} of ${name} is not open: ${state}`,
      href: '#/configuration',
    })
  }
  for (const { worker, state } of workers) {
    if (state !== 'serving') problems.push({ tone: 'bad', text: `Worker ${worker} is ${state}`, href: '#/' })
  }
  for (const { service, state } of circuits) {
    const text = `The circuit of ${service} is ${state}: requests may be answered 503`
    problems.push({ tone: 'bad', text, href: `#/services?find=${encodeURIComponent(service)}` })
  }
  const bad = endpoints.filter((each) => !isGood(each) && each.state !== 'drained')
  for (const { namespace, service, address, state, reason, ...endpoint } of bad.slice(0, MOST_NAMED)) {
    const text = `${address} of ${namespace}/${service} is ${state}${reason ? `: ${reason}` : ''}`
    // One that others stand in for is no outage.
    const isAlone = !endpoints.some(
      (other) => isGood(other) && other.namespace === namespace && other.service === service,
    )
    const tone = isAlone ? 'bad' : 'warn'
    problems.push({ tone, text, href: `#/services?find=${encodeURIComponent(endpoint.name ?? address)}` })
  }
  if (bad.length > MOST_NAMED) {
    problems.push({
      tone: 'bad',
      text: `${printCount(bad.length - MOST_NAMED, 'more endpoint')} not ready`,
      href: '#/services',
    })
  }
  const named = certificates.filter((each) => each.state !== 'valid').slice(0, MOST_NAMED)
  for (const { name, state, daysLeft, hosts } of named) {
    const when = daysLeft < 0 ? `expired ${printCount(-daysLeft, 'day')} ago` : state
    problems.push({
      tone: daysLeft < 0 ? 'bad' : 'warn',
      text: `Certificate ${name} of ${hosts.join(', ')}: ${when}`,
      href: '#/certificates',
    })
  }
  const isNamed = ({ code, resource }: Diagnostic): boolean =>
    OF_CERTIFICATES.includes(code) && named.some(({ name }) => resource === `Secret ${name}`)
  for (const severity of ['error', 'warning'] as const) {
    const count = diagnostics.filter((each) => each.severity === severity && !isNamed(each)).length
    if (count === 0) continue
    const text = `${printCount(count, severity)} in the configuration`
    problems.push({ tone: severity === 'error' ? 'bad' : 'warn', text, href: '#/configuration' })
  }
  if (traffic) problems.push(...listRefusals(traffic))
  return problems
}

/** Not failures of the gateway, but often mistakes: a guard that lets nobody in, a host or a path that no rule has. */
function listRefusals({ routes, rate }: Traffic): readonly Problem[] {
  const refused = routes.filter(({ route, refusal_rate: refusals, rate: all }) =>
    route === '' ? refusals > rate * UNROUTED_SHARE : refusals > all * REFUSED_SHARE,
  )
  return refused.slice(0, MOST_NAMED).map(({ route, host, path, refusal_rate: refusals, rate: all }) => {
    const query = new URLSearchParams({ status: '4xx', ...(host !== '' && !host.includes('*') && { host }) })
    const text =
      route === ''
        ? `${printRate(refusals)} of the requests fit no route`
        : `Of ${printRate(all)} to ${host || '*'}${path}, ${printRate(refusals)} are answered 4xx`
    return { tone: 'warn', text, href: `#/requests?${query}` }
  })
}
