/** Several providers as one. A provider that fails keeps what it gave last, and the others go on. */
import type { Clock } from '../base/clock.ts'
import { type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { describeKept } from './kept.ts'
import type { ChangeListener, Manifests, Provider, ReadRequest, Watch } from './provider.ts'

/** What a provider gave when it last succeeded, and when. */
type LastGood = Readonly<{ manifests: Manifests; readAt: number }>

const NOTHING: Manifests = Object.freeze({
  resources: [],
  refused: [],
  settings: [],
  diagnostics: [],
  kept: [],
  files: 0,
  objects: 0,
  changed: [],
  fingerprint: '',
})

export class MergedProvider implements Provider {
  readonly #providers: readonly Provider[]
  readonly #clock: Clock
  readonly #lastGood = new Map<Provider, LastGood>()
  /** The providers in the midst of a change, by what they said last. */
  readonly #written = new Set<Provider>()

  constructor(providers: readonly Provider[], clock: Clock) {
    this.#providers = providers
    this.#clock = clock
  }

  async read(request: ReadRequest): Promise<Manifests> {
    this.#written.clear()
    const all = await Promise.all(this.#providers.map((provider) => this.#readOne(provider, request)))
    // Most often there is one, and its lists stay the same objects.
    const [only = NOTHING] = all
    if (all.length < 2) return only
    return {
      resources: all.flatMap(({ resources }) => resources),
      refused: all.flatMap(({ refused }) => refused),
      settings: all.flatMap(({ settings }) => settings),
      diagnostics: all.flatMap(({ diagnostics }) => diagnostics),
      kept: all.flatMap(({ kept }) => kept),
      files: all.reduce((sum, { files }) => sum + files, 0),
      objects: all.reduce((sum, { objects }) => sum + objects, 0),
      changed: all.flatMap(({ changed }) => changed),
      fingerprint: JSON.stringify(all.map(({ fingerprint }) => fingerprint)),
    }
  }

  async watch(listener: ChangeListener): Promise<Watch> {
    const watches = await Promise.all(this.#providers.map((provider) => this.#watchOne(provider, listener)))
    return {
      close: () => {
        for (const watch of watches) watch?.close()
      },
    }
  }

  describe(): string {
    return this.#providers.map((provider) => provider.describe()).join(', ')
  }

  async #readOne(provider: Provider, request: ReadRequest): Promise<Manifests> {
    try {
      const manifests = await provider.read(request)
      this.#lastGood.set(provider, { manifests, readAt: this.#clock.now() })
      return manifests
    } catch (error) {
      return this.#keep(provider, printError(error))
    }
  }

  #keep(provider: Provider, reason: string): Manifests {
    const name = provider.describe()
    const problem = describeFailure(name, reason)
    const last = this.#lastGood.get(provider)
    if (!last) return { ...NOTHING, diagnostics: [problem], fingerprint: reason }
    const { manifests, readAt } = last
    const kept = describeKept(name, readAt, [problem])
    return {
      ...manifests,
      diagnostics: [...manifests.diagnostics, ...kept.reasons],
      kept: [...manifests.kept, kept],
      changed: [],
      fingerprint: `${manifests.fingerprint} ${reason}`,
    }
  }

  async #watchOne(provider: Provider, listener: ChangeListener): Promise<Watch | undefined> {
    try {
      return await provider.watch({
        onChange: (isWritten) => {
          if (isWritten) this.#written.add(provider)
          else this.#written.delete(provider)
          listener.onChange(this.#written.size > 0)
        },
        onTrouble: listener.onTrouble,
      })
    } catch (error) {
      const message = `changes of ${provider.describe()} are not noticed: reload by SIGHUP`
      listener.onTrouble(message, printError(error))
      return undefined
    }
  }
}

function describeFailure(name: string, reason: string): Diagnostic {
  const problems = new DiagnosticList()
  problems.add('PORTICO_FILE_UNREADABLE', `${name} cannot be read: ${reason}`)
  return problems.items[0] as Diagnostic
}

function printError(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
