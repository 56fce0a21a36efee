/** Explains on the admin listener how a request would be served now. It is not sent. */
import { isIP } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { paintAnsi, paintNothing } from '../base/terminal-text.ts'
import type { ServedConfiguration } from '../model/served.ts'
import { splitAskedUrl } from '../report/asked-url.ts'
import { readLive } from '../report/endpoint-view.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'

export type ExplainRouteOptions = Readonly<{
  state: () => Readonly<{
    served: ServedConfiguration | undefined
    ports: Readonly<{ https?: number }>
    endpoints?: Iterable<EndpointFigures>
  }>
  refresh: () => Promise<void>
  /** What cookies of the gateway say of a Service; undefined: it is not known. */
  markService: () => Promise<((service: string) => string) | undefined>
  clock: Clock
}>

type Words = Readonly<Record<string, string | readonly string[] | undefined>>

/** `url`, and as for `portico explain`: `method`, `header` (`Name: value`, as often as needed), `client` or `peer`; `color=ansi` for terminals. */
export function addExplainRoute(app: FastifyInstance, options: ExplainRouteOptions): void {
  const { state, refresh, markService, clock } = options
  app.get('/api/v1/explain', async ({ query }, reply) => {
    const asked = readQuestion(query as Words)
    if (typeof asked === 'string') return reply.code(400).send({ message: asked })
    await refresh()
    const { served, endpoints = [] } = state()
    if (!served) return reply.code(503).send({ message: 'There is no configuration yet.' })
    // A process without traffic of its own does without them until somebody asks.
    const [{ readAskedRequest }, { explainRequest }, { explanationJson, printExplanation }] = await Promise.all([
      import('../downstream/asked-request.ts'),
      import('../report/explain.ts'),
      import('../report/explanation.ts'),
    ])
    const { model, settings, locate, leftOut } = served
    const read = readAskedRequest(asked, settings)
    if (read instanceof GatewayError) {
      const { status, code, detail } = read
      return reply.code(400).send({ message: `such a request is refused with ${status} ${code}: ${detail}` })
    }
    const { https } = settings
    const explanation = explainRequest(
      model,
      { ...asked.url, ...read.request },
      {
        httpsPort: https.redirectPort || state().ports.https || https.port,
        strictSni: https.strictSni,
        settings,
        leftOut: leftOut?.() ?? [],
        markService: await markService(),
        now: clock.now(),
      },
    )
    const inputs = { defaults: settings.upstream, locate, trail: read.trail, live: readLive(endpoints) }
    const text = printExplanation(explanation, inputs, asked.isColoured ? paintAnsi : paintNothing)
    return reply.send({ generation: served.generation, text, ...(explanationJson(explanation, inputs) as object) })
  })
}

/** What was asked, or what is wrong with it. */
function readQuestion(words: Words) {
  const { url: word, method, header = [], client, peer, color, ...others } = words
  const [other] = Object.keys(others)
  if (other !== undefined) return `${other.slice(0, 64)}: there are url, method, header, client, peer and color`
  if (typeof word !== 'string') return 'url: which URL is to be explained'
  const url = splitAskedUrl(word)
  if ('fault' in url) return `url: ${url.fault}; ${url.help}`
  if (method !== undefined && typeof method !== 'string') return 'method: write it once'
  const address = peer ?? client ?? '127.0.0.1'
  if (typeof address !== 'string' || isIP(address) === 0) return 'client, peer: an IP address'
  const headers: string[] = []
  for (const line of typeof header === 'string' ? [header] : header) {
    const [, name, value] = /^([^\s:]+):[ \t]*(.*)$/s.exec(line) ?? []
    if (name === undefined || value === undefined) return `header: "${line.slice(0, 64)}" is no header field`
    headers.push(name, value.trimEnd())
  }
  return { url, method, headers, peer: address, asksForClient: peer !== undefined, isColoured: color === 'ansi' }
}
