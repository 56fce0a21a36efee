/** All upstreams and endpoints that any snapshot uses, kept over reloads with what is known of them. */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import { DeadlineWatch } from '../../base/deadline.ts'
import { runAtOnce } from '../../base/slice.ts'
import { findEndpointKey } from '../../model/endpoint-key.ts'
import {
  dropScope,
  type Endpoint,
  type EndpointTrouble,
  findPlainKey,
  type Upstream,
  type UpstreamKey,
} from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { Settings } from '../../settings/table.ts'
import { type EndpointIdentity, EndpointState, type EndpointSurroundings } from '../endpoint/endpoint.ts'
import { Authorities, type AuthorityNews } from '../transport/authorities.ts'
import type { UpstreamTls } from '../transport/connect.ts'
import { IdlePrivates } from '../transport/private-connections.ts'
import { chooseCandidates } from './candidates.ts'
import type { CircuitFlip, CircuitState } from './circuit.ts'
import { UpstreamPool } from './pool.ts'
import { markService } from './session-cookie.ts'
import { UpstreamState } from './upstream-state.ts'

export type RegistryOptions = {
  /** The settings in force, for connections; read at each use. */
  settings: () => Settings
  clock: Clock
  /** The secret that affinity cookies are signed with: processes that share it accept each other's cookies. Left out: a secret of this registry alone. */
  affinitySecret?: Buffer
  /** Requests to an endpoint fail more often than its policy allows. */
  onTrouble?: (trouble: EndpointTrouble) => void
  /** A circuit breaker changed its state. */
  onCircuit?: (flip: CircuitFlip) => void
  /** A file of authorities was read anew, or cannot be used. */
  onAuthorities?: (news: AuthorityNews) => void
}

const SECRET_BYTES = 32
/** Between two looks at files of authorities, milliseconds. */
const LOOK_MS = 1_000

export class EndpointRegistry {
  readonly #settings: () => Settings
  readonly #clock: Clock
  readonly #onTrouble: (trouble: EndpointTrouble) => void
  readonly #watch: DeadlineWatch
  readonly #affinitySecret: Buffer
  /** By key and protocol: where that changes, no connection is taken over. */
  readonly #upstreams = new Map<string, UpstreamState<UpstreamPool>>()
  readonly #onCircuit: (flip: CircuitFlip) => void
  readonly #authorities: Authorities
  readonly #idlePrivates = new IdlePrivates()
  #looker: NodeJS.Timeout | undefined

  constructor(options: RegistryOptions) {
    const { settings, clock, affinitySecret = randomBytes(SECRET_BYTES) } = options
    const { onTrouble = () => {}, onCircuit = () => {}, onAuthorities } = options
    this.#settings = settings
    this.#clock = clock
    this.#affinitySecret = affinitySecret
    this.#onTrouble = onTrouble
    this.#watch = new DeadlineWatch(clock)
    this.#onCircuit = onCircuit
    this.#authorities = new Authorities(onAuthorities)
  }

  /**
   * A pool over the endpoints' lasting states, which go by it when it enters. A plain one passes bytes on as they come, so that
   * TLS to an https endpoint is the client's own.
   */
  pool(spoken: Upstream, policy: UpstreamPolicy, isPlain = false): UpstreamPool {
    const isOther = isPlain && spoken.protocol === 'https'
    const upstream: Upstream = isOther ? { ...spoken, protocol: 'http' } : spoken
    const key = isOther ? findPlainKey(upstream.key) : upstream.key
    const spokenKey = findSpokenKey(key, upstream)
    let state = this.#upstreams.get(spokenKey)
    if (!state) {
      state = new UpstreamState<UpstreamPool>(key, upstream.transport === 'UDP', policy, {
        clock: this.#clock,
        affinitySecret: this.#affinitySecret,
        onFlip: this.#onCircuit,
      })
      this.#upstreams.set(spokenKey, state)
    }
    const surroundings = this.#surround(state)
    const states = upstream.endpoints.map((endpoint) => {
      const identity = identify(key, upstream, endpoint)
      let known = state.endpoints.get(identity.key)
      if (!known) {
        known = new EndpointState(identity, surroundings)
        state.add(known)
      }
      return known
    })
    return new UpstreamPool(upstream, policy, states, chooseCandidates(upstream, states), state)
  }

  /** What cookies say of a Service, `default/web`. */
  markService(service: string): string {
    return markService(this.#affinitySecret, service)
  }

  /** Forgets upstreams and endpoints that none of these pools uses: at once if they are idle, else at a later call. */
  retain(pools: Iterable<UpstreamPool>): void {
    runAtOnce(this.retainInSteps(pools))
  }

  /** The same for many pools, to be run to its end (base/slice) before `pool` is called again. */
  *retainInSteps(pools: Iterable<UpstreamPool>): Generator<void, void> {
    const used = new Set<EndpointState>()
    const keys = new Set<string>()
    for (const pool of pools) {
      keys.add(findSpokenKey(pool.key, pool.upstream))
      for (const state of pool.states) used.add(state)
      yield
    }
    const files = new Set<string>()
    const secrets = new Set<string>()
    for (const [key, { endpoints, policy, tls }] of this.#upstreams) {
      if (policy.caFile !== '') files.add(policy.caFile)
      if (tls !== undefined) secrets.add(tls.digest)
      for (const state of endpoints.values()) {
        if (used.has(state) || !state.isIdle) continue
        state.close()
        endpoints.delete(state.key)
      }
      if (endpoints.size === 0 && !keys.has(key)) this.#upstreams.delete(key)
      yield
    }
    this.#authorities.retain(files, secrets)
    if (files.size > 0) this.#looker ??= setInterval(this.#lookAtAuthorities, LOOK_MS).unref()
    else this.#endLooks()
  }

  /** Every endpoint in use or still busy. */
  *states(): Iterable<EndpointState> {
    for (const { endpoints } of this.#upstreams.values()) yield* endpoints.values()
  }

  /** Closes the circuits of a port, whichever traffic they are for. */
  closeCircuits(port: UpstreamKey, reason: string): void {
    for (const { key, circuit } of this.#upstreams.values()) if (dropScope(key) === port) circuit?.close(reason)
  }

  /** The circuits that are not closed. */
  *circuits(): Iterable<readonly [UpstreamKey, CircuitState]> {
    for (const { key, circuit } of this.#upstreams.values()) {
      if (circuit && circuit.state !== 'closed') yield [key, circuit.state]
    }
  }

  /** Requests that wait for a place, where any do. */
  *queued(): Iterable<readonly [UpstreamKey, number]> {
    for (const { key, queue } of this.#upstreams.values()) if (queue.size > 0) yield [key, queue.size]
  }

  async close(): Promise<void> {
    for (const state of this.states()) state.close()
    this.#upstreams.clear()
    this.#endLooks()
  }

  /** Connections that were made when others were trusted carry no new requests. */
  #lookAtAuthorities = (): void => {
    if (!this.#authorities.look()) return
    for (const state of this.states()) state.reconsider()
  }

  #endLooks(): void {
    clearInterval(this.#looker)
    this.#looker = undefined
  }

  #surround(state: UpstreamState<UpstreamPool>): EndpointSurroundings {
    return {
      settings: this.#settings,
      policy: () => state.policy,
      clock: this.#clock,
      watch: this.#watch,
      idlePrivates: this.#idlePrivates,
      queue: state.queue,
      tls: (serverName) => this.#tls(serverName, state),
      onTrouble: this.#onTrouble,
    }
  }

  #tls(serverName: string, { policy, tls }: UpstreamState<UpstreamPool>): UpstreamTls {
    const { verifyTls, caFile } = policy
    return { serverName, verify: verifyTls, secureContext: this.#authorities.context(caFile, tls) }
  }
}

function findSpokenKey(key: UpstreamKey, { protocol }: Upstream): string {
  return `${key} ${protocol}`
}

/**
 * An endpoint with how it is reached. An https endpoint given by address is verified under its Service's DNS name
 * (`name.namespace.svc`), one given by name under that name, and one of a URL under the host of the URL.
 */
function identify(key: UpstreamKey, upstream: Upstream, endpoint: Endpoint): EndpointIdentity {
  const { protocol, service } = upstream
  const { host, port, name = '' } = endpoint
  const serverName =
    protocol === 'https' ? name || (service.kind === 'URL' ? host : `${service.name}.${service.namespace}.svc`) : ''
  return { key: findEndpointKey(key, endpoint), upstream: upstream.key, protocol, host, port, name, serverName }
}
