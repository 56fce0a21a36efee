/** All upstreams and endpoints that any snapshot uses, kept over reloads with what is known of them. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { DeadlineWatch } from '../base/deadline.ts'
import { runAtOnce } from '../base/slice.ts'
import type { Endpoint, Upstream, UpstreamKey } from '../model/upstream.ts'
import type { UpstreamPolicy } from '../service-settings.ts'
import type { Settings } from '../settings-table.ts'
import type { UpstreamTls } from './connect.ts'
import { type EndpointIdentity, EndpointState, type EndpointSurroundings } from './endpoint.ts'
import { UpstreamPool } from './pool.ts'
import { NameResolver, type Resolve, resolveName } from './resolver.ts'
import { UpstreamState } from './upstream-state.ts'

export type RegistryOptions = {
  /** The settings in force; read at each use. */
  settings: () => Settings
  clock: Clock
  /** What affinity cookies are signed with: whoever has the same takes each other's. Left out: one of this registry's own. */
  affinitySecret?: Buffer
  /** How names become addresses; given by tests. */
  resolve?: Resolve
}

const SECRET_BYTES = 32
const MIN_TLS_VERSION = 'TLSv1.2'

export class EndpointRegistry {
  readonly #settings: () => Settings
  readonly #clock: Clock
  readonly #watch: DeadlineWatch
  readonly #affinitySecret: Buffer
  readonly #upstreams = new Map<UpstreamKey, UpstreamState>()
  readonly #names: NameResolver
  /** By file. */
  readonly #authorities = new Map<string, SecureContext>()
  /** The authorities of the system; made once, since each costs a parse of all of them. */
  #systemContext: SecureContext | undefined

  constructor(options: RegistryOptions) {
    const { settings, clock, affinitySecret = randomBytes(SECRET_BYTES), resolve = resolveName } = options
    this.#settings = settings
    this.#clock = clock
    this.#affinitySecret = affinitySecret
    this.#watch = new DeadlineWatch(clock)
    this.#names = new NameResolver(resolve, clock)
  }

  /** A pool over the endpoints' lasting states. */
  pool(upstream: Upstream): UpstreamPool {
    let state = this.#upstreams.get(upstream.key)
    if (!state) {
      state = new UpstreamState(upstream.key, {
        settings: this.#settings,
        clock: this.#clock,
        affinitySecret: this.#affinitySecret,
      })
      this.#upstreams.set(upstream.key, state)
    }
    state.override(upstream.policy)
    const surroundings = this.#surround(state)
    const settings = this.#settings()
    const states = upstream.endpoints.map((endpoint) => {
      const identity = identify(upstream, endpoint, settings)
      let known = state.endpoints.get(identity.key)
      if (!known) {
        known = new EndpointState(identity, surroundings)
        state.endpoints.set(identity.key, known)
      }
      return known
    })
    return new UpstreamPool(upstream, states, state)
  }

  /** Forgets upstreams and endpoints that none of these pools uses: at once if they are idle, else at a later call. */
  retain(pools: Iterable<UpstreamPool>): void {
    runAtOnce(this.retainInSteps(pools))
  }

  /** The same for many pools, to be run to its end (base/slice) before `pool` is called again. */
  *retainInSteps(pools: Iterable<UpstreamPool>): Generator<void, void> {
    const used = new Set<EndpointState>()
    const keys = new Set<UpstreamKey>()
    for (const pool of pools) {
      keys.add(pool.upstream.key)
      for (const state of pool.states) used.add(state)
      yield
    }
    for (const { key, endpoints } of this.#upstreams.values()) {
      for (const state of endpoints.values()) {
        if (used.has(state) || !state.isIdle) continue
        state.close()
        endpoints.delete(state.key)
        if (isIP(state.identity.host) === 0) this.#names.forget(state.identity.host)
      }
      if (endpoints.size === 0 && !keys.has(key)) this.#upstreams.delete(key)
      yield
    }
  }

  /** Every endpoint in use or still busy. */
  *states(): Iterable<EndpointState> {
    for (const { endpoints } of this.#upstreams.values()) yield* endpoints.values()
  }

  async close(): Promise<void> {
    for (const state of this.states()) state.close()
    this.#upstreams.clear()
  }

  #surround(state: UpstreamState): EndpointSurroundings {
    return {
      settings: this.#settings,
      policy: () => state.policy,
      clock: this.#clock,
      watch: this.#watch,
      names: this.#names,
      tls: (serverName) => this.#tls(serverName, state.policy),
    }
  }

  #tls(serverName: string, { verifyTls, caFile }: UpstreamPolicy): UpstreamTls {
    const secureContext = caFile === '' ? undefined : this.#readAuthorities(caFile)
    if (secureContext) return { serverName, verify: verifyTls, secureContext }
    this.#systemContext ??= createSecureContext({ minVersion: MIN_TLS_VERSION })
    return { serverName, verify: verifyTls, secureContext: this.#systemContext }
  }

  /** An unreadable file never makes verification laxer: then only the system's authorities are left. */
  #readAuthorities(file: string): SecureContext | undefined {
    const context = this.#authorities.get(file) ?? readAuthorities(file)
    if (context) this.#authorities.set(file, context)
    return context
  }
}

function readAuthorities(file: string): SecureContext | undefined {
  try {
    return createSecureContext({ minVersion: MIN_TLS_VERSION, ca: [...rootCertificates, readFileSync(file, 'utf8')] })
  } catch {
    return undefined
  }
}

/**
 * What tells endpoints apart. An https endpoint given by address is verified under its Service's DNS name
 * (`name.namespace.svc`), one given by name under that name.
 */
function identify(upstream: Upstream, endpoint: Endpoint, settings: Settings): EndpointIdentity {
  const { protocol, service } = upstream
  const { host, port } = endpoint
  const guarded = upstream.guardAddresses && !settings.externalNames.allowPrivate
  const serverName = protocol !== 'https' ? '' : isIP(host) === 0 ? host : `${service.name}.${service.namespace}.svc`
  const key = `${upstream.key} ${protocol} ${host} ${port} ${serverName}${guarded ? ' guarded' : ''}`
  return { key, upstream: upstream.key, protocol, host, port, serverName, guarded }
}
