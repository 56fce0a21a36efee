/** The admin token, and its file. */
import type { Stats } from 'node:fs'
import { examineFile, findFault, readSmallFile } from './small-file.ts'

/** A longer file is not a token: the setting names a wrong file. */
const MAX_BYTES = 4096

/** A token as the value of an HTTP field can carry it (RFC 9110 section 5.5): bytes beyond ASCII mean different things to clients. */
export const TOKEN_FORM = {
  pattern: '^([!-~]([ -~]*[!-~])?)?$',
  form: 'visible ASCII characters, with spaces between them alone',
} as const

const TOKEN = new RegExp(TOKEN_FORM.pattern)

/** The token in the file, without white space around it. Throws an Error that says why the file holds no token. */
export function readTokenFile(path: string, stats: Stats = examineFile(path)): string {
  const token = readSmallFile(path, stats, MAX_BYTES).trim()
  if (token === '') throw new Error(`${path} holds no token`)
  if (/[\r\n]/.test(token)) throw new Error(`${path} holds more than one line`)
  if (!TOKEN.test(token)) throw new Error(`${path} holds a character that no HTTP field can carry`)
  return token
}

/** The reason why the file holds no token; undefined if it holds one. */
export function findTokenFault(path: string): string | undefined {
  return findFault(() => readTokenFile(path))
}
