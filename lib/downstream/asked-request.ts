/** Reads a request that somebody asks about, and nobody sends, by the functions that read those that come: so the same is refused and believed. */
import { GatewayError } from '../base/errors.ts'
import { type ClientTrail, traceClient } from '../request/client-trail.ts'
import type { Told } from '../request/forwarded.ts'
import { isServedMethod } from '../request/method.ts'
import type { Settings } from '../settings/table.ts'
import { readFields } from './fields.ts'

export type AskedRequest = Readonly<{
  method: string | undefined
  /** Names and values in turn, latin1. */
  headers: readonly string[]
  /** The address that the connection comes from. */
  peer: string
  /** The answer is to say who the client is, even if no field names one. */
  asksForClient: boolean
}>

export type ReadRequest = Readonly<{
  request: Readonly<{
    method?: string
    authority?: string
    lines: string
    contentLength: number | undefined
    client: string
    told?: Told
  }>
  /** Undefined: neither a flag nor a field asks for it. */
  trail: ClientTrail | undefined
}>

/** Why the request is refused, where it is. */
export function readAskedRequest(
  { method, headers, peer, asksForClient }: AskedRequest,
  settings: Settings,
): ReadRequest | GatewayError {
  if (method !== undefined && !isServedMethod(method)) {
    return new GatewayError('PORTICO_REQ_METHOD_NOT_ALLOWED', `"${method}" is no method that is served`)
  }
  const fields = readFields(headers, 'HTTP/1.1', settings)
  if (fields instanceof GatewayError) return fields
  const { host: authority, lines, claims, contentLength } = fields
  const trail = traceClient(peer, claims, settings)
  const { address: client, told } = trail
  return {
    request: {
      ...(method !== undefined && { method }),
      ...(authority !== undefined && { authority }),
      lines,
      contentLength,
      client,
      ...(told && { told }),
    },
    trail: asksForClient || claims !== undefined ? trail : undefined,
  }
}
