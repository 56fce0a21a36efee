/** Resources from a text in memory: standard input, or manifests that a program makes. */
import { type Clock, systemClock } from '../base/clock.ts'
import { DiagnosticList } from '../base/diagnostics.ts'
import { sourceFromText } from '../source/read-source.ts'
import { type Content, chooseParser } from './content.ts'
import type { ChangeListener, Manifests, Provider, Watch } from './provider.ts'
import { readVersion, type Version } from './version.ts'

export type TextProviderOptions = Readonly<{
  /** The name shown to people; positions show it in angle brackets: `<stdin>:3:1`. */
  name: string
  /** YAML or JSON, any number of documents. */
  text: string
  clock?: Clock
  /** Set if a text without objects is an error: what to say, and what to do about it. */
  ifEmpty?: Readonly<{ message: string; help: string }>
}>

/**
 * Holds a text of manifests. A text that is refused leaves the earlier one in force, as a file would.
 *
 * ```ts
 * const shop = new TextProvider({ name: 'shop', text: JSON.stringify(ingress) })
 * const gateway = await createGateway({ sources: [], providers: [shop], flags: {}, environment: process.env })
 * await gateway.start()
 * shop.set([service, ingress].map((object) => JSON.stringify(object)).join('\n---\n')) // takes effect within milliseconds
 * ```
 */
export class TextProvider implements Provider {
  readonly #options: TextProviderOptions
  readonly #listeners = new Set<ChangeListener>()
  #text: string
  #version: Version | undefined

  constructor(options: TextProviderOptions) {
    this.#options = options
    this.#text = options.text
  }

  /** Replaces the text; a gateway that watches takes it up. */
  set(text: string): void {
    this.#text = text
    for (const { onChange } of this.#listeners) onChange(false)
  }

  async read(): Promise<Manifests> {
    const { name, clock = systemClock } = this.#options
    const source = sourceFromText(`<${name}>`, this.#text)
    const previous = this.#version
    const parser = chooseParser([source.text.length])
    try {
      this.#version = await readVersion(source, parser, previous, clock.now())
    } finally {
      await parser.close()
    }
    const { hash, content, kept } = this.#version
    return {
      resources: content.resources,
      refused: content.refused,
      settings: content.settings,
      diagnostics: [...this.#complain(content), ...(kept?.reasons ?? [])],
      kept: kept ? [kept] : [],
      files: 1,
      objects: content.objects,
      changed: hash === previous?.hash ? [] : [source.name],
      fingerprint: hash,
    }
  }

  async watch(listener: ChangeListener): Promise<Watch> {
    this.#listeners.add(listener)
    return { close: () => this.#listeners.delete(listener) }
  }

  describe(): string {
    return this.#options.name
  }

  #complain({ isGood, objects, diagnostics }: Content): Manifests['diagnostics'] {
    const { ifEmpty } = this.#options
    if (!ifEmpty || !isGood || objects > 0) return diagnostics
    const problems = new DiagnosticList()
    problems.add('PORTICO_FILE_EMPTY', ifEmpty.message, { severity: 'error', help: ifEmpty.help })
    return problems.items
  }
}
