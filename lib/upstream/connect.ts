/** Opens one connection to one address of an endpoint, plain or TLS, and says in the catalogue's words why it could not. */
import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type SecureContext } from 'node:tls'
import { printEndpointAddress } from '../base/endpoint-address.ts'
import { GatewayError } from '../base/errors.ts'

/** How an https endpoint is spoken to. */
export type UpstreamTls = Readonly<{
  /** The DNS name in SNI, and the one the endpoint's certificate must cover. */
  serverName: string
  verify: boolean
  /** Undefined: the authorities of the system. */
  secureContext: SecureContext | undefined
}>

export type ConnectTarget = Readonly<{
  address: string
  port: number
  /** Undefined: plain TCP. */
  tls: UpstreamTls | undefined
}>

/** Calls `done` exactly once, with a connected socket (TLS handshake included) or with the reason there is none. `timeoutMs` covers both. */
export function connectEndpoint(
  target: ConnectTarget,
  timeoutMs: number,
  done: (result: Socket | GatewayError) => void,
): void {
  const { address, port, tls } = target
  const place = printEndpointAddress(address, port)
  let handshaking = false
  // Half-open: a tunnel may be ended in one direction while the other still flows.
  const where = { host: address, port, allowHalfOpen: true }
  const socket = tls ? connectTls({ ...where, ...tlsOptions(tls) }) : connectTcp(where)

  const settle = (result: Socket | GatewayError) => {
    clearTimeout(timer)
    socket.off('error', onError)
    socket.off('close', onClose)
    if (result instanceof GatewayError) {
      // It may fail once more while it is torn down.
      socket.on('error', ignore)
      socket.destroy()
    }
    done(result)
  }
  const onError = (error: NodeJS.ErrnoException) => settle(explainConnectError(error, place, handshaking))
  const onClose = () => settle(explainConnectError(new Error('closed'), place, handshaking))
  const timer = setTimeout(
    () => settle(new GatewayError('PORTICO_UP_CONNECT_TIMEOUT', `${place} did not accept within ${timeoutMs} ms`)),
    timeoutMs,
  )
  socket.once('connect', () => {
    socket.setNoDelay(true)
    handshaking = tls !== undefined
    if (!tls) settle(socket)
  })
  if (tls) socket.once('secureConnect', () => settle(socket))
  socket.on('error', onError)
  socket.on('close', onClose)
}

function ignore(): void {}

function tlsOptions(tls: UpstreamTls): ConnectionOptions {
  return {
    servername: tls.serverName,
    rejectUnauthorized: tls.verify,
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    ...(tls.secureContext && { secureContext: tls.secureContext }),
  }
}

function explainConnectError(error: NodeJS.ErrnoException, place: string, handshaking: boolean): GatewayError {
  if (handshaking) return new GatewayError('PORTICO_UP_TLS', `${place}: ${error.message}`, error)
  switch (error.code) {
    case 'ECONNREFUSED':
      return new GatewayError('PORTICO_UP_CONNECT_REFUSED', `${place} refused the connection`, error)
    case 'ETIMEDOUT':
      return new GatewayError('PORTICO_UP_CONNECT_TIMEOUT', `${place} did not accept in time`, error)
    default:
      return new GatewayError('PORTICO_UP_CONNECT_FAILED', `${place}: ${error.code ?? error.message}`, error)
  }
}
