/** Files of certificate authorities, in PEM. */
import { X509Certificate } from 'node:crypto'
import type { Stats } from 'node:fs'
import { examineFile, findFault, readSmallFile } from './small-file.ts'

/** All authorities of a system are a few hundred kilobytes. */
const MAX_BYTES = 4_194_304
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*(-----END CERTIFICATE-----)?/g

/** Its certificates, one at least. Throws an Error that says why it is no such file: half of one is none. */
export function readAuthorityFile(path: string, stats: Stats = examineFile(path)): readonly string[] {
  const found = readSmallFile(path, stats, MAX_BYTES).match(CERTIFICATE) ?? []
  if (found.length === 0) throw new Error(`${path} holds no certificate`)
  for (const [index, pem] of found.entries()) {
    try {
      new X509Certificate(pem)
    } catch (error) {
      throw new Error(`certificate ${index + 1} of ${path} is malformed`, { cause: error })
    }
  }
  return found
}

/** Why it is no such file; undefined where it is one. `''` is none at all. */
export function findAuthorityFault(path: string): string | undefined {
  return path === '' ? undefined : findFault(() => readAuthorityFile(path))
}
