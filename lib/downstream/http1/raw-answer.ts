/** The last answer of a connection that has no request to answer: its bytes could not be read as one, or it asked for a tunnel. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.ts'
import type { GatewayError } from '../../base/errors.ts'
import { composeFailure } from '../../request/failure.ts'
import { findPeerAddress } from '../../request/origin.ts'
import { createRequestId } from '../../request/request-id.ts'
import type { RequestObserver } from '../../telemetry/record.ts'

export type RawAnswerOptions = Readonly<{
  clock: Clock
  /** Called once for each answer, as for the requests that are served. */
  onFinish: RequestObserver
}>

/** Answers, and closes the connection. `method` is for the record; `-` where none was read. */
export function answerRaw(socket: Socket, error: GatewayError, method: string, options: RawAnswerOptions): void {
  const { clock, onFinish } = options
  const id = createRequestId()
  const answer = composeRawFailure(error, STATUS_CODES[error.status]!, id, clock.now())
  socket.end(answer, () => socket.destroy())
  const peerAddress = findPeerAddress(socket)
  onFinish({
    id,
    startedAt: clock.now(),
    durationMs: 0,
    upstreamMs: undefined,
    protocol: 'HTTP/1.1',
    scheme: socket instanceof TLSSocket ? 'https' : 'http',
    method,
    authority: '',
    target: '',
    status: error.status,
    bytesIn: 0,
    bytesOut: answer.length,
    peerAddress,
    clientAddress: peerAddress,
    userAgent: undefined,
    labels: undefined,
    endpoint: undefined,
    tries: 0,
    retries: undefined,
    error: error.code,
    detail: error.detail || undefined,
    tunnel: false,
    filter: undefined,
    isLogged: true,
  })
}

/** The same as raw HTTP/1.1, for connections on which no request could be read. */
export function composeRawFailure(error: GatewayError, reason: string, requestId: string, now: number): Buffer {
  const { status, lines, body } = composeFailure(error, requestId, undefined, now)
  const head = `HTTP/1.1 ${status} ${reason}\r\n${lines}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}
