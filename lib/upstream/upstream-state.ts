/** What an upstream remembers from snapshot to snapshot: the states of its endpoints, where its rotation stands, its policy. HOT */
import type { Clock } from '../base/clock.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { mergePolicy, type PolicyOverrides, type UpstreamPolicy } from '../service-settings.ts'
import type { Settings } from '../settings-table.ts'
import { Rotation } from './balancer/round-robin.ts'
import { ClientTable } from './client-table.ts'
import type { EndpointState } from './endpoint.ts'
import { CookieSigner } from './session-cookie.ts'

export type UpstreamSurroundings = Readonly<{
  settings: () => Settings
  clock: Clock
  /** What affinity cookies are signed with. */
  affinitySecret: Buffer
}>

export class UpstreamState {
  readonly key: UpstreamKey
  readonly clock: Clock
  /** By the number of their tier. */
  readonly #rotations: Rotation[] = []
  #clients: ClientTable | undefined = undefined
  #signer: CookieSigner | undefined = undefined
  readonly #affinitySecret: Buffer
  /** That of the last snapshot that was made, which is or soon will be in force. */
  newestPool: object | undefined = undefined
  /** By their keys: those in use, and those that are still busy. */
  readonly endpoints: Map<string, EndpointState> = new Map()
  /** Counts up where a pool may have to choose its candidates anew. */
  version: number = 0
  readonly #settings: () => Settings
  #overrides: PolicyOverrides | undefined = undefined
  /** What `#policy` was made of. */
  #defaults: UpstreamPolicy | undefined = undefined
  #policy: UpstreamPolicy | undefined = undefined

  constructor(key: UpstreamKey, { settings, clock, affinitySecret }: UpstreamSurroundings) {
    this.key = key
    this.clock = clock
    this.#settings = settings
    this.#affinitySecret = affinitySecret
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

  /** The one in force. */
  get policy(): UpstreamPolicy {
    const defaults = this.#settings().upstream
    if (this.#policy === undefined || defaults !== this.#defaults) {
      this.#policy = mergePolicy(defaults, this.#overrides)
      this.#defaults = defaults
    }
    return this.#policy
  }

  /** What is otherwise than in the settings from now on. */
  override(overrides: PolicyOverrides | undefined): void {
    this.#overrides = overrides
    this.#policy = undefined
  }
}
