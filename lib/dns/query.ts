/**
 * Reads queries strictly: whatever a client sends either is one well-formed question or is told what it is not. Of our own,
 * since dns-packet decodes labels as UTF-8 (the case and bytes of a question must come back as they were), does not hold
 * records to their lengths, and has no name compression for answers.
 */
import { FormatError, readName, skipName } from './name.ts'
import { BADVERS, FORMERR, NOTIMP, OPT, REFUSED } from './record.ts'

export type Question = Readonly<{
  /** As text (name.ts). */
  name: string
  type: number
  /** Name, type and class as they came: answers repeat them byte for byte, case included. */
  bytes: Buffer
}>

/** EDNS(0) of the client (RFC 6891). */
export type Edns = Readonly<{ payload: number; dnssecOk: boolean }>

export type Query = Readonly<{
  id: number
  opcode: number
  recursionDesired: boolean
  checkingDisabled: boolean
  /** Undefined where the query cannot be read so far. */
  question: Question | undefined
  edns: Edns | undefined
}>

/** `code` is the RCODE of a query that is answered by nothing else. */
export type ReadQuery = Readonly<{ query: Query; code: number | undefined }>

export const HEADER_BYTES = 12
const IN = 1
const FIXED_RECORD_BYTES = 10
/** Transfers of zones (RFC 5936, RFC 1995): nobody's business. */
const TRANSFERS: ReadonlySet<number> = new Set([251, 252])
/** QTYPEs beside ANY that name no type of data: mailboxes (RFC 1035 §3.2.3), and what only signs or steers a message. */
const UNKNOWN_QUESTIONS: ReadonlySet<number> = new Set([249, 250, 253, 254])

/** Undefined: no query, and to be left without an answer, since an answer to an answer could go round for ever. */
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

/** A question of our own; `name` as text without anything escaped. */
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

/** What follows the question: of all that, only OPT matters. The message ends where its last record does. */
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
