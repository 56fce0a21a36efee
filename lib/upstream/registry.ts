/** All endpoints that any snapshot uses, kept over reloads with their connections, counts and rotation. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls'
import type { Clock } from '../base/clock.ts'
import { DeadlineWatch } from '../base/deadline.ts'
import { runAtOnce } from '../base/slice.ts'
import type { Endpoint, Upstream, UpstreamKey } from '../model/upstream.ts'
import type { Settings } from '../settings-table.ts'
import type { UpstreamTls } from './connect.ts'
import { type EndpointIdentity, EndpointState, type EndpointSurroundings } from './endpoint.ts'
import { UpstreamPool } from './pool.ts'
import { NameResolver, type Resolve, resolveName } from './resolver.ts'
import { Rotation } from './round-robin.ts'

export type RegistryOptions = {
  /** The settings in force; read at each use. */
  settings: () => Settings
  clock: Clock
  /** How names become addresses; given by tests. */
  resolve?: Resolve
}

const MIN_TLS_VERSION = 'TLSv1.2'

export class EndpointRegistry {
  readonly #settings: () => Settings
  readonly #surroundings: EndpointSurroundings
  readonly #endpoints = new Map<string, EndpointState>()
  readonly #rotations = new Map<UpstreamKey, Rotation>()
  readonly #names: NameResolver
  #authorities: { file: string; context: SecureContext } | undefined
  /** The authorities of the system; made once, since each costs a parse of all of them. */
  #systemContext: SecureContext | undefined
  #used: ReadonlySet<EndpointState> = new Set()

  constructor(options: RegistryOptions) {
    this.#settings = options.settings
    this.#names = new NameResolver(options.resolve ?? resolveName, options.clock)
    this.#surroundings = {
      settings: options.settings,
      clock: options.clock,
      watch: new DeadlineWatch(options.clock),
      names: this.#names,
      tls: (serverName) => this.#tls(serverName),
    }
  }

  /** A pool over the endpoints' lasting states. */
  pool(upstream: Upstream): UpstreamPool {
    const states = upstream.endpoints.map((endpoint) => this.#endpoint(identify(upstream, endpoint, this.#settings())))
    let rotation = this.#rotations.get(upstream.key)
    if (!rotation) {
      rotation = new Rotation()
      this.#rotations.set(upstream.key, rotation)
    }
    return new UpstreamPool(upstream, states, rotation)
  }

  /** Forgets endpoints that none of these pools uses: at once if they are idle, else at a later call. */
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
    this.#used = used
    for (const key of this.#rotations.keys()) if (!keys.has(key)) this.#rotations.delete(key)
    for (const state of this.#endpoints.values()) {
      this.#forgetIfUnused(state)
      yield
    }
  }

  /** Every endpoint in use or still busy. */
  states(): Iterable<EndpointState> {
    return this.#endpoints.values()
  }

  async close(): Promise<void> {
    for (const state of this.#endpoints.values()) state.close()
    this.#endpoints.clear()
  }

  #endpoint(identity: EndpointIdentity): EndpointState {
    let state = this.#endpoints.get(identity.key)
    if (!state) {
      state = new EndpointState(identity, this.#surroundings)
      this.#endpoints.set(identity.key, state)
    }
    return state
  }

  #forgetIfUnused(state: EndpointState): void {
    if (this.#used.has(state) || !state.isIdle) return
    state.close()
    this.#endpoints.delete(state.key)
    if (isIP(state.identity.host) === 0) this.#names.forget(state.identity.host)
  }

  #tls(serverName: string): UpstreamTls {
    const { verifyTls, caFile } = this.#settings().upstream
    this.#systemContext ??= createSecureContext({ minVersion: MIN_TLS_VERSION })
    if (caFile === '') return { serverName, verify: verifyTls, secureContext: this.#systemContext }
    if (this.#authorities?.file !== caFile) {
      const context = readAuthorities(caFile)
      // An unreadable file never makes verification laxer: only the system's authorities are left.
      if (!context) return { serverName, verify: verifyTls, secureContext: this.#systemContext }
      this.#authorities = { file: caFile, context }
    }
    return { serverName, verify: verifyTls, secureContext: this.#authorities.context }
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
  const key = `${protocol} ${host} ${port} ${serverName}${guarded ? ' guarded' : ''}`
  return { key, protocol, host, port, serverName, guarded }
}
