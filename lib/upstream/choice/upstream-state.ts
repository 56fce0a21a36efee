/** What an upstream remembers from snapshot to snapshot: its endpoints, its rotations, its clients, and what limits it. HOT */
import type { Clock } from '../../base/clock.ts'
import type { EndpointKey } from '../../model/endpoint-key.ts'
import type { EndpointTls, Upstream, UpstreamKey } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { EndpointState } from '../endpoint/endpoint.ts'
import { Rotation } from './balancer/round-robin.ts'
import { Circuit, type CircuitFlip } from './circuit.ts'
import { ClientShares } from './client-share.ts'
import { ClientTable } from './client-table.ts'
import { RequestQueue } from './request-queue.ts'
import { RetryBudget } from './retry-budget.ts'
import { CookieSigner } from './session-cookie.ts'

export type UpstreamSurroundings = Readonly<{
  clock: Clock
  /** What affinity cookies are signed with. */
  affinitySecret: Buffer
  /** The circuit breaker changed its state. */
  onFlip: (flip: CircuitFlip) => void
}>

/** `Pool` is the pool of one snapshot (pool.ts). */
export class UpstreamState<Pool extends Readonly<{ policy: UpstreamPolicy; upstream: Pick<Upstream, 'tls'> }>> {
  readonly key: UpstreamKey
  readonly clock: Clock
  /** What its clients have of it. */
  readonly shares: ClientShares = new ClientShares()
  readonly queue: RequestQueue
  readonly budget: RetryBudget = new RetryBudget()
  /** By the number of their tier. */
  readonly #rotations: Rotation[] = []
  #clients: ClientTable | undefined = undefined
  #signer: CookieSigner | undefined = undefined
  readonly #affinitySecret: Buffer
  #newestPool: Pool | undefined = undefined
  #policy: UpstreamPolicy
  /** Endpoints that may be picked. */
  #candidates = 0
  /** Those in use, and those that are still busy. */
  readonly endpoints: Map<EndpointKey, EndpointState> = new Map()
  readonly #onFlip: (flip: CircuitFlip) => void
  #circuit: Circuit | undefined = undefined
  #capacity = Number.POSITIVE_INFINITY
  /** Sessions of UDP clients are no connections. */
  readonly #isUdp: boolean

  /** `policy` is the policy of its first pool. */
  constructor(
    key: UpstreamKey,
    isUdp: boolean,
    policy: UpstreamPolicy,
    { clock, affinitySecret, onFlip }: UpstreamSurroundings,
  ) {
    this.key = key
    this.#isUdp = isUdp
    this.#policy = policy
    this.clock = clock
    this.queue = new RequestQueue(this.shares, () => clock.monotonic())
    this.#onFlip = onFlip
    this.#affinitySecret = affinitySecret
    this.#limit()
  }

  /** The pool that came into force last. */
  get newestPool(): Pool | undefined {
    return this.#newestPool
  }

  /** Takes up a pool that comes into force; `candidates` is the number of its endpoints that may be picked. */
  enter(pool: Pool, candidates: number): void {
    const isOtherTls = pool.upstream.tls?.digest !== this.tls?.digest
    this.#newestPool = pool
    this.#candidates = candidates
    if (isOtherTls) for (const endpoint of this.endpoints.values()) endpoint.reconsider()
    if (pool.policy === this.#policy) this.#countPlaces()
    else {
      this.#policy = pool.policy
      this.#limit()
    }
    // Requests that wait may find room at an endpoint that is new, or under another limit.
    this.queue.notify()
  }

  /** Where the rotation of a tier stands. */
  rotationOf(tier: number): Rotation {
    this.#rotations[tier] ??= new Rotation()
    return this.#rotations[tier]
  }

  /** Who was given which endpoint. */
  get clients(): ClientTable {
    this.#clients ??= new ClientTable()
    return this.#clients
  }

  get signer(): CookieSigner {
    this.#signer ??= new CookieSigner(this.#affinitySecret, this.key)
    return this.#signer
  }

  /** The policy in force, for connections, limits and the circuit. Requests have that of their own snapshot. */
  get policy(): UpstreamPolicy {
    return this.#policy
  }

  /** What a Secret has for connections to https endpoints. */
  get tls(): EndpointTls | undefined {
    return this.#newestPool?.upstream.tls
  }

  /** Undefined where the policy has none. */
  get circuit(): Circuit | undefined {
    return this.#circuit
  }

  /** An endpoint came. */
  add(endpoint: EndpointState): void {
    endpoint.capacity = this.#capacity
    this.endpoints.set(endpoint.key, endpoint)
  }

  #limit(): void {
    const { circuit, maxConnections, maxRequests } = this.#policy
    const most = this.#isUdp ? Number.POSITIVE_INFINITY : maxConnections
    this.#capacity = maxRequests === 0 ? most : Math.min(maxRequests, most)
    for (const endpoint of this.endpoints.values()) endpoint.capacity = this.#capacity
    this.#countPlaces()
    if (circuit.errorRate === 0) this.#circuit = undefined
    else if (this.#circuit) this.#circuit.update(circuit)
    else this.#circuit = new Circuit(this.key, circuit, this.#onFlip)
  }

  #countPlaces(): void {
    this.shares.places = this.#capacity * Math.max(this.#candidates, 1)
  }
}
