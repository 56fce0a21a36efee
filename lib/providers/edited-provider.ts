/** Another provider's manifests with other texts in the place of some of its files: what they will be once these are written. */

import type { Manifests, Provider, ReadRequest, Watch } from './provider.ts'
import { TextProvider } from './text-provider.ts'

export class EditedProvider implements Provider {
  readonly #base: Provider
  readonly #texts: ReadonlyMap<string, string>

  /** `texts` are the texts by the names of files as shown to people. */
  constructor(base: Provider, texts: ReadonlyMap<string, string>) {
    this.#base = base
    this.#texts = texts
  }

  async read(request: ReadRequest): Promise<Manifests> {
    const base = await this.#base.read(request)
    const edited: Manifests[] = []
    for (const [name, text] of this.#texts) edited.push(await new TextProvider({ name, text }).read())
    const isLeft = ({ origin }: Readonly<{ origin: Readonly<{ file: string }> }>): boolean =>
      !this.#texts.has(origin.file)
    return {
      ...base,
      resources: [...base.resources.filter(isLeft), ...edited.flatMap(({ resources }) => resources)],
      refused: [...base.refused.filter(isLeft), ...edited.flatMap(({ refused }) => refused)],
      settings: [...base.settings.filter(isLeft), ...edited.flatMap(({ settings }) => settings)],
      diagnostics: [...base.diagnostics, ...edited.flatMap(({ diagnostics }) => diagnostics)],
      fingerprint: [base, ...edited].map(({ fingerprint }) => fingerprint).join(' '),
    }
  }

  /** It is read once. */
  async watch(): Promise<Watch> {
    return { close: () => {} }
  }

  describe(): string {
    return this.#base.describe()
  }
}
