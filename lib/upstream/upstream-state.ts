/** What an upstream remembers from snapshot to snapshot: the states of its endpoints, where its rotation stands, its policy. HOT */
import type { UpstreamKey } from '../model/upstream.ts'
import { mergePolicy, type PolicyOverrides, type UpstreamPolicy } from '../service-settings.ts'
import type { Settings } from '../settings-table.ts'
import type { EndpointState } from './endpoint.ts'
import { Rotation } from './round-robin.ts'

export class UpstreamState {
  readonly key: UpstreamKey
  readonly rotation: Rotation = new Rotation()
  /** By their keys: those in use, and those that are still busy. */
  readonly endpoints: Map<string, EndpointState> = new Map()
  /** Counts up where a pool may have to choose its candidates anew. */
  version: number = 0
  readonly #settings: () => Settings
  #overrides: PolicyOverrides | undefined = undefined
  /** What `#policy` was made of. */
  #defaults: UpstreamPolicy | undefined = undefined
  #policy: UpstreamPolicy | undefined = undefined

  constructor(key: UpstreamKey, settings: () => Settings) {
    this.key = key
    this.#settings = settings
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
