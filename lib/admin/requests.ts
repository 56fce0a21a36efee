/** The records of requests and the figures of traffic on the admin listener, at once and as they come. */
import { isIP } from 'node:net'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { normalizeRange } from '../base/cidr.ts'
import type { Clock } from '../base/clock.ts'
import { describeRequestDetail, summarizeRequest } from '../report/request-view.ts'
import { type TrafficView, trafficView } from '../report/traffic-view.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import { parseStatusWish, type RequestQuery } from '../telemetry/request-query.ts'
import type { TrafficSource } from '../telemetry/request-records.ts'
import type { AnswerMaker } from './answer-maker.ts'
import type { EventStreams } from './event-stream.ts'

export type RequestRoutesOptions = Readonly<{
  /** Undefined: nothing carries traffic yet. */
  source: () => TrafficSource | undefined
  /** The figures of all endpoints, as of now. */
  endpoints: () => Iterable<EndpointFigures>
  refresh: () => Promise<void>
  /** False: the settings keep no records. */
  keepsRecords: boolean
  streams: EventStreams
  answers: AnswerMaker
  clock: Clock
}>

/** Of an answer, where the query says nothing, and at most. */
const USUAL_LIMIT = 100
const MOST_REQUESTS = 1_000
const MOST_ROWS = 1_000
const TRAFFIC_MS = 1_000

const JSON_TYPE = 'application/json; charset=utf-8'
const OFF = 'The setting admin.records is 0: no records are kept.'

type Words = Readonly<Record<string, string | readonly string[] | undefined>>

/** A parameter that cannot be used; the message is for the client. */
class BadParameter extends Error {
  readonly statusCode = 400
}

export function addRequestRoutes(app: FastifyInstance, options: RequestRoutesOptions): void {
  const { source, streams, keepsRecords } = options
  const find = (reply: FastifyReply): TrafficSource | undefined => {
    const found = keepsRecords ? source() : undefined
    if (!found)
      void reply.code(keepsRecords ? 503 : 404).send({ message: keepsRecords ? 'The gateway is starting.' : OFF })
    return found
  }

  app.get('/api/v1/requests', async ({ query }, reply) => {
    const traffic = find(reply)
    if (!traffic) return reply
    const { limit, ...wanted } = readQuery(query as Words)
    const found = await traffic.findRequests(wanted, limit)
    return reply.type(JSON_TYPE).send(JSON.stringify(found.map(summarizeRequest)))
  })

  app.get('/api/v1/requests/stream', async ({ query }, reply) => {
    const traffic = find(reply)
    if (!traffic) return reply
    const { limit: _limit, ...wanted } = readQuery(query as Words)
    const stream = await streams.open(reply)
    if (!stream) return reply
    // Who follows one request wants to know all of it.
    const view = wanted.id === undefined ? summarizeRequest : describeRequestDetail
    let dropped = 0
    const end = traffic.followRequests(wanted, (requests, more) => {
      dropped += more
      for (const each of requests) if (!stream.send('request', view(each))) dropped++
      if (dropped > 0 && stream.send('dropped', { count: dropped })) dropped = 0
    })
    stream.onClose(end)
    return reply
  })

  app.get('/api/v1/requests/:id', async ({ params }, reply) => {
    const traffic = find(reply)
    if (!traffic) return reply
    const { id } = params as { id: string }
    const [found] = await traffic.findRequests({ id }, 1)
    if (!found) return reply.code(404).send({ message: 'No request with this id is kept.' })
    return reply.type(JSON_TYPE).send(JSON.stringify(describeRequestDetail(found)))
  })

  const measure = async (traffic: TrafficSource, limit: number): Promise<TrafficView> => {
    const [workers] = await Promise.all([traffic.readTraffic(), options.refresh()])
    const { inFlight } = traffic
    return trafficView({ workers, endpoints: options.endpoints(), inFlight, now: options.clock.now(), limit })
  }

  app.get('/api/v1/traffic', async ({ query }, reply) => {
    const traffic = find(reply)
    if (!traffic) return reply
    const limit = readLimit(query as Words, MOST_ROWS)
    const work = async () => JSON.stringify(await measure(traffic, limit))
    return reply.type(JSON_TYPE).send(await options.answers.make(`traffic ${limit}`, async () => {}, work))
  })

  app.get('/api/v1/traffic/stream', async ({ query }, reply) => {
    const traffic = find(reply)
    if (!traffic) return reply
    const limit = readLimit(query as Words, MOST_ROWS)
    const stream = await streams.open(reply)
    if (!stream) return reply
    let isBusy = false
    const tell = async () => {
      // A worker that is busy makes the others wait no longer than a second, and this stream alone.
      if (isBusy) return
      isBusy = true
      try {
        stream.send('traffic', await measure(traffic, limit))
      } finally {
        isBusy = false
      }
    }
    const timer = setInterval(() => void tell(), TRAFFIC_MS)
    stream.onClose(() => clearInterval(timer))
    void tell()
    return reply
  })
}

const READERS: Readonly<Record<string, (text: string) => Partial<RequestQuery>>> = {
  id: (id) => ({ id }),
  host: (host) => ({ host }),
  route: (route) => ({ route }),
  ingress: (ingress) => ({ ingress }),
  service: (service) => ({ service }),
  method: (method) => ({ method }),
  code: (code) => ({ code }),
  status: (text) => {
    const status = parseStatusWish(text)
    if (!status) throw new BadParameter(`status: "${text.slice(0, 64)}" is none of 404, 5xx, >=400, 400-499`)
    return { status }
  },
  client: (client) => {
    if (isIP(client) === 0 && !isRange(client))
      throw new BadParameter('client: neither an address nor a range as 10.0.0.0/8')
    return { client }
  },
  min_duration_ms: (text) => {
    const minDurationMs = Number(text)
    if (text === '' || !(minDurationMs >= 0)) throw new BadParameter('min_duration_ms: not a number of milliseconds')
    return { minDurationMs }
  },
}

function isRange(text: string): boolean {
  try {
    normalizeRange(text)
    return true
  } catch {
    return false
  }
}

/** Empty parameters do not count: forms send them. */
function readQuery(words: Words): RequestQuery & Readonly<{ limit: number }> {
  let query: RequestQuery = {}
  for (const [name, value] of Object.entries(words)) {
    if (name === 'limit' || value === '' || value === undefined) continue
    const read = Object.hasOwn(READERS, name) ? READERS[name] : undefined
    if (!read) throw new BadParameter(`${name.slice(0, 64)}: there are ${Object.keys(READERS).join(', ')} and limit`)
    if (typeof value !== 'string') throw new BadParameter(`${name}: write it once`)
    query = { ...query, ...read(value) }
  }
  return { ...query, limit: readLimit(words, MOST_REQUESTS, USUAL_LIMIT) }
}

function readLimit({ limit }: Words, most: number, usual: number = most): number {
  if (limit === undefined || limit === '') return usual
  const value = Number(limit)
  if (!Number.isInteger(value) || value < 1) throw new BadParameter('limit: not a whole number from 1 on')
  return Math.min(value, most)
}
