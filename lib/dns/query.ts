/**
 * Reads queries strictly: a message either is one well-formed question or is answered with an error. The reader is our own, since
 * dns-packet decodes labels as UTF-8 (but the bytes of a question must come back unchanged), does not check the lengths of
 * records, and cannot compress names in answers.
 */
import { FormatError, readName, skipName } from './name.ts'
import { BADVERS, FORMERR, NOTIMP, OPT, REFUSED } from './record.ts'

export type Question = Readonly<{
  /** The name as text (name.ts). */
  name: string
  type: number
  /** Name, type and class as received: answers repeat them byte for byte, with their case. */
  bytes: Buffer
}>

/** The client's EDNS(0) (RFC 6891). */
export type Edns = Readonly<{ payload: number; dnssecOk: boolean }>

export type Query = Readonly<{
  id: number
  opcode: number
  recursionDesired: boolean
  checkingDisabled: boolean
  /** Undefined if the query is malformed before the end of its question. */
  question: Question | undefined
  edns: Edns | undefined
}>

/** `code` is the RCODE of a query that is answered with an error alone. */
export type ReadQuery = Readonly<{ query: Query; code: number | undefined }>

export const HEADER_BYTES = 12
const IN = 1
const FIXED_RECORD_BYTES = 10
/** Transfers of zones (RFC 5936, RFC 1995), which are refused. */
const TRANSFERS: ReadonlySet<number> = new Set([251, 252])
/** QTYPEs beside ANY that name no type of data: mailboxes (RFC 1035 §3.2.3), and types that only sign or control a message. */
const UNKNOWN_QUESTIONS: ReadonlySet<number> = new Set([249, 250, 253, 254])

/** Undefined for a message that is not a query. It gets no answer, since answers to answers could go round for ever. */
export function readQuery(message: Buffer): ReadQuery | undefined {
  if (message.length < HEADER_BYTES) return undefined
  const flags = message.readUInt16BE(2)
  if ((flags & 0x8000) !== 0) return undefined
  const opcode = (flags >> 11) & 0xf
  const header = {
    id: message.readUInt16BE(0),
    opcode,
    recursionDesired: (flags & 0x0100) !== 0,
    checkingDisabled: (flags & 0x0010) !== 0,
  }
  const bare = { ...header, question: undefined, edns: undefined }
  if (opcode !== 0) return { query: bare, code: NOTIMP }
  try {
    return readBody(message, header)
  } catch (error) {
    if (error instanceof FormatError) return { query: bare, code: FORMERR }
    throw error
  }
}

function readBody(message: Buffer, header: Omit<Query, 'question' | 'edns'>): ReadQuery {
  if (message.readUInt16BE(4) !== 1) throw new FormatError('not one question')
  const { name, end } = readName(message, HEADER_BYTES, false)
  if (end + 4 > message.length) throw new FormatError('the question is cut short')
  const type = message.readUInt16BE(end)
  const question = { name, type, bytes: message.subarray(HEADER_BYTES, end + 4) }
  const { edns, version } = readRecords(message, end + 4)
  const query = { ...header, question, edns }
  if (version > 0) return { query, code: BADVERS }
  return { query, code: judge(type, message.readUInt16BE(end + 2)) }
}

/** Makes a question of our own; `name` is text without escapes. */
export function makeQuestion(name: string, type: number): Question {
  const labels = name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, 'latin1'))
  const end = Buffer.alloc(5)
  end.writeUInt16BE(type, 1)
  end.writeUInt16BE(IN, 3)
  return { name, type, bytes: Buffer.concat([...labels, end]) }
}

function judge(type: number, questionClass: number): number | undefined {
  if (type === 0 || type === OPT) return FORMERR
  if (questionClass !== IN || UNKNOWN_QUESTIONS.has(type)) return NOTIMP
  return TRANSFERS.has(type) ? REFUSED : undefined
}

/** Reads the records behind the question, of which only OPT matters. The message must end with its last record. */
function readRecords(message: Buffer, start: number): Readonly<{ edns: Edns | undefined; version: number }> {
  const before = message.readUInt16BE(6) + message.readUInt16BE(8)
  const count = before + message.readUInt16BE(10)
  let edns: Edns | undefined
  let version = 0
  let at = start
  for (let index = 0; index < count; index++) {
    const isRoot = message[at] === 0
    at = skipName(message, at)
    if (at + FIXED_RECORD_BYTES > message.length) throw new FormatError('a record is cut short')
    const type = message.readUInt16BE(at)
    if (type === OPT) {
      if (edns !== undefined || !isRoot || index < before) throw new FormatError('OPT is not where it belongs')
      edns = { payload: message.readUInt16BE(at + 2), dnssecOk: (message.readUInt16BE(at + 6) & 0x8000) !== 0 }
      version = message[at + 5]!
    }
    at += FIXED_RECORD_BYTES + message.readUInt16BE(at + 8)
    if (at > message.length) throw new FormatError('a record runs past the end')
  }
  if (at !== message.length) throw new FormatError('bytes follow the last record')
  return { edns, version }
}
