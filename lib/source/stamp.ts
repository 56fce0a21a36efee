/** Stamps of files: a file whose stamp is the same has not changed, and need not be read again. */
import { type Stats, statSync, stat as statWithCallback } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Used for very many files: the `stat` of node:fs/promises costs twice as much. */
export const stat = promisify(statWithCallback)

/** Identity, size and times of a file. The stamp differs whenever the content may differ. */
export function printStamp({ dev, ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`
}

/** The stamp of the file that a path leads to, links followed; the error code if there is none. */
export async function readStamp(file: string): Promise<string> {
  try {
    return printStamp(await stat(file))
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

/** The same at once, for the few files that are read at once. */
export function readStampNow(file: string): string {
  try {
    return printStamp(statSync(file))
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

/** The identity of the folder that a path leads to. It changes when a volume is mounted or unmounted. Undefined if there is no folder. */
export async function identifyFolder(name: string): Promise<string | undefined> {
  const stats = await stat(name).catch(() => undefined)
  return stats?.isDirectory() ? identify(stats) : undefined
}

/** The size in a stamp, in bytes; 0 if there was no file. */
export function readSize(stamp: string): number {
  return Number(stamp.split(' ')[2] ?? 0)
}

/** A file changed again within the granularity of its time stamp would look unchanged. */
const SETTLE_MS = 2_000

/** True if a stamp taken at `now` is too young to rely on: another change could leave it the same. */
export function isUnsettled(stamp: string, now: number): boolean {
  const mtimeMs = stamp.split(' ')[3]
  return mtimeMs !== undefined && Math.abs(now - Number(mtimeMs)) < SETTLE_MS
}

/** The stamp of a regular file with a single name; undefined for anything else, or nothing. */
export async function readPlainStamp(file: string): Promise<string | undefined> {
  const stats = await lstat(file).catch(() => undefined)
  return stats?.isFile() && stats.nlink === 1 ? printStamp(stats) : undefined
}

/** The same for every path that leads to a file or folder. */
export function identify(stats: Stats): string {
  return `${stats.dev}:${stats.ino}`
}
