/** The cluster's DNS server: one port, UDP and TCP, which answers from the present zone. */
import { type Clock, systemClock } from '../base/clock.ts'
import type { Model } from '../model/model.ts'
import type { ServedConfiguration } from '../model/served.ts'
import { findDescriptorLimit, fitSockets } from '../platform/descriptors.ts'
import type { Log } from '../telemetry/log.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import { Forwarder } from './forwarder.ts'
import { Resolvers } from './resolvers.ts'
import { type Count, Responder } from './responder.ts'
import { TcpDoor } from './tcp-door.ts'
import { UdpDoor } from './udp-door.ts'
import { type Zone, ZoneBuilder } from './zone.ts'

/** The inputs of answers. */
type Source = Pick<ServedConfiguration, 'builtAt' | 'settings'> &
  Readonly<{ model: Pick<Model, 'services' | 'upstreams'> }>

export type DnsLimits = Readonly<{
  /** TCP connections of clients at once. */
  connections: number
  /** Milliseconds after which a TCP connection on which no whole question came is closed. */
  idleMs: number
  /** Names that are looked up elsewhere at once; beyond it SERVFAIL. */
  forwards: number
  /** Milliseconds in which a resolver must answer. */
  forwardMs: number
}>

export type DnsOptions = Readonly<{ log: Log; clock?: Clock; limits?: Partial<DnsLimits>; first: Source }>

const LIMITS: DnsLimits = { connections: 256, idleMs: 10_000, forwards: 512, forwardMs: 2_000 }

/** Most tries for a free port: a free TCP port may be taken for UDP. */
const PORT_TRIES = 20

export class DnsServer {
  readonly #clock: Clock
  readonly #builder = new ZoneBuilder()
  readonly #responder: Responder
  readonly #limits: DnsLimits
  #current: Source
  #zone: Zone
  #forwarder: Forwarder | undefined
  #tcp: TcpDoor | undefined
  #udp: UdpDoor | undefined

  constructor({ log, clock = systemClock, limits, first }: DnsOptions) {
    this.#clock = clock
    this.#limits = { ...LIMITS, ...limits }
    this.#current = first
    this.#zone = this.#buildZone(first)
    const throttle = new LogThrottle(clock)
    this.#responder = new Responder(
      { zone: this.#zone, forwarder: undefined },
      {
        onBug: (error) => log.error({ err: error }, 'a DNS question was left without an answer'),
        onForwardFailed: ({ message }) => {
          if (throttle.admit(message)) log.warn({ reason: message }, 'a name could not be looked up')
        },
      },
    )
  }

  /** Opens both ports. If one cannot be opened, it rejects with Node's error and leaves nothing open. */
  async start(): Promise<{ port: number }> {
    const { address, port } = this.#current.settings.dns
    const { connections, idleMs } = this.#limits
    const limits = { connections: Math.min(connections, fitSockets(findDescriptorLimit())), idleMs }
    for (let tries = 1; ; tries++) {
      const tcp = await TcpDoor.open(address, port, this.#responder, limits)
      const bound = tcp.address
      try {
        this.#udp = await UdpDoor.open(bound.address, bound.port, this.#responder)
      } catch (error) {
        await tcp.close()
        const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        if (port !== 0 || !isTaken || tries === PORT_TRIES) throw error
        continue
      }
      this.#tcp = tcp
      this.#replaceForwarder()
      this.#responder.use({ zone: this.#zone, forwarder: this.#forwarder })
      return { port: bound.port }
    }
  }

  /** Answers from `next` from now on. The zone is made again only if one of its inputs changed. */
  apply(next: Source): void {
    const before = this.#current
    this.#current = next
    const { dns } = next.settings
    const isSame =
      before.model.services === next.model.services &&
      before.model.upstreams === next.model.upstreams &&
      before.settings.dns.zone === dns.zone &&
      before.settings.dns.ttl === dns.ttl
    if (!isSame) this.#zone = this.#buildZone(next)
    if (String(before.settings.dns.forward) !== String(dns.forward)) this.#replaceForwarder()
    this.#responder.use({ zone: this.#zone, forwarder: this.#forwarder })
  }

  /** The zone in force. */
  get zone(): Zone {
    return this.#zone
  }

  /** The number of questions since the start, by type and RCODE. */
  counts(): Iterable<Count> {
    return this.#responder.counts()
  }

  async close(): Promise<void> {
    const doors = [this.#tcp, this.#udp]
    this.#tcp = undefined
    this.#udp = undefined
    this.#forwarder?.close()
    this.#forwarder = undefined
    await Promise.all(doors.map((door) => door?.close()))
  }

  #replaceForwarder(): void {
    const { forward } = this.#current.settings.dns
    // Look-ups under way end with the former forwarder.
    this.#forwarder = undefined
    if (forward.length === 0 || this.#tcp === undefined) return
    const { address, port } = this.#tcp.address
    const resolvers = new Resolvers({ forward, own: { address, port }, clock: this.#clock })
    this.#forwarder = new Forwarder({
      resolvers: () => resolvers.list(),
      timeoutMs: this.#limits.forwardMs,
      maxInFlight: this.#limits.forwards,
    })
  }

  #buildZone({ settings, model, builtAt }: Source): Zone {
    const { zone, ttl, address } = settings.dns
    return this.#builder.build({ zone, ttl: Math.floor(ttl / 1000), address, builtAt, model })
  }
}
