/** The file of the admin token. */
import type { Stats } from 'node:fs'
import { examineFile, findFault, readSmallFile } from './small-file.ts'

/** A longer file is not a token: the setting names a wrong file. */
const MAX_BYTES = 4096

/** The token in the file, without white space around it. Throws an Error that says why the file holds no token. */
export function readTokenFile(path: string, stats: Stats = examineFile(path)): string {
  const token = readSmallFile(path, stats, MAX_BYTES).trim()
  if (token === '') throw new Error(`${path} holds no token`)
  if (/[\0-\x1f\x7f]/.test(token)) throw new Error(`${path} holds more than one line`)
  return token
}

/** The reason why the file holds no token; undefined if it holds one. */
export function findTokenFault(path: string): string | undefined {
  return findFault(() => readTokenFile(path))
}
