/** grpc.health.v1.Health/Check over HTTP/2 without TLS, as the kubelet asks. Its two messages are a field each, so they are coded here. */
import { connect } from 'node:http2'
import { isIPv6 } from 'node:net'
import type { GrpcProbe, ProbeResult } from './question.ts'

/** HealthCheckResponse.ServingStatus */
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const SERVING = 1
/** google.rpc.Code, those that a health service gives. */
const CODES: ReadonlyMap<string, string> = new Map([
  ['2', 'UNKNOWN'],
  ['4', 'DEADLINE_EXCEEDED'],
  ['5', 'NOT_FOUND'],
  ['12', 'UNIMPLEMENTED'],
  ['13', 'INTERNAL'],
  ['14', 'UNAVAILABLE'],
  ['16', 'UNAUTHENTICATED'],
])
/** The answer is a handful of bytes. */
const MAX_ANSWER_BYTES = 4_096
const PREFIX_BYTES = 5

/** Rejects with Node's error, or the reason of `signal`. */
export function askGrpc(probe: GrpcProbe, signal: AbortSignal): Promise<ProbeResult> {
  const { address, port, service } = probe
  const authority = `${isIPv6(address) ? `[${address}]` : address}:${port}`
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const session = connect(`http://${authority}`)
    const finish = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      settle()
      session.destroy()
    }
    const onAbort = (): void => finish(() => reject(signal.reason))
    signal.addEventListener('abort', onAbort)
    // A stream that is cancelled says little; why it was is the cause.
    const fail = (error: Error): void => finish(() => reject(error.cause ?? error))
    session.on('error', fail)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'portico-health',
    })
    let body = Buffer.alloc(0)
    let code: string | undefined
    const readCode = (headers: object): void => {
      const value = (headers as Record<string, unknown>)['grpc-status']
      if (value !== undefined) code = String(value)
    }
    stream.on('error', fail)
    stream.on('response', (headers) => {
      const status = headers[':status']
      if (status !== 200) fail(new Error(`HTTP status ${status}`))
      // Without a message the status stands in the head.
      else readCode(headers)
    })
    stream.on('trailers', readCode)
    stream.on('data', (chunk: Buffer) => {
      body = Buffer.concat([body, chunk])
      if (body.length > MAX_ANSWER_BYTES) fail(new Error('the answer is too long'))
    })
    stream.on('end', () => finish(() => resolve(judge(probe, code, body))))
    stream.on('close', () => fail(new Error('the stream was reset')))
    stream.end(encodeRequest(service))
  })
}

/** `gRPC health of orders` */
export function printGrpc({ service }: GrpcProbe): string {
  return service === '' ? 'gRPC health' : `gRPC health of ${service}`
}

function judge(probe: GrpcProbe, code: string | undefined, body: Buffer): ProbeResult {
  if (code === undefined) return { isOk: false, detail: `${printGrpc(probe)}: an answer without grpc-status` }
  if (code !== '0') return { isOk: false, detail: `${printGrpc(probe)}: ${CODES.get(code) ?? `status ${code}`}` }
  const status = decodeAnswer(body)
  if (status === undefined) return { isOk: false, detail: `${printGrpc(probe)}: a malformed answer` }
  return { isOk: status === SERVING, detail: `${printGrpc(probe)}: ${STATUSES[status] ?? status}` }
}

/** `message HealthCheckRequest { string service = 1; }`, uncompressed behind the prefix of its length. */
function encodeRequest(service: string): Buffer {
  const name = Buffer.from(service)
  const message = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, ...encodeVarint(name.length)]), name])
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** `message HealthCheckResponse { ServingStatus status = 1; }`; a field that is left out is 0. Undefined: it is something else. */
function decodeAnswer(body: Buffer): number | undefined {
  if (body.length < PREFIX_BYTES || body[0] !== 0 || body.readUInt32BE(1) !== body.length - PREFIX_BYTES) {
    return undefined
  }
  if (body.length === PREFIX_BYTES) return 0
  const status = body[PREFIX_BYTES + 1]
  return body[PREFIX_BYTES] === 0x08 && body.length === PREFIX_BYTES + 2 && status! < 0x80 ? status : undefined
}

function encodeVarint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...encodeVarint(value >>> 7)]
}
