/** Terminates TLS for a listener with the certificate of the name a client asks for, and hands each connection on by what ALPN chose. */
import { constants, hkdfSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer as createSecureServer, type Server, type TLSSocket } from 'node:tls'
import type { Clock } from '../../base/clock.ts'
import { containAt, containingAt } from '../../base/contain.ts'
import type { Certificate, CertificateBinding } from '../../model/certificate.ts'
import { findAccepted, findCarrier, keepCarrier } from '../../platform/socket-internals.ts'
import { findOrigin, findPeerAddress, setOrigin } from '../../request/origin.ts'
import type { HostIndex } from '../../routing/host-index.ts'
import type { Settings } from '../../settings/table.ts'
import type { Log } from '../../telemetry/log.ts'
import type { HandshakeFailure } from '../../telemetry/request-counts.ts'
import { ignoreError } from '../connection-set.ts'
import { type IdleSource, RequestWatch, RequestWatches } from '../idle-connection.ts'
import { putBack } from '../put-back.ts'
import { CertificatePicker, normalizeServername } from './certificate-picker.ts'
import { MAX_OPENING, readOpening } from './client-hello.ts'

/** Mozilla's intermediate configuration (5.7), without DHE: no RSA key exchange, no CBC. */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** Fatal alerts as records (RFC 8446 §6). */
const UNRECOGNIZED_NAME = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 112])
const ILLEGAL_PARAMETER = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 47])

const SPEAKS_HTTPS = 'This port speaks HTTPS.\n'
const PLAIN_HTTP_ANSWER = `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${SPEAKS_HTTPS.length}\r\nConnection: close\r\n\r\n${SPEAKS_HTTPS}`

/** Its connections are idle as long as nothing has come. */
export type TlsTerminator = IdleSource & { accept(socket: Socket): void }

/**
 * Looks for another one to take a connection, by the name that the client asks for, in normal form. What it gives takes the connection once
 * the bytes that were read are put back. Undefined: TLS ends here.
 */
export type Passthrough = (servername: string, socket: Socket) => (() => void) | undefined

export type TlsTerminatorOptions = Readonly<{
  settings: Settings
  certificates: () => HostIndex<CertificateBinding> | undefined
  defaultCertificate: Certificate | undefined
  /** `settings.https.strictSni` as it is now; left out, as it was at the start. */
  strictSni?: () => boolean
  /** For ticket keys that other processes have too; left out, Node makes its own. */
  ticketSecret?: Buffer
  /** Left out: TLS ends here for all names. */
  passthrough?: Passthrough
  onHandshake?: (version: string, isResumed: boolean) => void
  onHandshakeFailure?: (reason: HandshakeFailure) => void
  onHttp1: (socket: TLSSocket) => void
  onHttp2: (socket: TLSSocket) => void
  clock: Clock
  log: Log
}>

/**
 * Takes connections, reads the ClientHello of each, and gives it to the TLS server of the certificate for that name.
 * One TLS server has one certificate: OpenSSL chooses between certificates of different key types by what the client can
 * verify, whatever name it asked for. So each server has ticket keys of its own, and no session is resumed under another
 * certificate (TLS-15). Throws when the default certificate cannot be used.
 */
export function createTlsTerminator(options: TlsTerminatorOptions): TlsTerminator {
  const { settings, defaultCertificate, strictSni = () => settings.https.strictSni, clock, log } = options
  const { handshakeTimeout } = settings.https
  if (!defaultCertificate) throw new Error('https needs a default certificate')
  const picker = new CertificatePicker({
    certificates: options.certificates,
    defaultCertificate,
    strictSni,
    create: (certificate) => createTlsServer(certificate, options),
    clock,
    log,
  })
  const watches = new RequestWatches()
  const report = (socket: Socket, why: string, reason: HandshakeFailure): void => {
    options.onHandshakeFailure?.(reason)
    reportFailure(log, socket, why)
  }

  const accept = containingAt('tls', (socket: Socket) => {
    // A client that shuts down its side in the handshake has gone.
    socket.allowHalfOpen = false
    let received: Buffer = Buffer.alloc(0)
    // For the first bytes alone, and for a client that is to hear why it is refused; TLS has the same time again.
    const timer = setTimeout(() => {
      report(socket, 'no ClientHello in time', 'timeout')
      socket.destroy()
    }, handshakeTimeout)
    socket.once('close', () => clearTimeout(timer))
    socket.on('data', read)
    watches.add(new RequestWatch(socket, { clock, isReceiving: () => false, close: () => socket.destroy() }))

    function read(chunk: Buffer): void {
      try {
        examine(chunk)
      } catch (thrown) {
        containAt('tls', thrown, socket)
      }
    }

    function examine(chunk: Buffer): void {
      if (received.length === 0) watches.delete(socket)
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      const opening = readOpening(received)
      if (opening.kind === 'partial') {
        if (received.length >= MAX_OPENING) refuse(ILLEGAL_PARAMETER, 'ClientHello too long', 'other')
      } else if (opening.kind === 'http') {
        refuse(PLAIN_HTTP_ANSWER, 'plain HTTP', 'plain_http')
      } else if (opening.kind === 'unknown') {
        pass(picker.default)
      } else {
        const name = normalizeServername(opening.servername)
        const take = options.passthrough?.(name, socket)
        const server = take === undefined ? picker.pick(name) : undefined
        if (take) passThrough(take)
        else if (server) pass(server)
        else refuse(UNRECOGNIZED_NAME, 'unrecognized name', 'unknown_name')
      }
    }

    function pass(server: Server): void {
      giveUp()
      keepCarrier(socket)
      putBack(socket, received)
      server.emit('connection', socket)
    }

    function passThrough(take: () => void): void {
      giveUp()
      putBack(socket, received)
      socket.allowHalfOpen = true
      take()
    }

    function giveUp(): void {
      clearTimeout(timer)
      socket.off('data', read)
    }

    /** What else arrives is read and dropped: closing on unread bytes would be a reset, and take the answer away. */
    function refuse(answer: string | Buffer, why: string, reason: HandshakeFailure): void {
      report(socket, why, reason)
      socket.off('data', read).resume()
      socket.end(answer)
    }
  })
  return { accept, listConnections: () => watches.listConnections() }
}

/** Never listens: connections are given to it. */
function createTlsServer(
  { certificatePem, privateKeyPem, fingerprint }: Certificate,
  options: TlsTerminatorOptions,
): Server {
  const { settings, log, ticketSecret, onHttp1, onHttp2 } = options
  const server = createSecureServer(
    {
      minVersion: settings.https.minVersion,
      ciphers: CIPHERS,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      cert: certificatePem,
      key: privateKeyPem,
      ALPNProtocols: settings.https.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      handshakeTimeout: settings.https.handshakeTimeout,
      // Node's own context is made from the command line, which other processes need not share.
      ...(ticketSecret && { ticketKeys: makeTicketKeys(ticketSecret, fingerprint), sessionIdContext: 'portico' }),
    },
    containingAt('tls', (socket: TLSSocket) => {
      socket.on('error', ignoreError)
      const carrier = findCarrier(socket)
      if (carrier === undefined) {
        // Its peer has gone, and nothing else says which listener took it, and for which client.
        socket.destroy()
        return
      }
      options.onHandshake?.(socket.getProtocol() ?? '', socket.isSessionReused())
      const origin = findOrigin(carrier)
      if (origin) setOrigin(socket, { ...origin, securedAt: options.clock.monotonic() })
      if (socket.alpnProtocol === 'h2') {
        onHttp2(socket)
        return
      }
      // HTTP/1 alone: an HTTP/2 client, or one in the handshake, that shuts down its side has gone.
      socket.allowHalfOpen = true
      onHttp1(socket)
    }),
  )
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    socket.on('error', ignoreError)
    const code = error.code ?? error.message
    options.onHandshakeFailure?.(findReason(code))
    reportFailure(log, findAccepted(socket), code)
    // Node leaves a connection open whose handshake timed out.
    socket.destroy()
  })
  return server
}

/** The reason for a metric, of a code of Node or OpenSSL. */
function findReason(code: string): HandshakeFailure {
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'timeout'
  if (code === 'ECONNRESET' || code === 'EPIPE') return 'reset'
  if (/UNSUPPORTED_PROTOCOL|VERSION/.test(code)) return 'version'
  if (/NO_SHARED_CIPHER|NO_SUITABLE/.test(code)) return 'cipher'
  if (/ALERT/.test(code)) return 'rejected'
  return code === 'ERR_SSL_HTTP_REQUEST' ? 'plain_http' : 'other'
}

function reportFailure(log: Log, socket: Socket, code: string): void {
  log.debug({ peer: findPeerAddress(socket), code }, 'TLS handshake failed')
}

/** 48 bytes, others for each certificate: no session is resumed under another one (TLS-15). */
function makeTicketKeys(secret: Buffer, fingerprint: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, fingerprint, 'portico session tickets', 48))
}
