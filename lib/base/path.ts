/**
 * Paths in normal form. Matching, filters and forwarding all read the result of one call, so the path that was checked is the
 * path that the upstream gets.
 */

export type NormalPath = {
  /** The form to forward: slashes as the policy has them, dot segments resolved (RFC 3986 §5.2.4), every other byte as it was sent. */
  readonly path: string
  /**
   * The form to match: `path` with unreserved percent-encodings decoded, characters that RFC 3986 §2 does not allow encoded,
   * hexadecimal digits in upper case, and doubled slashes merged unless the policy is `never`.
   */
  readonly matchPath: string
}

/** What slashes in the paths of requests mean; the settings under `paths` say it, for each listener. */
export type PathPolicy = Readonly<{
  /** `%2F` and `%5C` are data, or answered 400; or `%2F` is a slash, and `%5C` answered 400. */
  encodedSlash: 'keep' | 'reject' | 'decode'
  /** Doubled slashes are one slash for matching alone, for matching and for the endpoint, or for neither. */
  mergeSlashes: 'match' | 'always' | 'never'
}>

/** The default of the settings. The paths of manifests are read by it, whatever listeners do. */
export const USUAL_PATHS: PathPolicy = Object.freeze({ encodedSlash: 'keep', mergeSlashes: 'match' })

/** By this policy every match form that another policy gives is its own match form. */
export const WIDEST_PATHS: PathPolicy = Object.freeze({ encodedSlash: 'keep', mergeSlashes: 'never' })

const SLASH = 0x2f
const DOT = 0x2e
const PERCENT = 0x25
const BACKSLASH = 0x5c

/** The treatment of a byte of a path: kept, encoded in the match form, or refused. */
const PLAIN = 0
const ENCODE = 1
const REFUSE = 2

const KIND = createKinds()

function createKinds(): Uint8Array {
  const kinds = new Uint8Array(256).fill(ENCODE)
  for (const char of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/%") {
    kinds[char.charCodeAt(0)] = PLAIN
  }
  // Control bytes and space break request lines, a backslash is a slash to some servers, `?` and `#` end the path. No URL
  // holds bytes of 0x80 and above, and servers differ in what they take them for.
  for (let byte = 0; byte <= 0x20; byte++) kinds[byte] = REFUSE
  for (const byte of [BACKSLASH, 0x3f, 0x23]) kinds[byte] = REFUSE
  kinds.fill(REFUSE, 0x7f)
  return kinds
}

/**
 * Brings a request path, as sent up to `?`, into normal form; `undefined` means 400. Refused are: a path that does not
 * begin with `/` or climbs above the root; backslash, space, control bytes, bytes above 0x7E, `#`; `%00`–`%1F` and
 * `%7F`; a malformed percent; overlong UTF-8; a segment that begins with `.;` or `..;`, which servlet containers read as a dot segment;
 * and what the policy refuses. Percent signs are decoded once at most. Percent-encoded bytes that are not UTF-8 are data and never
 * decoded, so they cannot turn into separators.
 */
export function normalizePath(raw: string, policy: PathPolicy): NormalPath | undefined {
  if (raw.charCodeAt(0) !== SLASH) return undefined
  let plain = true
  let previous = 0
  for (let at = 0; at < raw.length; at++) {
    const code = raw.charCodeAt(at)
    const kind = code > 0xff ? REFUSE : KIND[code]
    if (kind === REFUSE) return undefined
    if (kind === ENCODE || code === PERCENT || (previous === SLASH && (code === SLASH || code === DOT))) plain = false
    previous = code
  }
  if (plain) return { path: raw, matchPath: raw }
  const { encodedSlash, mergeSlashes } = policy
  if (raw.includes('%') && !hasAllowedEncodings(raw, encodedSlash)) return undefined
  const resolved = resolveDotSegments(encodedSlash === 'decode' ? raw.replaceAll(/%2f/gi, '/') : raw)
  if (resolved === undefined) return undefined
  // RFC 3986 §5.2.4 counts an empty segment: merged before, `/a//../b` would be another path.
  const path = mergeSlashes === 'always' ? resolved.replaceAll(/\/{2,}/g, '/') : resolved
  return { path, matchPath: encodeForMatch(path, mergeSlashes !== 'never') }
}

/** True for a path in the form to forward, without a query: no dot segment in it leads elsewhere. */
export function isNormalPath(path: string): boolean {
  return normalizePath(path, USUAL_PATHS)?.path === path
}

/** True if requests with this path in match form come in by a listener with one of the policies. */
export function isReachable(matchPath: string, policies: readonly PathPolicy[]): boolean {
  return policies.some((policy) => normalizePath(matchPath, policy)?.matchPath === matchPath)
}

/**
 * Brings the path of a manifest's rule into the match form of requests; `undefined` if no request can have that form.
 * Characters that a URL cannot hold are replaced by their UTF-8 percent-encodings.
 */
export function normalizeRulePath(path: string): string | undefined {
  const escaped = path.replaceAll(/[\x20?#\\]|[^\x00-\x7f]+/g, (text) =>
    Array.from(Buffer.from(text), encodeByte).join(''),
  )
  const normal = normalizePath(escaped, USUAL_PATHS)
  // A dot segment in a rule can never match, since requests have theirs resolved.
  return normal === undefined || normal.path !== escaped ? undefined : normal.matchPath
}

/** Splits a request target at the first `?`; `query` is `''` or begins with `?`. */
export function splitTarget(target: string): { path: string; query: string } {
  const mark = target.indexOf('?')
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark) }
}

/** Value of a hexadecimal digit, or -1. */
function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** The byte that `%XX` at `at` stands for; -1 if there is no such encoding. */
function encodedByte(text: string, at: number): number {
  if (text.charCodeAt(at) !== PERCENT) return -1
  const high = hexValue(text.charCodeAt(at + 1))
  const low = hexValue(text.charCodeAt(at + 2))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hasAllowedEncodings(text: string, encodedSlash: PathPolicy['encodedSlash']): boolean {
  for (let at = text.indexOf('%'); at >= 0; at = text.indexOf('%', at + 3)) {
    const byte = encodedByte(text, at)
    if (byte < 0x20 || byte === 0x7f) return false
    if (byte === SLASH && encodedSlash === 'reject') return false
    if (byte === BACKSLASH && encodedSlash !== 'keep') return false
    if (byte >= 0xc0 && isOverlong(byte, encodedByte(text, at + 3))) return false
  }
  return true
}

/** True if two bytes begin an overlong UTF-8 form: a lax decoder would take `%C0%AE` for a dot. */
function isOverlong(first: number, second: number): boolean {
  if (second < 0x80 || second > 0xbf) return false
  return first <= 0xc1 || (first === 0xe0 && second < 0xa0) || (first === 0xf0 && second < 0x90)
}

function resolveDotSegments(raw: string): string | undefined {
  if (!/\/(?:\.|%2e)/i.test(raw)) return raw
  const kept: string[] = []
  const segments = raw.split('/')
  for (let index = 1; index < segments.length; index++) {
    const segment = segments[index]!
    const dots = /^(?:\.|%2e){1,2}(?=$|;|%3b)/i.exec(segment)
    if (dots === null) {
      kept.push(segment)
      continue
    }
    if (dots[0].length < segment.length) return undefined
    const climbs = segment === '..' || segment.length > 3
    if (climbs && kept.pop() === undefined) return undefined
    // `/a/.` and `/a/b/..` are folders: they keep their last slash.
    if (index === segments.length - 1) kept.push('')
  }
  return `/${kept.join('/')}`
}

const HEX = '0123456789ABCDEF'

function encodeForMatch(path: string, mergesSlashes: boolean): string {
  let out = ''
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at)
    if (code === SLASH) {
      if (!mergesSlashes || path.charCodeAt(at + 1) !== SLASH) out += '/'
    } else if (code === PERCENT) {
      const byte = encodedByte(path, at)
      out += isUnreserved(byte) ? String.fromCharCode(byte) : encodeByte(byte)
      at += 2
    } else {
      out += KIND[code] === ENCODE ? encodeByte(code) : path[at]
    }
  }
  return out
}

function encodeByte(byte: number): string {
  return `%${HEX[byte >> 4]}${HEX[byte & 15]}`
}

/** RFC 3986 §2.3 */
function isUnreserved(byte: number): boolean {
  const lower = byte | 0x20
  return (
    (lower >= 0x61 && lower <= 0x7a) ||
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === DOT ||
    byte === 0x5f ||
    byte === 0x7e
  )
}
