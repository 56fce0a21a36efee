/** What requests to the admin listener may change, where `admin.writes` is on. Each is logged; none outlives a restart. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ReloadOutcome } from '../report/reloaded.ts'
import type { Log } from '../telemetry/log.ts'

/** An order that cannot be followed; `message` says why, and what there is. */
export class OrderError extends Error {
  readonly status: 404 | 409

  constructor(status: 404 | 409, message: string) {
    super(message)
    this.status = status
  }
}

/** What was done, as plain data. `endpoints` are named as by `get endpoints -o name`, without the kind. */
export type EndpointOutcome = Readonly<{ endpoints: readonly string[] }>
export type ClearOutcome = EndpointOutcome & Readonly<{ circuits: readonly string[] }>
/** `routes` are those that are in maintenance now because of this order, or are not any more. */
export type MaintenanceOutcome = Readonly<{ on: boolean; routes: number }>

/** `route` is its host and path as `get routes -o name` has them; `ingress` is namespace/name. */
export type MaintenanceOrder = Readonly<{ on: boolean } & ({ route: string } | { ingress: string })>

/** All of these throw an OrderError for what is not there. */
export type AdminWrites = Readonly<{
  reload(): Promise<ReloadOutcome>
  /** Begins after the answer was sent. */
  drain(): void
  /** Requests and tunnels that a drain would wait for, and how long at most, milliseconds. */
  beforeDrain(): Readonly<{ inFlight: number; deadlineMs: number }>
  /** Of an endpoint: `127.0.0.1:3000`, `default/web/127.0.0.1:3000` or `default/web:80/127.0.0.1:3000`. */
  drainEndpoint(endpoint: string): Promise<EndpointOutcome>
  undrainEndpoint(endpoint: string): Promise<EndpointOutcome>
  clearEndpoint(endpoint: string): Promise<ClearOutcome>
  setMaintenance(order: MaintenanceOrder): Promise<MaintenanceOutcome>
}>

type Body = Readonly<Record<string, unknown>>
type Write = (body: Body, writes: AdminWrites) => Promise<unknown>

/** By the path below /api/v1/, with the fields that its body may have. */
const WRITES: Readonly<Record<string, Readonly<{ fields: readonly string[]; run: Write }>>> = {
  'endpoints/drain': { fields: ['endpoint'], run: (body, writes) => writes.drainEndpoint(readEndpoint(body)) },
  'endpoints/undrain': { fields: ['endpoint'], run: (body, writes) => writes.undrainEndpoint(readEndpoint(body)) },
  'endpoints/clear': { fields: ['endpoint'], run: (body, writes) => writes.clearEndpoint(readEndpoint(body)) },
  maintenance: { fields: ['on', 'route', 'ingress'], run: (body, writes) => writes.setMaintenance(readOrder(body)) },
}

const PREFIX = '/api/v1/'

export const WRITE_PATHS: readonly string[] = ['reload', 'drain', ...Object.keys(WRITES)].map((name) => PREFIX + name)

/** A body that cannot be read. */
class BodyError extends Error {}

export function addWrites(app: FastifyInstance, writes: AdminWrites, log: Log): void {
  // A page of another site can send a form or plain text unasked, but no JSON.
  app.removeContentTypeParser('text/plain')
  const post = (
    path: string,
    fields: readonly string[],
    run: (body: Body, reply: FastifyReply) => Promise<unknown>,
  ) => {
    app.post(PREFIX + path, async (request, reply) => {
      const fault = findFault(request, fields)
      if (fault) return reply.code(fault.status).send({ message: fault.message })
      const body = request.body as Body
      const told = { write: path, ...body, client: request.ip }
      try {
        const outcome = await run(body, reply)
        log.info(told, 'admin write')
        return reply.send(outcome)
      } catch (error) {
        if (!(error instanceof OrderError || error instanceof BodyError)) throw error
        const status = error instanceof OrderError ? error.status : 400
        log.info({ ...told, status, reason: error.message }, 'admin write refused')
        return reply.code(status).send({ message: error.message })
      }
    })
  }
  post('reload', [], async (_body, reply) => {
    const outcome = await writes.reload()
    // What is served is another: what was asked for could not be done.
    if (outcome.type === 'failed') reply.code(409)
    return outcome
  })
  post('drain', [], async (_body, reply) => {
    const before = writes.beforeDrain()
    reply.code(202).raw.once('close', () => writes.drain())
    return before
  })
  for (const [path, { fields, run }] of Object.entries(WRITES)) post(path, fields, (body) => run(body, writes))
}

function findFault(
  { headers, body }: FastifyRequest,
  fields: readonly string[],
): Readonly<{ status: 400 | 415; message: string }> | undefined {
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') return { status: 415, message: 'Send Content-Type: application/json.' }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { status: 400, message: `Send an object${fields.length === 0 ? ': {}' : ` with ${fields.join(', ')}`}.` }
  }
  const unknown = Object.keys(body).find((name) => !fields.includes(name))
  if (unknown === undefined) return undefined
  const known = fields.length === 0 ? 'there are none here' : `known here: ${fields.join(', ')}`
  return { status: 400, message: `Unknown field ${JSON.stringify(unknown.slice(0, 40))}: ${known}.` }
}

function readEndpoint({ endpoint }: Body): string {
  if (typeof endpoint === 'string' && endpoint !== '') return endpoint
  throw new BodyError('endpoint is missing: write it as default/web:80/127.0.0.1:3000, or 127.0.0.1:3000.')
}

function readOrder({ on, route, ingress }: Body): MaintenanceOrder {
  if (typeof on !== 'boolean') throw new BodyError('on is missing: true or false.')
  if (typeof route === 'string' && ingress === undefined) return { on, route }
  if (typeof ingress === 'string' && route === undefined) return { on, ingress }
  throw new BodyError('Name either a route, as in shop.localhost/api, or an ingress, as in default/shop.')
}
