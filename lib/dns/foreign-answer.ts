/** Answers of other resolvers: matched to the question, checked to be well formed, and passed on byte for byte. */
import { FormatError, readName, skipName } from './name.ts'
import { HEADER_BYTES, type Query, type Question } from './query.ts'
import { A, AAAA, CNAME, type OwnedRecord } from './record.ts'

export type ForeignAnswer = Readonly<{ bytes: Buffer; code: number; isTruncated: boolean }>

const FIXED_RECORD_BYTES = 10
const RESPONSE = 0x8000
const OPCODE = 0x7800
const TRUNCATED = 0x0200
const RECURSION = 0x0180
/** A longer chain of aliases is not followed. */
const MAX_CHAIN = 16

/**
 * Undefined if the bytes do not answer the question: another id, another question, or not an answer. Throws a FormatError for a
 * malformed answer to the question.
 */
export function readForeignAnswer(bytes: Buffer, id: number, question: Question): ForeignAnswer | undefined {
  const end = HEADER_BYTES + question.bytes.length
  if (bytes.length < end || bytes.readUInt16BE(0) !== id) return undefined
  const flags = bytes.readUInt16BE(2)
  if ((flags & (RESPONSE | OPCODE)) !== RESPONSE || bytes.readUInt16BE(4) !== 1) return undefined
  if (!isSameQuestion(bytes.subarray(HEADER_BYTES, end), question.bytes)) return undefined
  let last = end
  for (const record of walk(bytes, end)) last = record.end
  if (last !== bytes.length) throw new FormatError('bytes follow the last record')
  return { bytes, code: flags & 0xf, isTruncated: (flags & TRUNCATED) !== 0 }
}

/** The answer for the client: with the client's id, and its question as the client wrote it. */
export function adaptAnswer({ bytes }: ForeignAnswer, query: Query): Buffer {
  const copy = Buffer.from(bytes)
  copy.writeUInt16BE(query.id, 0)
  copy.writeUInt16BE((copy.readUInt16BE(2) & ~RECURSION) | 0x0080 | (query.recursionDesired ? 0x0100 : 0), 2)
  query.question?.bytes.copy(copy, HEADER_BYTES)
  return copy
}

/** The aliases that begin at the question's name, and the addresses they lead to. A name that cannot be sent again ends the chain. */
export function collectAddresses({ bytes }: ForeignAnswer, question: Question): readonly OwnedRecord[] {
  const aliases = new Map<string, OwnedRecord & { target: string }>()
  const addresses: OwnedRecord[] = []
  const start = HEADER_BYTES + question.bytes.length
  let left = bytes.readUInt16BE(6)
  for (const { at, fixed, end } of walk(bytes, start)) {
    if (left-- === 0) break
    const type = bytes.readUInt16BE(fixed)
    const data = fixed + FIXED_RECORD_BYTES
    const size = type === A ? 4 : type === AAAA ? 16 : undefined
    if (type !== CNAME && (type !== question.type || size !== end - data)) continue
    const { name } = readName(bytes, at, true)
    const ttl = bytes.readUInt32BE(fixed + 4)
    if (type === CNAME) {
      const target = readName(bytes, data, true).name
      aliases.set(name, { name, ttl, data: { type, name: target }, target })
    } else if (type === A || type === AAAA) {
      addresses.push({ name, ttl, data: { type, address: Uint8Array.from(bytes.subarray(data, end)) } })
    }
  }
  const found: OwnedRecord[] = []
  let owner = question.name
  for (let link = 0; link < MAX_CHAIN; link++) {
    const alias = aliases.get(owner)
    if (alias === undefined || /[\\]/.test(alias.target)) break
    found.push({ name: alias.name, ttl: alias.ttl, data: alias.data })
    owner = alias.target
  }
  return [...found, ...addresses.filter(({ name }) => name === owner)]
}

type Place = Readonly<{ at: number; fixed: number; end: number }>

/** Every record behind the question. Throws a FormatError for a record that does not end within the message. */
function* walk(bytes: Buffer, start: number): Generator<Place> {
  const count = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  let at = start
  for (let index = 0; index < count; index++) {
    const fixed = skipName(bytes, at)
    if (fixed + FIXED_RECORD_BYTES > bytes.length) throw new FormatError('a record is cut short')
    const end = fixed + FIXED_RECORD_BYTES + bytes.readUInt16BE(fixed + 8)
    if (end > bytes.length) throw new FormatError('a record runs past the end')
    yield { at, fixed, end }
    at = end
  }
}

/** Compares byte for byte, except for the case of letters in the name, which some resolvers do not keep. */
function isSameQuestion(a: Buffer, b: Buffer): boolean {
  for (let index = 0; index < b.length; index++) {
    const left = a[index]!
    const right = b[index]!
    if (left === right) continue
    const isLetter = (left | 0x20) >= 0x61 && (left | 0x20) <= 0x7a
    if (!isLetter || (left | 0x20) !== (right | 0x20) || index >= b.length - 4) return false
  }
  return true
}
