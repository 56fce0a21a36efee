/** The metrics of endpoints: a bounded number of series, however many endpoints come and go. */
import { printEndpointAddress } from '../base/endpoint-address.ts'

/** The figures of one endpoint while it lives. */
export type EndpointFigures = Readonly<{
  /** `upstream` is `namespace/service:port`. */
  identity: Readonly<{ upstream: string; host: string; port: number; name?: string }>
  /** Requests and tunnels under way. */
  inFlight: number
  requests: number
  failures: number
  /** Failures since the last answer. */
  failuresInRow: number
  lastFailure: Readonly<{ error: Readonly<{ code: string }>; at: number }> | undefined
}>

export type EndpointSample = Readonly<{
  upstream: string
  endpoint: string
  inFlight: number
  requests: number
  failures: number
}>

/** The sample of all endpoints without a series of their own. */
const OTHERS: EndpointSample = { upstream: 'others', endpoint: 'others', inFlight: 0, requests: 0, failures: 0 }

export class EndpointMetrics {
  readonly #limit: number
  /** Endpoints with a series, which they keep as long as they live: a counter under other labels would seem to start anew. */
  #own: ReadonlySet<string> = new Set()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** A sample for each endpoint, at most `limit`; endpoints that had a series come first, and the rest shares one sample. */
  sample(figures: Iterable<EndpointFigures>): readonly EndpointSample[] {
    const all = sumEndpoints(figures)
    const known = all.filter((each) => this.#own.has(nameOf(each)))
    const others = all.filter((each) => !this.#own.has(nameOf(each)))
    const own = [...known, ...others.splice(0, this.#limit - known.length)]
    this.#own = new Set(own.map(nameOf))
    return others.length === 0 ? own : [...own, others.reduce(add, OTHERS)]
  }
}

/**
 * Adds up to one sample for each upstream and address: several names or protocols may lead to one address. Upstreams that `nameUpstream`
 * gives the same name are one.
 */
export function sumEndpoints(
  figures: Iterable<EndpointFigures>,
  nameUpstream: (upstream: string) => string = (upstream) => upstream,
): readonly EndpointSample[] {
  const found = new Map<string, EndpointSample>()
  for (const { identity, inFlight, requests, failures } of figures) {
    const endpoint = printEndpointAddress(identity.host, identity.port)
    const sample = { upstream: nameUpstream(identity.upstream), endpoint, inFlight, requests, failures }
    const name = nameOf(sample)
    const known = found.get(name)
    found.set(name, known ? add(known, sample) : sample)
  }
  return [...found.values()]
}

function nameOf({ upstream, endpoint }: EndpointSample): string {
  return `${upstream} ${endpoint}`
}

function add(sum: EndpointSample, { inFlight, requests, failures }: EndpointSample): EndpointSample {
  return {
    ...sum,
    inFlight: sum.inFlight + inFlight,
    requests: sum.requests + requests,
    failures: sum.failures + failures,
  }
}
