/** A collector of spans: OTLP over HTTP and over gRPC, on one server each, with the messages of opentelemetry-proto 1.5. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import type { Test } from 'tap'

/** What tests ask of a span, by the names and numbers of trace.proto; further fields are skipped. */
const PROTO = `
syntax = "proto3";
package opentelemetry;
message Request { repeated ResourceSpans resource_spans = 1; }
message Response {}
message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
message Resource { repeated KeyValue attributes = 1; }
message ScopeSpans { repeated Span spans = 2; }
message Span {
  bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; int32 kind = 6;
  fixed64 start_time_unix_nano = 7; fixed64 end_time_unix_nano = 8; repeated KeyValue attributes = 9; Status status = 15;
}
message Status { string message = 2; int32 code = 3; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
`
const Request = protobuf.parse(PROTO).root.lookupType('opentelemetry.Request')

type Value = Readonly<{ stringValue?: string; boolValue?: boolean; intValue?: string; doubleValue?: number }>
type Attributes = readonly Readonly<{ key: string; value: Value }>[]
type Message = Readonly<{
  resourceSpans?: readonly Readonly<{
    resource?: Readonly<{ attributes?: Attributes }>
    scopeSpans?: readonly Readonly<{ spans?: readonly RawSpan[] }>[]
  }>[]
}>
type RawSpan = Readonly<{
  traceId: Buffer
  spanId: Buffer
  parentSpanId?: Buffer
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes?: Attributes
  status?: Readonly<{ code?: number; message?: string }>
}>

export type CollectedSpan = Readonly<{
  traceId: string
  spanId: string
  /** `''` if the trace begins with it. */
  parentId: string
  name: string
  kind: 'server' | 'client' | 'internal' | 'other'
  /** Milliseconds since the epoch. */
  start: number
  end: number
  attributes: Readonly<Record<string, unknown>>
  isError: boolean
  service: unknown
}>

const KINDS: Readonly<Record<number, CollectedSpan['kind']>> = { 1: 'internal', 2: 'server', 3: 'client' }
const ERROR = 2

export type SpanCollector = Readonly<{
  spans: CollectedSpan[]
  /** For `tracing.endpoint`. */
  url: string
}>

export async function startSpanCollector(t: Test, protocol: 'otlp-http' | 'otlp-grpc'): Promise<SpanCollector> {
  const spans: CollectedSpan[] = []
  const take = (bytes: Buffer) => spans.push(...listSpans(bytes))
  if (protocol === 'otlp-http') {
    const server = createServer(async (request, response) => {
      const body = await buffer(request)
      take(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)
      response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end()
    }).listen(0, '127.0.0.1')
    t.teardown(() => {
      server.close()
      server.closeAllConnections()
    })
    await new Promise((resolve) => server.once('listening', resolve))
    return { spans, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` }
  }
  const server = new Server()
  const identity = (bytes: Buffer) => bytes
  server.addService(
    {
      Export: {
        path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
        requestStream: false,
        responseStream: false,
        requestDeserialize: identity,
        requestSerialize: identity,
        responseDeserialize: identity,
        responseSerialize: identity,
      },
    },
    {
      Export: (call: { request: Buffer }, done: (error: null, answer: Buffer) => void) => {
        take(call.request)
        done(null, Buffer.alloc(0))
      },
    },
  )
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  t.teardown(() => server.forceShutdown())
  return { spans, url: `http://127.0.0.1:${port}` }
}

function listSpans(bytes: Buffer): CollectedSpan[] {
  const message = Request.toObject(Request.decode(bytes), { longs: String, bytes: Buffer }) as Message
  return (message.resourceSpans ?? []).flatMap(({ resource, scopeSpans = [] }) => {
    const service = readAttributes(resource?.attributes)['service.name']
    return scopeSpans.flatMap(({ spans = [] }) => spans.map((span) => readSpan(span, service)))
  })
}

function readSpan(span: RawSpan, service: unknown): CollectedSpan {
  return {
    traceId: span.traceId.toString('hex'),
    spanId: span.spanId.toString('hex'),
    parentId: span.parentSpanId?.toString('hex') ?? '',
    name: span.name,
    kind: KINDS[span.kind] ?? 'other',
    start: Number(BigInt(span.startTimeUnixNano) / 1_000n) / 1_000,
    end: Number(BigInt(span.endTimeUnixNano) / 1_000n) / 1_000,
    attributes: readAttributes(span.attributes),
    isError: span.status?.code === ERROR,
    service,
  }
}

function readAttributes(attributes: Attributes = []): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ??
        value.boolValue ??
        (value.intValue === undefined ? value.doubleValue : Number(value.intValue)),
    ]),
  )
}
