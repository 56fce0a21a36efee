/** A UDP port of a Service: each client's datagrams go to one endpoint for as long as it goes on, and the answers back from the port. */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import type { Clock } from '../base/clock.ts'
import { contain } from '../base/contain.ts'
import type { DeadlineWatch } from '../base/deadline.ts'
import { GatewayError } from '../base/errors.ts'
import { listTiers } from '../model/tier.ts'
import { type BoundAddress, openAt, opened } from '../platform/listen.ts'
import { normalizePeer } from '../request/origin.ts'
import type { ServedListener, Snapshot } from '../snapshot/snapshot.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import type { ByteCounts, ConnectionResult } from '../telemetry/request-counts.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import { DatagramSession, MAX_QUEUED_BYTES } from './datagram-session.ts'

/** How many sessions a process has, over all its ports, and may have whatever the settings say: each holds a socket. */
export type SessionBudget = { open: number; readonly most: number }

export type DatagramPortOptions = Readonly<{
  /** Its key in the snapshot's listeners. */
  place: string
  where: BoundAddress
  /** The snapshot in force. */
  snapshot: () => Snapshot | undefined
  watch: DeadlineWatch
  budget: SessionBudget
  onResult: (listener: string, result: ConnectionResult) => void
  /** Called with the bytes of a session that has ended. */
  onBytes: (listener: string, bytes: ByteCounts) => void
  clock: Clock
  log: Log
}>

/** How long an endpoint that refused is passed over where others are left, in milliseconds. */
const AVOID_MS = 10_000

export class DatagramPort {
  readonly place: string
  /** The id of the listener there, as last seen. */
  label: string
  readonly #options: DatagramPortOptions
  #socket: Socket | undefined
  /** By the client's address and port. */
  readonly #sessions = new Map<string, DatagramSession>()
  /** Until when endpoints that refused are avoided, by the monotonic clock. */
  readonly #avoided = new Map<EndpointState, number>()
  readonly #throttle: LogThrottle
  #isStopping = false
  #isClosed = false

  constructor(options: DatagramPortOptions) {
    const { place, snapshot, clock } = options
    this.place = place
    this.label = snapshot()?.listeners.get(place)?.listener.id ?? place
    this.#options = options
    this.#throttle = new LogThrottle(clock)
  }

  /** Sessions. */
  get connections(): number {
    return this.#sessions.size
  }

  /** Rejects with Node's error. */
  async listen(): Promise<BoundAddress> {
    const { address, port } = this.#options.where
    const socket = await openAt(address, (host) => this.#bind(host, port))
    socket.on('message', this.#onDatagram)
    socket.on('error', (error) => this.#options.log.error({ err: error, listener: this.label }, 'listener failed'))
    const bound = socket.address()
    return { address: bound.address, port: bound.port }
  }

  /** Begins no more sessions; open ones go on, and answers go back to their clients. */
  drain(): void {
    this.#isStopping = true
  }

  /** Gives the port up, and ends its sessions, which cannot go on without it. */
  close(): void {
    this.#isStopping = true
    for (const session of this.#sessions.values()) session.end()
    this.#close()
  }

  async #bind(address: string, port: number): Promise<Socket> {
    if (this.#isClosed) throw new Error('closed while it was opened')
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    this.#socket = socket
    try {
      await opened(socket, () => socket.bind({ address, port, exclusive: true }))
    } catch (error) {
      if (!this.#isClosed) socket.close()
      throw error
    }
    return socket
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket?.close()
  }

  #onDatagram = (datagram: Buffer, client: RemoteInfo): void => {
    try {
      this.#pass(datagram, client)
    } catch (thrown) {
      contain('relay', thrown, this.#sessions.get(keyOf(client)))
    }
  }

  #pass(datagram: Buffer, client: RemoteInfo): void {
    const inForce = this.#options.snapshot()
    const served = inForce?.listeners.get(this.place)
    if (!inForce || !served) return
    this.label = served.listener.id
    const key = keyOf(client)
    let session = this.#sessions.get(key)
    // The session's endpoint may be gone from the Service, and its datagrams would be lost (kube-proxy clears them from conntrack).
    const pool = served.table.fallback?.upstream
    if (session && session.pool !== pool && !this.#goesOn(session, pool)) {
      session.end()
      session = undefined
    }
    session ??= this.#open(key, client, served, inForce)
    if (!session) return
    this.#noteProgress(session, inForce)
    session.send(datagram)
  }

  #goesOn(session: DatagramSession, pool: UpstreamPool | undefined): boolean {
    const index = pool?.states.indexOf(session.endpoint) ?? -1
    if (!pool || !listTiers(pool.upstream).some((tier) => tier.includes(index))) return false
    session.pool = pool
    return true
  }

  #open(key: string, client: RemoteInfo, served: ServedListener, inForce: Snapshot): DatagramSession | undefined {
    const { budget, watch, onResult, onBytes } = this.#options
    const { listener, sources, table } = served
    if (this.#isStopping) return undefined
    if (sources && !sources.has(client.address)) {
      onResult(listener.id, 'refused_source')
      this.#report('datagrams refused: their source is in none of the source ranges', client)
      return undefined
    }
    // Open sessions stay, as in conntrack: a client that sends from many addresses drives no other out.
    if (budget.open >= Math.min(inForce.settings.limits.datagramSessions, budget.most)) {
      onResult(listener.id, 'dropped')
      this.#report('datagrams of new clients dropped: limits.datagramSessions is reached', client)
      return undefined
    }
    const pool = table.fallback?.upstream
    const endpoint = pool && this.#pick(pool, normalizePeer(client.address))
    if (!endpoint) {
      onResult(listener.id, 'failed')
      return undefined
    }
    const session = new DatagramSession({
      pool,
      endpoint,
      onReply: (datagram) => {
        this.#noteProgress(session, this.#options.snapshot() ?? inForce)
        // Errors are ignored: the session of a client that has gone ends when it has been idle long enough.
        const socket = this.#socket
        if (socket && socket.getSendQueueSize() < MAX_QUEUED_BYTES)
          socket.send(datagram, client.port, client.address, ignore)
      },
      onEnd: (error) => {
        budget.open--
        onBytes(listener.id, session)
        watch.delete(session)
        this.#sessions.delete(key)
        if (error) this.#avoided.set(endpoint, this.#options.clock.monotonic() + AVOID_MS)
      },
    })
    budget.open++
    this.#sessions.set(key, session)
    watch.add(session)
    onResult(listener.id, 'served')
    return session
  }

  #noteProgress(session: DatagramSession, { settings }: Snapshot): void {
    const idleMs = session.pool.policy.timeouts.datagramIdle || settings.timeouts.datagramIdle
    session.deadlineAt = this.#options.clock.monotonic() + idleMs
  }

  /** Prefers an endpoint that has not refused of late. */
  #pick(pool: UpstreamPool, clientAddress: string): EndpointState | undefined {
    const now = this.#options.clock.monotonic()
    for (const [endpoint, until] of this.#avoided) if (until <= now) this.#avoided.delete(endpoint)
    const good = this.#avoided.size > 0 ? pickFor(pool, clientAddress, [...this.#avoided.keys()]) : undefined
    const picked = good === undefined || good instanceof GatewayError ? pickFor(pool, clientAddress, []) : good
    return picked instanceof GatewayError ? undefined : picked
  }

  #report(message: string, client: RemoteInfo): void {
    if (this.#throttle.admit(message)) this.#options.log.warn({ listener: this.label, peer: client.address }, message)
  }
}

function keyOf({ address, port }: RemoteInfo): string {
  return `${address} ${port}`
}

/** The next endpoint for one client that is not among `tried`. */
function pickFor(
  pool: UpstreamPool,
  clientAddress: string,
  tried: readonly EndpointState[],
): EndpointState | GatewayError {
  return pool.pick({ clientAddress, hostname: '', target: '', header: noHeader }, tried)
}

function noHeader(): undefined {}

function ignore(): void {}
