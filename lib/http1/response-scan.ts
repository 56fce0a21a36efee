/**
 * Reads the head of a response from a Buffer, strictly and in one pass (RFC 9112 §4-6). llhttp in strict mode accepts every head
 * that this accepts, and reads the same. A head that allows two readings is refused. HOT
 */
import { COLON, CR, IS_TOKEN, IS_VALUE, LF, readDigits, readLength, SPACE, spells, TAB } from './bytes.ts'
import { mayChallengeConnection } from './connection-auth.ts'
import { joinLines, splitLines, trimSpace } from './field-line.ts'
import { END_TO_END } from './field-names.ts'
import { traceBack, traceFront } from './name-traces.ts'
import type { ResponseHead } from './response-head.ts'

/** Most fields; no honest answer has more. */
const MAX_FIELDS = 1000

/** A complete head, and what it says about its connection. */
export class ScannedResponse implements ResponseHead {
  status: number
  reason: string
  lines: string
  fronts: number
  backs: number
  contentLength: number | undefined
  chunked: boolean
  hasDate: boolean
  hasServer: boolean
  authenticatesConnection: boolean
  upgrade: string | undefined
  /** Index behind the empty line. */
  end: number
  /** True if the endpoint will read another request from this connection. */
  keepAlive: boolean
  /** Seconds that the connection may stay idle, from `Keep-Alive: timeout=5`; `Infinity` if absent. */
  idleSeconds: number

  constructor(status: number, reason: string, lines: string, end: number, keepAlive: boolean) {
    this.status = status
    this.reason = reason
    this.lines = lines
    this.fronts = found.fronts
    this.backs = found.backs
    this.contentLength = found.contentLength === -1 ? undefined : found.contentLength
    this.chunked = found.chunked
    this.hasDate = found.hasDate
    this.hasServer = found.hasServer
    this.authenticatesConnection = found.authenticatesConnection
    this.upgrade = found.upgrade
    this.end = end
    this.keepAlive = keepAlive
    this.idleSeconds = found.idleSeconds
  }
}

/** The findings about the fields read so far. */
class Found {
  fronts: number = 0
  backs: number = 0
  contentLength: number = -1
  chunked: boolean = false
  hasDate: boolean = false
  hasServer: boolean = false
  authenticatesConnection: boolean = false
  upgrade: string | undefined = undefined
  /** `Connection: keep-alive`; `closes`: `Connection: close`. */
  stays: boolean = false
  closes: boolean = false
  idleSeconds: number = Number.POSITIVE_INFINITY
  /** True if a kept line has not exactly one space behind its colon, or white space behind its value. */
  untidy: boolean = false
  /** The field names that `Connection` lists, in lower case, without its own tokens. */
  listed: string[] | undefined = undefined

  reset(): void {
    this.fronts = 0
    this.backs = 0
    this.contentLength = -1
    this.chunked = false
    this.hasDate = false
    this.hasServer = false
    this.authenticatesConnection = false
    this.upgrade = undefined
    this.stays = false
    this.closes = false
    this.idleSeconds = Number.POSITIVE_INFINITY
    this.untidy = false
    this.listed = undefined
  }
}

/** Shared by all calls of `scanResponse`, which leave nothing in it. */
const found = new Found()
/** Start and end of each run of kept lines, in turn; one pair more than there can be fields. */
const kept = new Int32Array(2 * (MAX_FIELDS + 1))

/**
 * Reads the head that begins at `start`. Returns undefined while it is incomplete and valid so far; a string is the fault, for
 * the log. `maxBytes` bounds status line and fields together.
 */
export function scanResponse(bytes: Buffer, start: number, maxBytes: number): ScannedResponse | string | undefined {
  const stop = Math.min(bytes.length, start + maxBytes)
  const short = stop < bytes.length ? `a head of more than ${maxBytes} bytes` : undefined
  // Status line: HTTP/1.1 SP 3DIGIT [SP reason] CRLF
  const named = Math.min(stop, start + 7)
  for (let at = start; at < named; at++) if (bytes[at] !== VERSION.charCodeAt(at - start)) return 'no HTTP/1 answer'
  if (start + 13 > stop) return short
  const minor = bytes[start + 7]! - 0x30
  if ((minor !== 0 && minor !== 1) || bytes[start + 8] !== SPACE) return 'not HTTP/1.0 or HTTP/1.1'
  const status = readDigits(bytes, start + 9, start + 12)
  if (status < 100 || status > 599) return 'no status between 100 and 599'
  let at = start + 12
  if (bytes[at] !== CR) {
    if (bytes[at] !== SPACE) return 'a malformed status line'
    at++
    while (at < stop && IS_VALUE[bytes[at]!] === 1) at++
  }
  const reasonEnd = at
  if (at + 1 >= stop) return at < stop && bytes[at] !== CR ? 'a malformed status line' : short
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return 'a malformed status line'
  at += 2

  found.reset()
  let runStart = at
  let runs = 0
  let count = 0
  for (;;) {
    const nameStart = at
    if (at >= stop) return short
    if (bytes[at] === CR) {
      if (at + 1 >= stop) return short
      if (bytes[at + 1] !== LF) return 'a bare CR'
      break
    }
    while (at < stop && IS_TOKEN[bytes[at]!] === 1) at++
    if (at >= stop) return short
    const nameEnd = at
    if (bytes[at] !== COLON || nameEnd === nameStart) return 'a malformed field name'
    at++
    while (at < stop && isSpace(bytes[at]!)) at++
    const valueStart = at
    while (at < stop && IS_VALUE[bytes[at]!] === 1) at++
    if (at >= stop) return short
    if (bytes[at] !== CR) return 'a forbidden byte in a field value'
    if (at + 1 >= stop) return short
    if (bytes[at + 1] !== LF) return 'a bare CR'
    if (++count > MAX_FIELDS) return `more than ${MAX_FIELDS} fields`
    const verdict = readField(bytes, nameStart, nameEnd - nameStart, valueStart, at)
    at += 2
    if (verdict === KEEP) {
      found.fronts |= traceFront(bytes[nameStart]!, nameEnd - nameStart)
      found.backs |= traceBack(bytes[nameEnd - 1]!, nameEnd - nameStart)
      if (valueStart !== nameEnd + 2 || bytes[valueStart - 1] !== SPACE || isSpace(bytes[at - 3]!)) found.untidy = true
      continue
    }
    if (verdict !== DROP) return verdict
    if (nameStart > runStart) {
      kept[runs++] = runStart
      kept[runs++] = nameStart
    }
    runStart = at
  }
  if (at > runStart) {
    kept[runs++] = runStart
    kept[runs++] = at
  }
  const end = at + 2

  if (found.chunked) {
    if (found.contentLength !== -1) return 'Content-Length together with Transfer-Encoding'
    if (minor === 0) return 'Transfer-Encoding in HTTP/1.0'
  }
  if (status < 200 && (found.chunked || found.contentLength > 0)) return `a body behind status ${status}`
  if (status === 204 && (found.chunked || found.contentLength > 0)) {
    // RFC 9110 §8.6 and RFC 9112 §6.1 forbid it. A body may or may not follow, so the connection is not used again.
    found.closes = true
    found.chunked = false
  }
  if (status < 200 || status === 204) found.contentLength = -1
  const keepAlive = !found.closes && (minor === 1 || found.stays)

  const text = bytes.toString('latin1', start, at)
  let lines = ''
  for (let run = 0; run < runs; run += 2) {
    lines += text.slice(kept[run]! - start, kept[run + 1]! - start)
  }
  if (found.untidy) lines = joinLines(splitLines(lines))
  if (found.listed) lines = dropListed(lines, found.listed)
  const reason = reasonEnd > start + 13 ? text.slice(13, reasonEnd - start) : ''
  return new ScannedResponse(status, reason, lines, end, keepAlive)
}

const VERSION = 'HTTP/1.'
const KEEP = 0
const DROP = 1

/** KEEP if the line travels on, DROP if not; a string is its fault. `valueStop` is the index of the line's CR. */
function readField(
  bytes: Buffer,
  name: number,
  nameLength: number,
  valueStart: number,
  valueStop: number,
): typeof KEEP | typeof DROP | string {
  switch (nameLength) {
    case 2:
      return spells(bytes, name, 'te') ? DROP : KEEP
    case 4:
      if (spells(bytes, name, 'date')) found.hasDate = true
      return KEEP
    case 6:
      if (spells(bytes, name, 'server')) found.hasServer = true
      return KEEP
    case 7:
      if (spells(bytes, name, 'trailer')) return DROP
      if (!spells(bytes, name, 'upgrade')) return KEEP
      found.upgrade = joinValues(found.upgrade, readText(bytes, valueStart, valueStop))
      return DROP
    case 10:
      if (spells(bytes, name, 'connection')) {
        readConnection(bytes, valueStart, valueStop)
        return DROP
      }
      if (!spells(bytes, name, 'keep-alive')) return KEEP
      found.idleSeconds = readIdleSeconds(readText(bytes, valueStart, valueStop))
      return DROP
    case 12:
      return spells(bytes, name, 'x-request-id') ? DROP : KEEP
    case 14:
      if (spells(bytes, name, 'content-length')) return readContentLength(bytes, valueStart, valueStop)
      return spells(bytes, name, 'http2-settings') ? DROP : KEEP
    case 16:
      if (spells(bytes, name, 'www-authenticate')) {
        readChallenges(bytes, valueStart, valueStop)
        return KEEP
      }
      if (!spells(bytes, name, 'proxy-connection')) return KEEP
      // The field has no meaning (RFC 9112 §C.2.2), but llhttp closes for it, and so may the endpoint that sends it.
      if (/\bclose\b/i.test(readText(bytes, valueStart, valueStop))) found.closes = true
      return DROP
    case 17:
      if (!spells(bytes, name, 'transfer-encoding')) return KEEP
      return readTransferEncoding(bytes, valueStart, valueStop)
    case 18:
      if (!spells(bytes, name, 'proxy-authenticate')) return KEEP
      readChallenges(bytes, valueStart, valueStop)
      return DROP
    case 19:
      return spells(bytes, name, 'proxy-authorization') ? DROP : KEEP
    default:
      return KEEP
  }
}

function readContentLength(bytes: Buffer, start: number, stop: number): typeof DROP | string {
  if (found.contentLength !== -1) return 'a repeated Content-Length'
  const end = trimSpaces(bytes, start, stop)
  const length = readLength(bytes, start, end)
  if (length < 0) return 'a malformed Content-Length'
  found.contentLength = length
  return DROP
}

/** Only chunked is accepted: no other coding was asked for (no TE is sent), and it would be lost when the body is framed anew. */
function readTransferEncoding(bytes: Buffer, start: number, stop: number): typeof DROP | string {
  if (found.chunked) return 'a repeated Transfer-Encoding'
  const end = trimSpaces(bytes, start, stop)
  if (end - start !== 7 || !spells(bytes, start, 'chunked')) return 'another Transfer-Encoding than chunked'
  found.chunked = true
  return DROP
}

function readConnection(bytes: Buffer, start: number, stop: number): void {
  const length = stop - start
  if (length === 5 && spells(bytes, start, 'close')) {
    found.closes = true
    return
  }
  if (length === 10 && spells(bytes, start, 'keep-alive')) {
    found.stays = true
    return
  }
  for (const token of bytes.toString('latin1', start, stop).toLowerCase().split(',')) {
    const name = token.trim()
    if (name === 'close') found.closes = true
    // In an HTTP/1.0 answer llhttp believes keep-alive only with nothing but spaces around it.
    else if (name === 'keep-alive') found.stays ||= /^ *keep-alive *$/.test(token)
    else if (name !== '' && !END_TO_END.has(name)) {
      found.listed ??= []
      found.listed.push(name)
    }
  }
}

function readChallenges(bytes: Buffer, start: number, stop: number): void {
  if (mayChallengeConnection(readText(bytes, start, stop))) found.authenticatesConnection = true
}

function readIdleSeconds(value: string): number {
  const seconds = /timeout=(\d{1,6})/i.exec(value)?.[1]
  return seconds === undefined ? Number.POSITIVE_INFINITY : Number(seconds)
}

function dropListed(lines: string, listed: readonly string[]): string {
  let left = ''
  for (let at = 0; at < lines.length; ) {
    const next = lines.indexOf('\r\n', at) + 2
    const name = lines.slice(at, lines.indexOf(':', at)).toLowerCase()
    if (!listed.includes(name)) left += lines.slice(at, next)
    else if (name === 'server') found.hasServer = false
    at = next
  }
  return left
}

/** Several fields of one name are one list (RFC 9110 §5.3). */
function joinValues(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`
}

function readText(bytes: Buffer, start: number, stop: number): string {
  return trimSpace(bytes.toString('latin1', start, stop))
}

function isSpace(byte: number): boolean {
  return byte === SPACE || byte === TAB
}

/** The end of the value without trailing spaces. A trailing tab stays: llhttp accepts none behind a framing value. */
function trimSpaces(bytes: Buffer, start: number, stop: number): number {
  let end = stop
  while (end > start && bytes[end - 1] === SPACE) end--
  return end
}
