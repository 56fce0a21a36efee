/** Writes answers: names compressed (RFC 1035 §4.1.4), cut to the client's limit (TC), with EDNS(0) if the client has it. */
import { HEADER_BYTES, type Query } from './query.ts'
import { A, AAAA, CNAME, NOERROR, NS, OPT, type OwnedRecord, PTR, type RecordData, SOA, SRV, TXT } from './record.ts'

export type Response = Readonly<{
  /** The RCODE: 12 bits if the client has EDNS, or 4. */
  code: number
  authoritative: boolean
  recursionAvailable: boolean
  answers: readonly OwnedRecord[]
  authority: readonly OwnedRecord[]
  /** Records that do not fit are left out, one by one. */
  additional: readonly OwnedRecord[]
}>

/**
 * Most bytes of a UDP answer, whatever the client's limit. Larger packets are fragmented, and would amplify attacks with forged
 * questions (DNS Flag Day 2020).
 */
const MAX_UDP_BYTES = 1232
const MIN_UDP_BYTES = 512
export const MAX_TCP_BYTES = 65_535
const OPT_BYTES = 11
/** Pointers reach offsets below this. */
const POINTER_REACH = 0x4000
const IN = 1

/** Most bytes of an answer over UDP. */
export function udpLimit({ edns }: Query): number {
  return edns === undefined ? MIN_UDP_BYTES : Math.min(Math.max(edns.payload, MIN_UDP_BYTES), MAX_UDP_BYTES)
}

/** An answer without records. */
export function plainResponse(code: number, recursionAvailable: boolean): Response {
  return { code, authoritative: false, recursionAvailable, answers: [], authority: [], additional: [] }
}

/** `limit` is in bytes. If the answers do not all fit, the first are sent with TC, and the client asks again over TCP. */
export function writeResponse(query: Query, response: Response, limit: number): Buffer {
  const writer = new MessageWriter(query.edns ? limit - OPT_BYTES : limit)
  writer.begin(query)
  const answers = writer.records(response.answers)
  let isCut = answers < response.answers.length
  const authority = isCut ? 0 : writer.records(response.authority)
  isCut ||= authority < response.authority.length
  const additional = isCut ? 0 : writer.records(response.additional)
  return writer.end(query, response, { answers, authority, additional, isCut })
}

/** An answer without records that makes the client ask again over TCP. */
export function writeTruncated(query: Query, limit: number): Buffer {
  const writer = new MessageWriter(limit)
  writer.begin(query)
  const counts = { answers: 0, authority: 0, additional: 0, isCut: true }
  return writer.end(query, plainResponse(NOERROR, true), counts)
}

/** Thrown when the message is full, and caught before anything is sent. */
class NoRoom extends Error {}

type Counts = Readonly<{ answers: number; authority: number; additional: number; isCut: boolean }>

class MessageWriter {
  readonly #buffer: Buffer
  readonly #limit: number
  /** The offset of each name, and of each of its suffixes. */
  readonly #places = new Map<string, number>()
  #at = HEADER_BYTES

  constructor(limit: number) {
    this.#limit = limit
    this.#buffer = Buffer.allocUnsafe(limit + OPT_BYTES)
  }

  begin({ question }: Query): void {
    if (question === undefined) return
    this.#mark(question.name, HEADER_BYTES)
    this.#at += question.bytes.copy(this.#buffer, this.#at)
  }

  /** Writes as many whole records as fit; returns their number. */
  records(records: readonly OwnedRecord[]): number {
    for (const [index, record] of records.entries()) {
      const before = this.#at
      try {
        this.#record(record)
      } catch (error) {
        if (!(error instanceof NoRoom)) throw error
        this.#at = before
        // Forgets the names of the record that did not fit.
        for (const [name, place] of this.#places) if (place >= before) this.#places.delete(name)
        return index
      }
    }
    return records.length
  }

  end(query: Query, response: Response, { answers, authority, additional, isCut }: Counts): Buffer {
    const buffer = this.#buffer
    const { edns, question } = query
    buffer.writeUInt16BE(query.id, 0)
    buffer.writeUInt16BE(
      0x8000 |
        (query.opcode << 11) |
        (response.authoritative ? 0x0400 : 0) |
        (isCut ? 0x0200 : 0) |
        (query.recursionDesired ? 0x0100 : 0) |
        (response.recursionAvailable ? 0x0080 : 0) |
        (query.checkingDisabled ? 0x0010 : 0) |
        (response.code & 0xf),
      2,
    )
    buffer.writeUInt16BE(question === undefined ? 0 : 1, 4)
    buffer.writeUInt16BE(answers, 6)
    buffer.writeUInt16BE(authority, 8)
    buffer.writeUInt16BE(additional + (edns ? 1 : 0), 10)
    if (edns) this.#at = writeOpt(buffer, this.#at, response.code >> 4)
    return buffer.subarray(0, this.#at)
  }

  #record({ name, ttl, data }: OwnedRecord): void {
    this.#name(name, true)
    this.#uint16(data.type)
    this.#uint16(IN)
    this.#uint32(ttl)
    const lengthAt = this.#at
    this.#uint16(0)
    this.#data(data)
    this.#buffer.writeUInt16BE(this.#at - lengthAt - 2, lengthAt)
  }

  #data(data: RecordData): void {
    switch (data.type) {
      case A:
      case AAAA:
        this.#bytes(data.address)
        break
      case CNAME:
      case PTR:
      case NS:
        this.#name(data.name, true)
        break
      case SRV:
        this.#uint16(data.priority)
        this.#uint16(data.weight)
        this.#uint16(data.port)
        // The target of an SRV record is never compressed (RFC 2782).
        this.#name(data.target, false)
        break
      case TXT:
        this.#bytes(Uint8Array.of(data.text.length))
        this.#bytes(Buffer.from(data.text, 'latin1'))
        break
      case SOA:
        this.#name(data.primary, true)
        this.#name(data.mailbox, true)
        for (const number of [data.serial, 7200, 1800, 86_400, data.minimum]) this.#uint32(number)
    }
  }

  #name(name: string, isCompressed: boolean): void {
    let rest = name
    while (rest !== '') {
      const place = isCompressed ? this.#places.get(rest) : undefined
      if (place !== undefined) {
        this.#uint16(0xc000 | place)
        return
      }
      if (this.#at < POINTER_REACH && !this.#places.has(rest)) this.#places.set(rest, this.#at)
      const dot = rest.indexOf('.')
      const label = dot < 0 ? rest : rest.slice(0, dot)
      this.#reserve(label.length + 1)
      this.#buffer[this.#at] = label.length
      this.#buffer.write(label, this.#at + 1, 'latin1')
      this.#at += label.length + 1
      rest = dot < 0 ? '' : rest.slice(dot + 1)
    }
    this.#bytes(Uint8Array.of(0))
  }

  /** Remembers a name for pointers. A name with escapes can be pointed to only behind its escapes. */
  #mark(name: string, start: number): void {
    let at = start
    for (let rest = name; rest !== ''; ) {
      if (!rest.includes('\\')) this.#places.set(rest, at)
      const dot = rest.indexOf('.')
      const label = dot < 0 ? rest : rest.slice(0, dot)
      at += label.replace(/\\\d{3}/g, '.').length + 1
      rest = dot < 0 ? '' : rest.slice(dot + 1)
    }
  }

  #uint16(value: number): void {
    this.#reserve(2)
    this.#at = this.#buffer.writeUInt16BE(value, this.#at)
  }

  #uint32(value: number): void {
    this.#reserve(4)
    this.#at = this.#buffer.writeUInt32BE(value, this.#at)
  }

  #bytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes > this.#limit) throw new NoRoom()
  }
}

/** Writes OPT (RFC 6891 §6.1): root, type, our payload size, the high bits of the RCODE, version 0, flags, no options. */
export function writeOpt(buffer: Buffer, start: number, highCode: number, flags = 0): number {
  let at = buffer.writeUInt8(0, start)
  at = buffer.writeUInt16BE(OPT, at)
  at = buffer.writeUInt16BE(MAX_UDP_BYTES, at)
  at = buffer.writeUInt8(highCode, at)
  at = buffer.writeUInt8(0, at)
  at = buffer.writeUInt16BE(flags, at)
  return buffer.writeUInt16BE(0, at)
}
