/** The file of the admin token. */
import type { Stats } from 'node:fs'
import { examineFile, findFault, readSmallFile } from './small-file.ts'

/** Longer ones are no tokens: somebody named another file. */
const MAX_BYTES = 4096

/** What the file holds, without white space around it. Throws an Error that says why it is no token. */
export function readTokenFile(path: string, stats: Stats = examineFile(path)): string {
  const token = readSmallFile(path, stats, MAX_BYTES).trim()
  if (token === '') throw new Error(`${path} holds no token`)
  if (/[\0-\x1f\x7f]/.test(token)) throw new Error(`${path} holds more than one line`)
  return token
}

/** Why it is no token; undefined where it is one. */
export function findTokenFault(path: string): string | undefined {
  return findFault(() => readTokenFile(path))
}
