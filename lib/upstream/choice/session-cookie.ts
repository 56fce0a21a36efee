/** The cookie that keeps a client with its endpoint: what it says, and how it is checked. HOT */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { PathMatch } from '../../model/route.ts'
import type { UpstreamKey } from '../../model/upstream.ts'
import type { UpstreamPolicy } from '../../settings/service.ts'
import type { EndpointState } from '../endpoint/endpoint.ts'
import { hashText } from './balancer/text-hash.ts'

export type CookieAttributes = UpstreamPolicy['affinity']['cookie']

const ID_LENGTH = 12
const VALUE_LENGTH = ID_LENGTH + 1 + 22
const NAME_SEED = 0x6b43a9b5
const MARK_LENGTH = 22

/**
 * Makes and checks the values for one upstream: an id of the endpoint, which says nothing of its address to those who do not have
 * the secret, and a signature.
 */
export class CookieSigner {
  readonly #secret: Buffer
  readonly #upstream: UpstreamKey
  readonly #values = new WeakMap<EndpointState, string>()

  constructor(secret: Buffer, upstream: UpstreamKey) {
    this.#secret = secret
    this.#upstream = upstream
  }

  /** What the cookie says of an endpoint. */
  valueOf(state: EndpointState): string {
    let value = this.#values.get(state)
    if (value === undefined) {
      const id = this.#digest('endpoint', state.key).slice(0, ID_LENGTH)
      value = this.#sign(id)
      this.#values.set(state, value)
    }
    return value
  }

  /** The id that a value holds; undefined where it cannot be one of this upstream. */
  check(value: string | undefined): string | undefined {
    if (value?.length !== VALUE_LENGTH) return undefined
    const id = value.slice(0, ID_LENGTH)
    return isSame(value, this.#sign(id)) ? id : undefined
  }

  #sign(id: string): string {
    return `${id}.${this.#digest('signature', id)}`.slice(0, VALUE_LENGTH)
  }

  #digest(purpose: string, text: string): string {
    return createHmac('sha256', this.#secret).update(`${purpose}\0${this.#upstream}\0${text}`).digest('base64url')
  }
}

/** Names a Service, `default/web`, to those who have the secret; others can neither read it nor make one. */
export function markService(secret: Buffer, service: string): string {
  return createHmac('sha256', secret).update(`service\0${service}`).digest('base64url').slice(0, MARK_LENGTH)
}

/** The id in a value of the right length, unchecked. */
export function readId(value: string): string {
  return value.slice(0, ID_LENGTH)
}

/** Takes the same time wherever they differ. */
export function isSame(one: string, other: string): boolean {
  // In latin1 each character is one byte, so equal lengths stay equal.
  return one.length === other.length && timingSafeEqual(Buffer.from(one, 'latin1'), Buffer.from(other, 'latin1'))
}

/** The name in the settings, else one of the upstream's own: two Services of one host must not share theirs. */
export function nameCookie({ name }: CookieAttributes, upstream: UpstreamKey): string {
  return name || `portico_${hashText(upstream, NAME_SEED).toString(16).padStart(8, '0')}`
}

/** The request that is answered. */
export type CookieContext = {
  readonly scheme: 'http' | 'https'
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** What its route matched it by. */
  readonly match: PathMatch
}

/** What may stand in the attribute Path (RFC 6265 §4.1.1). */
const COOKIE_PATH = /^\/[!-:<-~]*$/

/** The field lines that set it. `Cache-Control: private`, since what one client gets is not for others. */
export function composeSetCookie(
  name: string,
  value: string,
  attributes: CookieAttributes,
  { scheme, startedAt, match }: CookieContext,
): string {
  const { domain, maxAge, expires, httpOnly, sameSite } = attributes
  const path = attributes.path === 'route' ? findPath(match) : attributes.path
  const secure = attributes.secure === 'always' || (attributes.secure === 'auto' && scheme === 'https')
  let line = `Set-Cookie: ${name}=${value}; Path=${path}`
  if (domain !== '') line += `; Domain=${domain}`
  if (maxAge > 0) line += `; Max-Age=${Math.ceil(maxAge / 1000)}`
  if (expires > 0) line += `; Expires=${new Date(startedAt + expires).toUTCString()}`
  if (secure) line += '; Secure'
  if (httpOnly) line += '; HttpOnly'
  if (sameSite === 'none' ? secure : sameSite !== 'unset') line += `; SameSite=${SAME_SITE[sameSite]}`
  return `${line}\r\nCache-Control: private\r\n`
}

function findPath({ type, path }: PathMatch): string {
  return type !== 'regex' && COOKIE_PATH.test(path) ? path : '/'
}

const SAME_SITE: Readonly<Record<string, string>> = { lax: 'Lax', strict: 'Strict', none: 'None' }
