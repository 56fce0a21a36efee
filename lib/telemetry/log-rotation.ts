/**
 * Rotation of a log file by its size: `access.log` becomes `access.log.1`, that one `access.log.2`, and the oldest is deleted. One
 * process does it; those that write go on in the old file until they open the new one.
 */
import { rename, rm, stat } from 'node:fs/promises'
import { Trouble } from './trouble.ts'

const TICK = 1_000

export type LogRotationOptions = Readonly<{
  path: string
  /** As the settings in force have them; 0 bytes: no rotation. */
  limits: () => Readonly<{ bytes: number; oldFiles: number }>
  /** The name is free: the file is to be opened anew. */
  onRotated: () => void
  onTrouble: (reason: string) => void
  /** Milliseconds between two looks at the size; given by tests. */
  tickMs?: number
}>

export class LogRotation {
  readonly #options: LogRotationOptions
  readonly #timer: NodeJS.Timeout
  #isBusy = false
  readonly #trouble: Trouble

  constructor(options: LogRotationOptions) {
    this.#options = options
    this.#trouble = new Trouble(options.onTrouble)
    this.#timer = setInterval(() => void this.look(), options.tickMs ?? TICK).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Rotates if the file has grown too large. */
  async look(): Promise<void> {
    const { path, limits, onRotated } = this.#options
    const { bytes, oldFiles } = limits()
    if (bytes === 0 || this.#isBusy) return
    this.#isBusy = true
    try {
      const found = await stat(path).catch(() => undefined)
      if (found?.isFile() && found.size >= bytes) {
        await shift(path, oldFiles)
        onRotated()
        this.#trouble.end()
      }
    } catch (error) {
      this.#trouble.meet(error as Error)
    } finally {
      this.#isBusy = false
    }
  }
}

async function shift(path: string, oldFiles: number): Promise<void> {
  // With a smaller limit than before there may be several; gaps end the search.
  for (let number = oldFiles + 1; await exists(`${path}.${number}`); number++) await rm(`${path}.${number}`)
  for (let number = oldFiles; number > 0; number--) {
    const from = number === 1 ? path : `${path}.${number - 1}`
    if (await exists(from)) await rename(from, `${path}.${number}`)
  }
  if (oldFiles === 0) await rm(path)
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
