/** Opens the port of a listener for a test, with doors behind it, and speaks to it byte by byte. */
import { connect, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls'
import { pino } from 'pino'
import type { Test } from 'tap'
import { Doors, type DoorsOptions } from '../../lib/downstream/doors.ts'
import type { PortOptions } from '../../lib/downstream/port.ts'
import { StreamPort } from '../../lib/l4/stream-port.ts'
import type { Certificate, CertificateBinding } from '../../lib/model/certificate.ts'
import type { BoundAddress } from '../../lib/platform/listen.ts'
import { HostIndex } from '../../lib/routing/host-index.ts'
import type { Snapshot } from '../../lib/snapshot/snapshot.ts'
import type { ConnectionResult } from '../../lib/telemetry/request-counts.ts'
import { makeAdmission } from '../helpers/admission.ts'
import { makeModelCertificate } from '../helpers/certificates.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeGatewayListener, OWNER } from '../helpers/snapshot.ts'
import { EchoHandler } from './echo-handler.ts'

export type DoorsAtPortOptions = DoorsOptions &
  PortOptions & {
    name: 'http' | 'https'
    /** Left out, it has the listener alone. */
    snapshot?: () => Snapshot
    /** An address and port, or a bound TCP handle; left out, a free port of 127.0.0.1. */
    where?: BoundAddress | object
  }

/** The listener `http` or `https` as a process has it that carries traffic. */
export class DoorsAtPort {
  readonly #doors: Doors
  readonly #port: StreamPort

  constructor(options: DoorsAtPortOptions) {
    const { name, settings, admission, where = { address: '127.0.0.1', port: 0 } } = options
    this.#doors = new Doors(name, options)
    const listener = makeGatewayListener(name, { proxyProtocol: settings[name].proxyProtocol === 'required' })
    const snapshot = { settings, listeners: new Map([[name, { listener, sources: undefined }]]) }
    this.#port = new StreamPort({
      ...options,
      place: name,
      where,
      snapshot: options.snapshot ?? (() => snapshot as unknown as Snapshot),
      relays: undefined as never,
      doors: () => this.#doors,
    })
    admission.addSource(this.#doors)
  }

  get connections(): number {
    return this.#port.connections
  }

  async listen(): Promise<BoundAddress> {
    await this.#doors.ready()
    return this.#port.listen()
  }

  drain(): void {
    void this.#port.stop()
    this.#doors.drain()
  }

  async close(): Promise<void> {
    this.drain()
    this.#port.close()
    await this.#doors.close()
  }
}

export type StartOptions = {
  name?: 'http' | 'https'
  settings?: Readonly<Record<string, unknown>>
  certificates?: () => HostIndex<CertificateBinding> | undefined
  strictSni?: () => boolean
  handle?: object
  ticketSecret?: Buffer
}

export type Started = {
  listener: DoorsAtPort
  handler: EchoHandler
  port: number
  /** Every log line, parsed. */
  lines: Record<string, unknown>[]
  /** What became of connections, as it is counted. */
  results: ConnectionResult[]
}

let madeDefault: Promise<Certificate> | undefined
/** One default certificate for all tests of a file. */
export function defaultCertificate(): Promise<Certificate> {
  madeDefault ??= makeModelCertificate({ names: ['portico default certificate', 'localhost'] }, 'default')
  return madeDefault
}

export async function startListener(t: Test, options: StartOptions = {}): Promise<Started> {
  const name = options.name ?? 'http'
  const handler = new EchoHandler()
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const settings = makeSettings({ [`${name}.port`]: 0, [`${name}.address`]: '127.0.0.1', ...options.settings })
  const results: Started['results'] = []
  const listener = new DoorsAtPort({
    name,
    settings,
    ...makeAdmission(settings, log, (_listener, result) => void results.push(result)),
    handler,
    onFinish: handler.onFinish,
    certificates: options.certificates ?? (() => undefined),
    defaultCertificate: await defaultCertificate(),
    ...(options.strictSni && { strictSni: options.strictSni }),
    where: options.handle ?? { address: settings[name].address, port: settings[name].port },
    ...(options.ticketSecret && { ticketSecret: options.ticketSecret }),
    log,
  })
  t.teardown(() => listener.close())
  const { port } = await listener.listen()
  return { listener, handler, port, lines, results }
}

/** An index of certificates by host, as a snapshot has it. */
export function indexCertificates(
  entries: Readonly<Record<string, Certificate | string>>,
): HostIndex<CertificateBinding> {
  return new HostIndex(
    Object.entries(entries).map(([host, certificate]) => [
      host,
      {
        host,
        certificate: typeof certificate === 'string' ? undefined : certificate,
        reason: typeof certificate === 'string' ? certificate : 'named by the tls section',
        owner: OWNER,
        field: ['spec', 'tls', 0, 'hosts', 0],
      },
    ]),
  )
}

/** A client connection that keeps all it receives. */
export class RawClient {
  readonly socket: Socket
  received = ''
  readonly closed: Promise<void>

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => {
      this.received += text
    })
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()))
  }

  /** Resolves when `pattern` has been received; rejects when the connection closes without it. */
  async until(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.received)) {
      if (this.socket.destroyed || this.socket.readableEnded)
        throw new Error(`closed after ${JSON.stringify(this.received)}`)
      await new Promise<void>((resolve) => {
        const done = () => {
          this.socket.off('data', done).off('end', done).off('close', done)
          resolve()
        }
        this.socket.on('data', done).on('end', done).on('close', done)
      })
    }
    return this.received
  }
}

export async function connectRaw(t: Test, port: number, allowHalfOpen = false): Promise<RawClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen })
  t.teardown(() => socket.destroy())
  const client = new RawClient(socket)
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return client
}

/** Resolves after the handshake; rejects with the error of a failed one. */
export function openTls(t: Test, port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    t.teardown(() => socket.destroy())
    socket.once('secureConnect', () => resolve(socket))
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed during the handshake')))
  })
}
