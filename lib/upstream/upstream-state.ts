/** What an upstream remembers from snapshot to snapshot: its endpoints, its rotation, its policy, and what limits it. HOT */
import type { UpstreamKey } from '../model/upstream.ts'
import { mergePolicy, type PolicyOverrides, type UpstreamPolicy } from '../service-settings.ts'
import type { Settings } from '../settings-table.ts'
import { Circuit, type CircuitFlip } from './circuit.ts'
import type { EndpointState } from './endpoint.ts'
import type { UpstreamPool } from './pool.ts'
import { RequestQueue } from './request-queue.ts'
import { RetryBudget } from './retry-budget.ts'
import { Rotation } from './round-robin.ts'

export class UpstreamState {
  readonly key: UpstreamKey
  readonly rotation: Rotation = new Rotation()
  readonly queue: RequestQueue = new RequestQueue()
  readonly budget: RetryBudget = new RetryBudget()
  /** By their keys: those in use, and those that are still busy. */
  readonly endpoints: Map<string, EndpointState> = new Map()
  /** Counts up where a pool may have to choose its candidates anew. */
  version: number = 0
  /** The newest. */
  pool: UpstreamPool | undefined = undefined
  readonly #settings: () => Settings
  readonly #onFlip: (flip: CircuitFlip) => void
  #overrides: PolicyOverrides | undefined = undefined
  /** What `#policy` was made of. */
  #defaults: UpstreamPolicy | undefined = undefined
  #policy: UpstreamPolicy | undefined = undefined
  #circuit: Circuit | undefined = undefined
  #capacity = Number.POSITIVE_INFINITY

  constructor(key: UpstreamKey, settings: () => Settings, onFlip: (flip: CircuitFlip) => void = () => {}) {
    this.key = key
    this.#settings = settings
    this.#onFlip = onFlip
  }

  /** The one in force. */
  get policy(): UpstreamPolicy {
    const defaults = this.#settings().upstream
    if (this.#policy === undefined || defaults !== this.#defaults) {
      this.#defaults = defaults
      this.#policy = mergePolicy(defaults, this.#overrides)
      this.#limit(this.#policy)
    }
    return this.#policy
  }

  /** Undefined where the policy has none. */
  get circuit(): Circuit | undefined {
    return this.#circuit
  }

  /** What is otherwise than in the settings from now on. */
  override(overrides: PolicyOverrides | undefined): void {
    if (overrides === this.#overrides) return
    this.#overrides = overrides
    this.#policy = undefined
  }

  /** An endpoint came. */
  add(endpoint: EndpointState): void {
    endpoint.capacity = this.#capacity
    this.endpoints.set(endpoint.key, endpoint)
  }

  #limit({ circuit, maxConnections, maxRequests }: UpstreamPolicy): void {
    this.#capacity = maxRequests === 0 ? maxConnections : Math.min(maxRequests, maxConnections)
    for (const endpoint of this.endpoints.values()) endpoint.capacity = this.#capacity
    this.queue.notify()
    if (circuit.errorRate === 0) this.#circuit = undefined
    else if (this.#circuit) this.#circuit.update(circuit)
    else this.#circuit = new Circuit(this.key, circuit, this.#onFlip)
  }
}
