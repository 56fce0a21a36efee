/** Terminates TLS for a listener and hands each connection on by what ALPN chose. */
import { constants } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import type { Certificate, CertificateBinding } from '../model/certificate.ts'
import type { HostIndex } from '../routing/host-index.ts'
import type { Settings } from '../settings-table.ts'
import type { Log } from '../telemetry/log.ts'
import { CertificatePicker } from './certificate-picker.ts'
import { ignoreError } from './connection-set.ts'

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

/** RFC 8446 §6, as a record: a fatal unrecognized_name alert (RFC 6066 §3). */
const UNRECOGNIZED_NAME = Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x70])

const SPEAKS_HTTPS = 'This port speaks HTTPS.\n'
const PLAIN_HTTP_ANSWER = `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${SPEAKS_HTTPS.length}\r\nConnection: close\r\n\r\n${SPEAKS_HTTPS}`

export type TlsFrontOptions = {
  settings: Settings
  certificates: () => HostIndex<CertificateBinding> | undefined
  defaultCertificate: Certificate
  strictSni: () => boolean
  onHttp1: (socket: TLSSocket) => void
  onHttp2: (socket: TLSSocket) => void
  clock: Clock
  log: Log
}

/** Throws when the default certificate cannot be used. */
export function createTlsFront(options: TlsFrontOptions): Server {
  const { settings, defaultCertificate, log } = options
  const contextOptions: SecureContextOptions = {
    minVersion: settings.https.minVersion,
    ciphers: CIPHERS,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  }
  const picker = new CertificatePicker({
    certificates: options.certificates,
    defaultCertificate,
    strictSni: options.strictSni,
    contextOptions,
    clock: options.clock,
    log,
  })

  const server = createServer(
    {
      ...contextOptions,
      cert: defaultCertificate.certificatePem,
      key: defaultCertificate.privateKeyPem,
      ALPNProtocols: settings.https.http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
      handshakeTimeout: settings.https.handshakeTimeout,
      noDelay: true,
      keepAlive: true,
      SNICallback(this: TLSSocket, servername, done) {
        const context = picker.pick(servername)
        if (context) return done(null, context)
        // Node has no way to choose the alert, and destroys the connection without any.
        writeRaw(this, UNRECOGNIZED_NAME)
        done(new Error('unrecognized name'))
      },
    },
    (socket) => {
      socket.on('error', ignoreError)
      // Without SNI the callback above is not asked: say why the default certificate was served.
      if (!socket.servername) picker.pick('')
      if (socket.alpnProtocol === 'h2') {
        options.onHttp2(socket)
        return
      }
      // HTTP/1 alone: an HTTP/2 client, or one in the handshake, that shuts down its side has gone.
      socket.allowHalfOpen = true
      options.onHttp1(socket)
    },
  )
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    socket.on('error', ignoreError)
    if (error.code === 'ERR_SSL_HTTP_REQUEST') writeRaw(socket, PLAIN_HTTP_ANSWER)
    log.debug({ peer: socket.remoteAddress, code: error.code ?? error.message }, 'TLS handshake failed')
    // Node leaves a connection open whose handshake timed out.
    socket.destroy()
  })
  return server
}

/** Writes past TLS, on the connection below, which Node shows as `_parent`. */
function writeRaw(socket: TLSSocket, bytes: string | Buffer): void {
  const { _parent: below } = socket as TLSSocket & { _parent?: Duplex }
  if (below?.writable) below.write(bytes)
}
