/** The files that `-f` and `-c` name. While they are watched, a read looks at those alone of which events told. */
import type { Clock } from '../../base/clock.ts'
import { printCount } from '../../base/count.ts'
import type { ChangeListener, Manifests, Provider, ReadRequest, Watch } from '../provider.ts'
import { FileReader } from './file-reader.ts'
import { FileWatch } from './file-watch.ts'

export type FileProviderOptions = Readonly<{
  /** Files, folders and globs, in order. */
  sources: readonly string[]
  clock: Clock
}>

export class FileProvider implements Provider {
  readonly #reader: FileReader
  #files = 0
  #stamps: ReadonlyMap<string, string> = new Map()
  #watch: FileWatch | undefined
  /** The paths that events named since the last read began; undefined if a change may be anywhere. */
  #changed: Set<string> | undefined
  /** The paths that are being written in place, and were not replaced since. */
  readonly #written = new Set<string>()

  constructor(options: FileProviderOptions) {
    this.#reader = new FileReader(options)
  }

  async read({ limits, isForced }: ReadRequest): Promise<Manifests> {
    const hints = isForced ? undefined : this.#changed
    this.#changed = this.#watch ? new Set() : undefined
    this.#written.clear()
    try {
      const { stamps, ...manifests } = await this.#reader.read(limits, hints)
      this.#files = manifests.files
      this.#stamps = stamps
      void this.#watch?.update(stamps)
      return manifests
    } catch (error) {
      this.#changed = undefined
      throw error
    }
  }

  async watch({ onChange, onTrouble }: ChangeListener): Promise<Watch> {
    const watch = new FileWatch({
      onChange: (path, isWritten = false) => {
        this.#note(path, isWritten)
        onChange(this.#written.size > 0)
      },
      onFallback: (reason) =>
        onTrouble('no events for some folders: changes of files there are seen within seconds', reason),
    })
    this.#watch = watch
    // A change since the last read differs from its stamps, which the watch compares.
    this.#changed = new Set()
    await watch.update(this.#stamps)
    return {
      close: () => {
        watch.close()
        this.#watch = undefined
        this.#changed = undefined
      },
    }
  }

  describe(): string {
    return printCount(this.#files, 'file')
  }

  #note(path: string | undefined, isWritten: boolean): void {
    if (path === undefined) this.#changed = undefined
    else {
      this.#changed?.add(path)
      if (isWritten) this.#written.add(path)
      else this.#written.delete(path)
    }
  }
}
