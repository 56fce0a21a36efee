/**
 * Reads the head of an HTTP/1.1 request from received bytes, in one pass. It accepts heads that are fully valid and plain, which
 * node:http reads the same way, and declines all others without judging them. HOT
 */
import { COLON, CR, IS_TOKEN, IS_VALUE, LF, readLength, SPACE, spells, TAB } from './bytes.ts'
import { authenticatesConnection } from './connection-auth.ts'
import { CLAIMS, HOP_BY_HOP, isForwardingClaim, SINGLETONS } from './field-names.ts'
import { traceBack, traceFront } from './name-traces.ts'
import { createClaims, createFields, type ForwardingClaims, type RequestFields } from './request-fields.ts'

export type ScanLimits = Readonly<{
  /** Largest head: request line, fields and empty line. */
  headerBytes: number
  /** Most fields; at most 1000. */
  headerCount: number
}>

/** The head is incomplete, and valid so far. */
export const PARTIAL = 0
/** The head is not for the fast lane: invalid, too large, or merely unusual. */
export const DECLINED = 1

/** A whole head. */
export class RequestHead {
  readonly method: string
  /** In origin-form. */
  readonly target: string
  readonly fields: RequestFields
  /** True if the client wants to use the connection again. */
  readonly keepAlive: boolean
  /** The index behind the head. */
  readonly end: number

  constructor(method: string, target: string, fields: RequestFields, keepAlive: boolean, end: number) {
    this.method = method
    this.target = target
    this.fields = fields
    this.keepAlive = keepAlive
    this.end = end
  }
}

/** The scan's treatment of a field. */
type Role =
  | 'decline'
  | 'keep'
  | 'host'
  | 'contentLength'
  | 'transferEncoding'
  | 'connection'
  | 'accept'
  | 'userAgent'
  | 'requestId'
  | 'origin'
  | 'authorization'
  | 'claim'
type KnownField = {
  readonly name: string
  readonly role: Role
  /** A bit of its own for each name that may stand only once; 0 for all other names. */
  readonly once: number
}

const ROLES: Readonly<Record<string, Role>> = {
  host: 'host',
  'content-length': 'contentLength',
  'transfer-encoding': 'transferEncoding',
  connection: 'connection',
  accept: 'accept',
  'user-agent': 'userAgent',
  'x-request-id': 'requestId',
  origin: 'origin',
  authorization: 'authorization',
  expect: 'decline',
  // It is rare, and holds a token that must not travel.
  'x-portico-explain': 'decline',
  // In `Connection` these two are options, not names of fields. Fields of these names are declined, so that nobody can mix them up.
  close: 'decline',
  'keep-alive': 'decline',
}
/** Fields that are valid when repeated, but would need their values joined. They are declined then, like singletons. */
const ONCE_HERE = [
  'connection',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'forwarded',
]
/** All fields with this prefix are claims, whether listed by name or not. */
const CLAIM_PREFIX = 'x-forwarded-'
const HOP_PREFIX = 'proxy-'
const CLAIM: KnownField = { name: CLAIM_PREFIX, role: 'claim', once: 0 }
const DECLINE: KnownField = { name: HOP_PREFIX, role: 'decline', once: 0 }

/** Known fields, indexed by the length of their name. */
const KNOWN: readonly (readonly KnownField[])[] = listKnown()

const IS_NAME = IS_TOKEN.slice()
// Names with an underscore are declined, since a setting decides about them.
IS_NAME['_'.charCodeAt(0)] = 0
/** 1 for the bytes of a path and query: visible ASCII without `#`. */
const IS_TARGET = new Uint8Array(256).fill(1, 0x21, 0x7f)
IS_TARGET['#'.charCodeAt(0)] = 0
const SLASH = 0x2f
/** The first letter of NTLM and Negotiate, which authenticate connections. */
const LETTER_N = 0x6e
const MAX_METHOD = 'OPTIONS'.length
const VERSION = Buffer.from('HTTP/1.1\r\n')
const MAX_FIELDS = 1000

/**
 * The parts of the head that travel on, as offsets from its start: pairs of start and end. A line that is not spelled
 * `Name: value` has a negative start (-1 - start of the name, end of the name), and a second pair for its value.
 */
const kept = new Int32Array(4 * (MAX_FIELDS + 1))
/** Four offsets for each claim: start and end of its name, start and end of its value. */
const claimed = new Int32Array(4 * MAX_FIELDS)

/** Reads the head that begins at `start`. */
export function scanRequest(
  bytes: Buffer,
  start: number,
  limits: ScanLimits,
): RequestHead | typeof PARTIAL | typeof DECLINED {
  const size = bytes.length
  const partial = size - start > limits.headerBytes ? DECLINED : PARTIAL
  let at = start
  while (at < size && IS_NAME[bytes[at]!] === 1) at++
  if (at - start > MAX_METHOD) return DECLINED
  if (at === size) return partial
  const method = bytes[at] === SPACE ? findMethod(bytes, start, at - start) : undefined
  if (method === undefined) return DECLINED
  const targetStart = ++at
  if (at === size) return partial
  if (bytes[at] !== SLASH) return DECLINED
  while (at < size && IS_TARGET[bytes[at]!] === 1) at++
  if (at === size) return partial
  if (bytes[at] !== SPACE) return DECLINED
  const targetEnd = at++
  for (let byte = 0; byte < VERSION.length; byte++, at++) {
    if (at === size) return partial
    if (bytes[at] !== VERSION[byte]) return DECLINED
  }

  /** The start of the present run of kept lines. */
  let runStart = at
  let keptLength = 0
  let claimedLength = 0
  let count = 0
  let seen = 0
  let fronts = 0
  let backs = 0
  let keepAlive = true
  let chunked = false
  let contentLength: number | undefined
  let hostStart = 0
  let hostEnd = 0
  let acceptStart = 0
  let acceptEnd = 0
  let userAgentStart = 0
  let userAgentEnd = 0
  let requestIdStart = 0
  let requestIdEnd = 0
  let originStart = 0
  let originEnd = 0
  let authorizationStart = 0
  let authorizationEnd = 0
  let isConnectionAuth = false
  for (;;) {
    const lineStart = at
    if (at === size) return partial
    if (bytes[at] === CR) {
      if (at + 1 === size) return partial
      if (bytes[at + 1] !== LF) return DECLINED
      break
    }
    if (++count > limits.headerCount) return DECLINED
    while (at < size && IS_NAME[bytes[at]!] === 1) at++
    if (at === size) return partial
    const nameEnd = at
    if (bytes[at] !== COLON || nameEnd === lineStart) return DECLINED
    at++
    while (at < size && (bytes[at] === SPACE || bytes[at] === TAB)) at++
    const valueStart = at
    while (at < size && IS_VALUE[bytes[at]!] === 1) at++
    if (at === size) return partial
    if (bytes[at] !== CR) return DECLINED
    if (at + 1 === size) return partial
    if (bytes[at + 1] !== LF) return DECLINED
    let valueEnd = at
    at += 2
    while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--
    const isPlain = valueStart - nameEnd === 2 && bytes[nameEnd + 1] === SPACE && valueEnd === at - 2

    const known = findKnown(bytes, lineStart, nameEnd - lineStart)
    if (known !== undefined) {
      if ((seen & known.once) !== 0) return DECLINED
      seen |= known.once
      let travels = true
      switch (known.role) {
        case 'keep':
          break
        case 'host':
          if (!isAuthority(bytes, valueStart, valueEnd)) return DECLINED
          hostStart = valueStart
          hostEnd = valueEnd
          break
        case 'userAgent':
          if (userAgentStart === 0) {
            userAgentStart = valueStart
            userAgentEnd = valueEnd
          }
          break
        case 'accept':
          acceptStart = valueStart
          acceptEnd = valueEnd
          break
        case 'connection':
          if (!isPlain) return DECLINED
          if (valueEnd - valueStart === 5 && spells(bytes, valueStart, 'close')) keepAlive = false
          else if (valueEnd - valueStart !== 10 || !spells(bytes, valueStart, 'keep-alive')) return DECLINED
          travels = false
          break
        case 'contentLength':
          contentLength = isPlain ? readLength(bytes, valueStart, valueEnd) : -1
          if (contentLength < 0) return DECLINED
          travels = false
          break
        case 'transferEncoding':
          if (!isPlain || valueEnd - valueStart !== 7 || !spells(bytes, valueStart, 'chunked')) return DECLINED
          chunked = true
          travels = false
          break
        case 'requestId':
          requestIdStart = valueStart
          requestIdEnd = valueEnd
          travels = false
          break
        case 'origin':
          originStart = valueStart
          originEnd = valueEnd
          break
        case 'authorization':
          authorizationStart = valueStart
          authorizationEnd = valueEnd
          isConnectionAuth =
            (bytes[valueStart]! | 0x20) === LETTER_N &&
            authenticatesConnection(bytes.toString('latin1', valueStart, valueEnd))
          break
        case 'claim':
          claimed[claimedLength] = lineStart - start
          claimed[claimedLength + 1] = nameEnd - start
          claimed[claimedLength + 2] = valueStart - start
          claimed[claimedLength + 3] = valueEnd - start
          claimedLength += 4
          travels = false
          break
        default:
          return DECLINED
      }
      if (!travels) {
        if (lineStart > runStart) {
          kept[keptLength++] = runStart - start
          kept[keptLength++] = lineStart - start
        }
        runStart = at
        continue
      }
    }
    fronts |= traceFront(bytes[lineStart]!, nameEnd - lineStart)
    backs |= traceBack(bytes[nameEnd - 1]!, nameEnd - lineStart)
    if (!isPlain) {
      if (lineStart > runStart) {
        kept[keptLength++] = runStart - start
        kept[keptLength++] = lineStart - start
      }
      kept[keptLength++] = -1 - (lineStart - start)
      kept[keptLength++] = nameEnd - start
      kept[keptLength++] = valueStart - start
      kept[keptLength++] = valueEnd - start
      runStart = at
    }
  }
  if (hostStart === 0 || (chunked && contentLength !== undefined)) return DECLINED
  const end = at + 2
  if (end - start > limits.headerBytes) return DECLINED
  if (at > runStart) {
    kept[keptLength++] = runStart - start
    kept[keptLength++] = at - start
  }

  const text = bytes.toString('latin1', start, end)
  const host = text.slice(hostStart - start, hostEnd - start)
  let lines = ''
  for (let pair = 0; pair < keptLength; pair += 2) {
    const from = kept[pair]!
    const to = kept[pair + 1]!
    if (from >= 0) {
      lines = lines === '' ? text.slice(from, to) : lines + text.slice(from, to)
      continue
    }
    pair += 2
    lines += `${text.slice(-1 - from, to)}: ${text.slice(kept[pair], kept[pair + 1])}\r\n`
  }
  const fields = createFields()
  fields.lines = lines
  fields.fronts = fronts
  fields.backs = backs
  fields.host = host
  fields.contentLength = contentLength
  fields.chunked = chunked
  fields.authenticatesConnection = isConnectionAuth
  if (acceptStart > 0) fields.accept = text.slice(acceptStart - start, acceptEnd - start)
  if (userAgentStart > 0) fields.userAgent = text.slice(userAgentStart - start, userAgentEnd - start)
  if (originStart > 0) fields.origin = text.slice(originStart - start, originEnd - start)
  if (authorizationStart > 0) fields.authorization = text.slice(authorizationStart - start, authorizationEnd - start)
  if (requestIdStart > 0) fields.requestId = text.slice(requestIdStart - start, requestIdEnd - start)
  if (claimedLength > 0) fields.claims = readClaims(text, claimedLength)
  return new RequestHead(method, text.slice(targetStart - start, targetEnd - start), fields, keepAlive, end)
}

function readClaims(text: string, length: number): ForwardingClaims {
  const claims = createClaims()
  for (let at = 0; at < length; at += 4) {
    const name = text.slice(claimed[at], claimed[at + 1])
    const value = text.slice(claimed[at + 2], claimed[at + 3])
    switch (name.toLowerCase()) {
      case 'x-forwarded-for':
        claims.forwardedFor = value
        continue
      case 'x-forwarded-proto':
        claims.forwardedProto = value
        continue
      case 'x-forwarded-host':
        claims.forwardedHost = value
        continue
      case 'x-forwarded-port':
        claims.forwardedPort = value
        continue
      case 'x-real-ip':
        claims.realIp = value
        continue
      case 'forwarded':
        claims.forwarded = value
        continue
    }
    claims.lines += `${name}: ${value}\r\n`
  }
  return claims
}

function findMethod(bytes: Buffer, start: number, length: number): string | undefined {
  switch (length) {
    case 3:
      return equals(bytes, start, 'GET') ? 'GET' : equals(bytes, start, 'PUT') ? 'PUT' : undefined
    case 4:
      return equals(bytes, start, 'POST') ? 'POST' : equals(bytes, start, 'HEAD') ? 'HEAD' : undefined
    case 5:
      return equals(bytes, start, 'PATCH') ? 'PATCH' : undefined
    case 6:
      return equals(bytes, start, 'DELETE') ? 'DELETE' : undefined
    case 7:
      return equals(bytes, start, 'OPTIONS') ? 'OPTIONS' : undefined
    default:
      return undefined
  }
}

function equals(bytes: Buffer, start: number, word: string): boolean {
  for (let at = 0; at < word.length; at++) if (bytes[start + at] !== word.charCodeAt(at)) return false
  return true
}

function findKnown(bytes: Buffer, start: number, length: number): KnownField | undefined {
  if (length < KNOWN.length) {
    const candidates = KNOWN[length]!
    for (let at = 0; at < candidates.length; at++) {
      const candidate = candidates[at]!
      if (spells(bytes, start, candidate.name)) return candidate
    }
  }
  if (length >= CLAIM_PREFIX.length && spells(bytes, start, CLAIM_PREFIX)) return CLAIM
  if (length >= HOP_PREFIX.length && spells(bytes, start, HOP_PREFIX)) return DECLINE
  return undefined
}

/** True for visible ASCII; base/hostname checks later that it names a host. */
function isAuthority(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! <= SPACE || bytes[at]! >= 0x7f) return false
  return end > start
}

function listKnown(): KnownField[][] {
  const known: KnownField[][] = []
  let bit = 1
  const once = new Set([...SINGLETONS, ...ONCE_HERE])
  for (const name of new Set([...Object.keys(ROLES), ...once, ...HOP_BY_HOP, ...CLAIMS])) {
    const role = ROLES[name] ?? (HOP_BY_HOP.has(name) ? 'decline' : isForwardingClaim(name) ? 'claim' : 'keep')
    while (known.length <= name.length) known.push([])
    known[name.length]!.push({ name, role, once: once.has(name) ? bit : 0 })
    if (once.has(name)) bit *= 2
  }
  return known
}
