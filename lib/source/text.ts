/** Decodes a file's bytes to text: UTF-8, with or without a byte order mark. All other content is refused with a reason. */
import { isUtf8 } from 'node:buffer'
import type { DiagnosticList } from '../base/diagnostics.ts'
import { veilPosition } from '../base/veil.ts'
import { SourceLines } from './lines.ts'
import { mayBeSecretText } from './secret-text.ts'

/** The text of a file, or a text in memory. */
export type SourceText = {
  /** The name shown to people: relative to the working directory if that is shorter; in angle brackets for a text in memory. */
  readonly name: string
  /** Absolute; undefined for a text in memory. */
  readonly path: string | undefined
  /** Lines end with a line feed, with or without a carriage return before it. */
  readonly text: string
  /** SHA-256 of the bytes, hex. */
  readonly hash: string
  /** True if nobody named the file: it lies in a folder or matches a pattern, so it need not be a manifest. */
  readonly inFolder?: boolean
}

/** Undefined, with a diagnostic, if the bytes are not UTF-8 text. `name` is the file as shown to people. */
export function decodeText(name: string, bytes: Buffer, diagnostics: DiagnosticList): string | undefined {
  if (isUtf16(bytes)) {
    diagnostics.add('PORTICO_FILE_BINARY', `${name} is UTF-16 text`, { help: 'save it as UTF-8' })
    return undefined
  }
  const start = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0
  const content = bytes.subarray(start)
  const encrypted = ENCRYPTED.find(([sign]) => content.subarray(0, sign.length).toString('latin1') === sign)
  if (encrypted) {
    diagnostics.add('PORTICO_FILE_BINARY', `${name} is encrypted by ${encrypted[1]}`, { help: encrypted[2] })
    return undefined
  }
  const bad = firstBadByte(content)
  if (bad === undefined) return toText(content)
  const data = describeData(content)
  if (data !== undefined) {
    diagnostics.add('PORTICO_FILE_BINARY', `${name} is ${data.what}`, { help: data.help })
    return undefined
  }
  const before = content.subarray(0, bad).toString('utf8')
  const byte = content[bad] === 0 ? 'a NUL byte' : `byte 0x${content[bad]?.toString(16).padStart(2, '0')}`
  const position = new SourceLines(name, `${before}\uFFFD`).position(before.length, before.length + 1)
  diagnostics.add('PORTICO_FILE_BINARY', `${name} is not text: ${byte} is not UTF-8`, {
    position: mayBeSecretText(before) ? veilPosition(position) : position,
    help: 'save it as UTF-8, or leave it out',
  })
  return undefined
}

/** Turns a lone carriage return into a line feed: it ends a line too (YAML 1.2 §5.4), which the library does not know. */
export function toText(content: Buffer): string {
  if (!content.includes(13)) return content.toString('utf8')
  const lines = Buffer.from(content)
  for (let at = 0; at < lines.length; at++) if (lines[at] === 13 && lines[at + 1] !== 10) lines[at] = 10
  return lines.toString('utf8')
}

function isUtf16(bytes: Buffer): boolean {
  return (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
}

const ENCRYPTED: readonly (readonly [start: string, by: string, help: string])[] = [
  ['\0GITCRYPT\0', 'git-crypt', 'decrypt the files of the repository: git-crypt unlock'],
  ['age-encryption.org/', 'age', 'decrypt it: age -d -i KEY FILE | portico run -f -'],
  ['-----BEGIN AGE ENCRYPTED FILE', 'age', 'decrypt it: age -d -i KEY FILE | portico run -f -'],
  ['$ANSIBLE_VAULT;', 'Ansible Vault', 'decrypt it: ansible-vault view FILE | portico run -f -'],
]
/** This many bytes tell binary data from text with a mistake in it. */
const SAMPLE = 1024
const MANY = 4

/** Names the kind of binary data, with help; undefined for text with a mistake in it. */
function describeData(bytes: Buffer): { what: string; help: string } | undefined {
  const start = bytes.subarray(0, SAMPLE).toString('latin1')
  const odd = start.match(/[\x00-\x08\x0e-\x1f\x7f]/g)?.length ?? 0
  // Every tenth of random bytes is one.
  if (odd < MANY || odd * 20 <= start.length) return undefined
  return { what: 'binary data, not text', help: 'decrypt or unpack it first, or leave it out' }
}

/** Offset of the first NUL or byte that is not UTF-8. */
function firstBadByte(bytes: Buffer): number | undefined {
  const nul = bytes.indexOf(0)
  if (nul === -1 && isUtf8(bytes)) return undefined
  const limit = nul === -1 ? bytes.length : nul
  return isUtf8(bytes.subarray(0, limit)) ? limit : firstInvalid(bytes, limit)
}

/** Finds the offset by halving the range: `[0, low)` is valid, and `[low, high)` holds an invalid byte. */
function firstInvalid(bytes: Buffer, limit: number): number {
  let low = 0
  let high = limit
  while (high - low > 4) {
    let middle = (low + high) >> 1
    // Back to the start of a character, at most four bytes long.
    for (let back = 0; back < 3 && ((bytes[middle] as number) & 0xc0) === 0x80; back++) middle--
    if (middle <= low) break
    if (isUtf8(bytes.subarray(low, middle))) low = middle
    else high = middle
  }
  for (let at = low; at < high; ) {
    const length = [1, 2, 3, 4].find((count) => isUtf8(bytes.subarray(at, at + count)) && at + count <= limit)
    if (length === undefined) return at
    at += length
  }
  return low
}
