/** Access to the admin listener: requests carry its token or, without a token, name it by a loopback address. */
import { isPrivateAddress } from '../base/cidr.ts'
import { parseAuthority } from '../base/hostname.ts'
import type { AdminToken } from './admin-token.ts'

export type Refusal = Readonly<{ status: 401 | 403 | 421; message: string }>

export type AdminRequest = Readonly<{
  host: string | undefined
  origin: string | undefined
  authorization: string | undefined
  /** `Sec-Fetch-Site`, which browsers send. */
  site?: string | undefined
}>

/** Makes the check once; `expected` is undefined if no token is asked for. The check returns undefined for an allowed request. */
export function createAccessCheck(
  address: string,
  expected: Pick<AdminToken, 'fits'> | undefined,
): (request: AdminRequest) => Refusal | undefined {
  return ({ host, origin, authorization, site }) => {
    // An image or a frame of another site sends no Origin.
    const isForeign = site === 'cross-site' || site === 'same-site'
    if (isForeign || (origin !== undefined && !isSameOrigin(origin, host))) {
      return { status: 403, message: 'Other sites may not ask the admin listener.' }
    }
    if (expected) {
      const [scheme = '', token = ''] = splitOnce(authorization ?? '')
      const isValid = expected.fits(token) && scheme.toLowerCase() === 'bearer'
      return isValid ? undefined : { status: 401, message: 'A bearer token is needed.' }
    }
    // With DNS rebinding, a web page still sends its own name as Host, and it could not send a token.
    return isLocalName(host, address)
      ? undefined
      : { status: 421, message: 'The admin listener answers to loopback names and addresses only.' }
  }
}

/** True if `address` can be reached from this machine alone. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || isPrivateAddress(address) === 'loopback'
}

function isLocalName(host: string | undefined, address: string): boolean {
  const hostname = host === undefined ? undefined : parseAuthority(host)?.hostname
  if (hostname === undefined || hostname === '') return false
  return hostname === address || hostname.endsWith('.localhost') || isLoopback(hostname)
}

function isSameOrigin(origin: string, host: string | undefined): boolean {
  return host !== undefined && origin === `http://${host}`
}

function splitOnce(text: string): [string, string] {
  const space = text.indexOf(' ')
  return space < 0 ? [text, ''] : [text.slice(0, space), text.slice(space + 1).trim()]
}
