/** Puts the addresses of names into the upstreams of a configuration, and follows them while it is in force. */
import type { Upstream, UpstreamKey } from '../../model/upstream.ts'
import { resolveValue } from '../../settings/policy.ts'
import type { Settings } from '../../settings/table.ts'
import type { Log } from '../../telemetry/log.ts'
import type { UpstreamObserver, Upstreams } from '../observation.ts'
import { type AddressFamily, expandUpstream, listNames } from './expansion.ts'
import { HostsFile } from './hosts-file.ts'
import { type NameAnswer, type NameTimes, NameWatch, type NameWatchOptions } from './name-watch.ts'
import { NameResolver } from './resolver.ts'

export type NameObserverOptions = {
  readonly log: Log
  readonly onChange: () => void
  /** These three are given by tests. */
  readonly resolve?: NameWatchOptions['resolve']
  readonly hostsFile?: string
  readonly times?: Partial<NameTimes>
}

/** Names that are new may hold a configuration up for so long, milliseconds. */
const PATIENCE_MS = 1_000

/** An upstream with names, as it was expanded last, with all that went into it. */
type Expanded = Readonly<{
  source: Upstream
  answers: readonly NameAnswer[]
  family: AddressFamily
  upstream: Upstream
}>

export class NameObserver implements UpstreamObserver {
  readonly #log: Log
  readonly #resolver: NameResolver
  readonly #watch: NameWatch
  /** `resolver.servers` of the settings. */
  #servers: readonly string[] = []
  readonly #names = new WeakMap<Upstream, readonly string[]>()
  readonly #named = new WeakMap<Upstreams, readonly Upstream[]>()
  #expanded: ReadonlyMap<UpstreamKey, Expanded> = new Map()
  /** What was given last, and for what. */
  #last: Readonly<{ before: Upstreams; after: Upstreams }> | undefined
  /** Of configurations that are about to be in force. */
  readonly #preparing = new Set<ReadonlySet<string>>()
  #inForce: ReadonlySet<string> = new Set()
  #refused: ReadonlySet<string> = new Set()

  constructor(options: NameObserverOptions) {
    const { log, onChange, times, hostsFile } = options
    this.#log = log
    this.#resolver = new NameResolver({ hosts: new HostsFile(hostsFile), servers: () => this.#servers })
    this.#watch = new NameWatch({
      resolve: options.resolve ?? ((name, onFirst) => this.#resolver.resolve(name, onFirst)),
      hasChanged: () => this.#resolver.hasChanged(),
      log,
      onChange,
      ...(times && { times }),
    })
  }

  /** Asks for names that are new, so that a configuration need not serve without them; resolves after a second at the latest. */
  async prepare(upstreams: Upstreams, settings: Settings): Promise<void> {
    this.#useServers(settings)
    const names = this.#listAll(upstreams)
    this.#preparing.add(names)
    this.#retain()
    await this.#watch.settle(PATIENCE_MS)
    this.#preparing.delete(names)
  }

  observe(upstreams: Upstreams, settings: Settings): Upstreams {
    this.#useServers(settings)
    this.#inForce = this.#listAll(upstreams)
    this.#retain()
    const expanded = new Map<UpstreamKey, Expanded>()
    let isOther = this.#last?.before !== upstreams
    for (const upstream of this.#findNamed(upstreams)) {
      const before = this.#expanded.get(upstream.key)
      const now = this.#expand(upstream, settings, before)
      expanded.set(upstream.key, now)
      isOther ||= now !== before
    }
    this.#expanded = expanded
    if (!isOther && this.#last !== undefined) return this.#last.after
    const after = expanded.size === 0 ? upstreams : new Map(upstreams)
    for (const [key, { upstream }] of expanded) (after as Map<UpstreamKey, Upstream>).set(key, upstream)
    this.#last = { before: upstreams, after }
    return after
  }

  /** Requests to an address of the name fail: it may lead elsewhere by now, whatever its TTL. */
  doubt(name: string): void {
    this.#watch.doubt(name)
  }

  /** Why the name may not have the address any more that it had before; undefined where it has. */
  whyStale(name: string, address: string): string | undefined {
    return this.#watch.whyStale(name.toLowerCase(), address)
  }

  close(): void {
    this.#watch.close()
    this.#resolver.close()
  }

  #useServers({ resolver: { servers } }: Settings): void {
    if (servers.join() === this.#servers.join()) return
    this.#servers = servers
    this.#watch.refresh()
  }

  #retain(): void {
    this.#watch.retain(new Set([this.#inForce, ...this.#preparing].flatMap((names) => [...names])))
  }

  #listAll(upstreams: Upstreams): ReadonlySet<string> {
    return new Set(this.#findNamed(upstreams).flatMap((upstream) => this.#namesOf(upstream)))
  }

  #findNamed(upstreams: Upstreams): readonly Upstream[] {
    let named = this.#named.get(upstreams)
    if (named === undefined) {
      named = [...upstreams.values()].filter((upstream) => this.#namesOf(upstream).length > 0)
      this.#named.set(upstreams, named)
    }
    return named
  }

  #namesOf(upstream: Upstream): readonly string[] {
    let names = this.#names.get(upstream)
    if (names === undefined) {
      names = listNames(upstream)
      this.#names.set(upstream, names)
    }
    return names
  }

  #expand(source: Upstream, settings: Settings, before: Expanded | undefined): Expanded {
    const answers = this.#namesOf(source).map((name) => this.#watch.get(name))
    const family = resolveValue(settings.upstream.addressFamily, source.policy, 'addressFamily')
    const isSame =
      before?.source === source &&
      before.family === family &&
      answers.every((answer, index) => answer === before.answers[index])
    if (isSame) return before
    const { upstream, refused } = expandUpstream(source, (name) => this.#watch.get(name), family)
    this.#reportRefused(source, refused)
    return { source, answers, family, upstream }
  }

  /** Each address once for as long as the name leads there. */
  #reportRefused({ key }: Upstream, refused: readonly string[]): void {
    const prefix = `${key} `
    const now = refused.map((address) => prefix + address)
    const isNew = now.some((line) => !this.#refused.has(line))
    this.#refused = new Set([...[...this.#refused].filter((line) => !line.startsWith(prefix)), ...now])
    if (isNew) this.#log.warn({ upstream: key, refused }, 'addresses that an ExternalName may not lead to')
  }
}
