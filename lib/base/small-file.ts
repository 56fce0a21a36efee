/** Small regular files that settings name. They are checked for changes while they are in use. */
import { readFileSync, type Stats, statSync } from 'node:fs'

/** Throws an Error that says why the file cannot be used, with Node's error as its cause. */
export function examineFile(path: string): Stats {
  const stats = perform(path, () => statSync(path))
  // Reading a pipe or a device would block this process, and all its traffic.
  if (!stats.isFile()) throw new Error(`${path} is not a file`)
  return stats
}

/** Throws like `examineFile`, and if the file has more than `most` bytes. */
export function readSmallFile(path: string, { size }: Stats, most: number): string {
  if (size > most) throw new Error(`${path} is too large: more than ${most} bytes`)
  return perform(path, () => readFileSync(path, 'utf8'))
}

/** The file's stamp, which differs as soon as the content may differ. */
export function stampOf({ dev, ino, size, mtimeMs, ctimeMs, mode }: Stats): string {
  return [dev, ino, size, mtimeMs, ctimeMs, mode].join(' ')
}

/** The message of the error that `read` throws; undefined if it throws none. */
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
