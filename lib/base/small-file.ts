/** Files that settings name: small regular ones, which are looked at again and again while they are in use. */
import { readFileSync, type Stats, statSync } from 'node:fs'

/** Throws an Error that says why it cannot be used, with Node's as its cause. */
export function examineFile(path: string): Stats {
  const stats = perform(path, () => statSync(path))
  // Reading a pipe or a device would keep this process, and all that it serves.
  if (!stats.isFile()) throw new Error(`${path} is no file`)
  return stats
}

/** Throws as `examineFile` does, and where it has more than `most` bytes. */
export function readSmallFile(path: string, { size }: Stats, most: number): string {
  if (size > most) throw new Error(`${path} is too large: more than ${most} bytes`)
  return perform(path, () => readFileSync(path, 'utf8'))
}

/** Another one where the file may hold something else. */
export function stampOf({ dev, ino, size, mtimeMs, ctimeMs, mode }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs, mode].join(' ')
}

/** What `read` throws, in words. */
export function findFault(read: () => unknown): string | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

function perform<T>(path: string, action: () => T): T {
  try {
    return action()
  } catch (error) {
    throw new Error(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error })
  }
}
