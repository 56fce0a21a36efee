/** Files of certificate authorities, in PEM. */
import { X509Certificate } from 'node:crypto'
import type { Stats } from 'node:fs'
import { examineFile, findFault, readSmallFile } from './small-file.ts'

/** The authorities of a whole system take a few hundred kilobytes. */
const MAX_BYTES = 4_194_304
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*(-----END CERTIFICATE-----)?/g

/** The file's certificates, at least one. Throws an Error with the reason if the file is not one of certificates, or is cut short. */
export function readAuthorityFile(path: string, stats: Stats = examineFile(path)): readonly string[] {
  return readAuthorities(readSmallFile(path, stats, MAX_BYTES), path)
}

/** The certificates of a text, which messages call `name`. Throws as for a file. */
export function readAuthorities(text: string, name: string): readonly string[] {
  const found = text.match(CERTIFICATE) ?? []
  if (found.length === 0) throw new Error(`${name} holds no certificate`)
  for (const [index, pem] of found.entries()) {
    try {
      new X509Certificate(pem)
    } catch (error) {
      throw new Error(`certificate ${index + 1} of ${name} is malformed`, { cause: error })
    }
  }
  return found
}

/** The reason why the file cannot be used; undefined if it can. `''` names no file and is accepted. */
export function findAuthorityFault(path: string): string | undefined {
  return path === '' ? undefined : findFault(() => readAuthorityFile(path))
}
