/** The spans of a request, by the semantic conventions of OpenTelemetry for HTTP (1.29): one of the request, one of each try, one of each filter that was waited for. */
import { makeId } from '../base/trace-context.ts'
import type { RequestCourse, RequestTrace, TryCourse } from './course.ts'
import { endOf, type RequestRecord } from './record.ts'

export type SpanFacts = Readonly<{
  name: string
  kind: 'server' | 'client' | 'internal'
  traceId: string
  spanId: string
  parentId: string | undefined
  /** The parent is a span of another process. */
  isParentRemote: boolean
  /** Milliseconds since the epoch. */
  startedAt: number
  endedAt: number
  attributes: Readonly<Record<string, string | number>>
  /** Why it counts as failed; undefined: it does not. */
  fault: string | undefined
}>

type Attributes = Record<string, string | number>

/** Methods of RFC 9110 and RFC 5789: others are no part of a name, which would be the client's. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'])

/** What is secret in the record's target and detail is hidden already. */
export function listSpans(record: RequestRecord, course: RequestCourse, trace: RequestTrace): readonly SpanFacts[] {
  const { traceId, spanId, parentId } = trace
  const { startedAt, status, error } = record
  const method = METHODS.has(record.method) ? record.method : '_OTHER'
  const isFault = status >= 500
  const own: SpanFacts = {
    name: nameRequest(record, method),
    kind: 'server',
    traceId,
    spanId,
    parentId,
    isParentRemote: true,
    startedAt,
    endedAt: endOf(record),
    attributes: describeRequest(record, method),
    fault: isFault ? (error ?? String(status)) : undefined,
  }
  const inner = { traceId, parentId: spanId, isParentRemote: false } as const
  const waits = course.filters.flatMap(({ name, effect, at, duration }): SpanFacts[] => {
    if (at === undefined || duration === undefined) return []
    const times = { startedAt: startedAt + at, endedAt: startedAt + at + duration }
    const attributes = { 'portico.filter': name, 'portico.effect': effect }
    return [
      { ...inner, ...times, name: `filter ${name}`, kind: 'internal', spanId: makeId(8), attributes, fault: undefined },
    ]
  })
  return [own, ...waits, ...listTries(record, course, trace, method)]
}

/** A try that was sent again on another connection, since the endpoint was just closing the first one, is one span. */
function listTries(record: RequestRecord, { tries }: RequestCourse, trace: RequestTrace, method: string): SpanFacts[] {
  const spans: SpanFacts[] = []
  let from: number | undefined
  for (const each of tries) {
    from ??= each.startedAt
    if (each.isStale) continue
    const spanId = trace.tries[spans.length]
    if (spanId === undefined) break
    spans.push({
      name: method,
      kind: 'client',
      traceId: trace.traceId,
      spanId,
      parentId: trace.spanId,
      isParentRemote: false,
      startedAt: record.startedAt + from,
      endedAt: record.startedAt + (each.endedAt ?? record.durationMs),
      attributes: describeTry(each, spans.length, method),
      fault: each.error ?? ((each.status ?? 0) >= 500 ? String(each.status) : undefined),
    })
    from = undefined
  }
  return spans
}

/** `GET /api`: the path as the route has it, never the client's. */
function nameRequest({ labels }: RequestRecord, method: string): string {
  const route = findHttpRoute(labels?.route)
  return route === undefined ? method : `${method} ${route}`
}

/** `/api` of `default/shop|shop.localhost|Prefix /api`. */
function findHttpRoute(route: string | undefined): string | undefined {
  const path = route?.slice(route.indexOf(' ') + 1)
  return path?.startsWith('/') ? path : undefined
}

function describeRequest(record: RequestRecord, method: string): Attributes {
  const {
    labels,
    status,
    error,
    scheme,
    protocol,
    authority,
    clientAddress,
    peerAddress,
    userAgent,
    detail,
    tries,
    target,
  } = record
  const query = target.indexOf('?')
  const attributes: Attributes = {
    'http.request.method': method,
    'url.scheme': scheme,
    'url.path': query < 0 ? target : target.slice(0, query),
    'network.protocol.name': 'http',
    'network.protocol.version': protocol.slice('HTTP/'.length).replace('2.0', '2'),
    'http.response.status_code': status,
    'client.address': clientAddress,
    'network.peer.address': peerAddress,
    'server.address': authority.replace(/:\d+$/, ''),
    'portico.request_id': record.id,
    'http.request.body.size': record.bytesIn,
    'http.response.body.size': record.bytesOut,
  }
  if (method === '_OTHER') attributes['http.request.method_original'] = record.method.slice(0, 32)
  if (query >= 0) attributes['url.query'] = target.slice(query + 1)
  const route = findHttpRoute(labels?.route)
  if (route !== undefined) attributes['http.route'] = route
  if (labels !== undefined) {
    attributes['portico.ingress'] = labels.ingress
    if (labels.upstream !== '') attributes['portico.service'] = labels.upstream
  }
  if (userAgent !== undefined) attributes['user_agent.original'] = userAgent.slice(0, 512)
  if (tries > 1) attributes['portico.tries'] = tries
  if (error !== undefined || status >= 500) attributes['error.type'] = error ?? String(status)
  if (detail !== undefined) attributes['portico.cause'] = detail.slice(0, 1024)
  return attributes
}

function describeTry({ endpoint, status, error, isReused }: TryCourse, resends: number, method: string): Attributes {
  const colon = endpoint.lastIndexOf(':')
  const attributes: Attributes = {
    'http.request.method': method,
    'server.address': endpoint.slice(0, colon).replace(/^\[|\]$/g, ''),
    'server.port': Number(endpoint.slice(colon + 1)),
    'portico.connection.reused': String(isReused),
  }
  if (resends > 0) attributes['http.request.resend_count'] = resends
  if (status !== undefined) attributes['http.response.status_code'] = status
  if (error !== undefined || (status ?? 0) >= 500) attributes['error.type'] = error ?? String(status)
  return attributes
}
