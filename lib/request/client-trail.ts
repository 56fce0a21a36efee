/**
 * Whom Portico takes for the client of a request, and why, step by step, as `portico explain` tells it. What is believed is decided
 * by the functions that serve requests (forwarded.ts).
 */
import { createAddressSet } from '../base/cidr.ts'
import type { ForwardingClaims } from '../http1/request-fields.ts'
import type { Settings } from '../settings/table.ts'
import { type Hop, hasXForwarded, isTrustedPeer, readTold, type Told } from './forwarded.ts'
import { normalizePeer } from './origin.ts'

export type TrailStep = Readonly<{
  /** `peer`, or the name of a field. */
  source: string
  /** An address, or what the field says. */
  text: string
  /** `trusted`: an address whose word about the one before it counts. */
  verdict: 'client' | 'trusted' | 'believed' | 'ignored'
  /** For people. */
  reason: string
}>

export type ClientTrail = Readonly<{
  address: string
  /** For people. */
  reason: string
  /** From the connection towards the client, then the scheme, host and port of its request, then what does not count. */
  steps: readonly TrailStep[]
  /** Undefined: the peer is not believed, or says nothing. */
  told: Told | undefined
}>

/** `peerAddress` is the address that the connection comes from; `claims` are undefined where no field says who the client is. */
export function traceClient(
  peerAddress: string,
  claims: ForwardingClaims | undefined,
  settings: Settings,
): ClientTrail {
  const peer = normalizePeer(peerAddress)
  const trusts = describeTrust(peer, settings)
  const claimed = listClaims(claims)
  const end: TrailStep = { source: 'peer', text: peer, verdict: 'client', reason: trusts }
  if (claims === undefined || claimed.length === 0) {
    return {
      address: peer,
      reason: 'the connection comes from it, and no field names another',
      steps: [end],
      told: undefined,
    }
  }
  if (!isTrustedPeer(peer, settings)) {
    const reason = `fields that say who the client is are not believed: ${trusts}`
    const ignored = claimed.map(([source, text]) => ignore(source, text, `${peer} is no trusted proxy`))
    return { address: peer, reason, steps: [end, ...ignored], told: undefined }
  }
  const hops: Hop[] = []
  const told = readTold(peer, claims, settings, hops)
  const source = findSource(claims)
  const named = hops.findLast(({ address }) => address !== undefined)
  const steps = [
    named === undefined ? end : { ...end, verdict: 'trusted' as const },
    ...hops.map((hop): TrailStep => {
      const { text, address } = hop
      return address === undefined
        ? ignore(source, text, 'this is no address')
        : {
            source,
            text: address,
            verdict: hop === named ? 'client' : 'trusted',
            reason: describeTrust(address, settings),
          }
    }),
    ...claimed.flatMap(([name, text]) => describeClaim(name, text, claims, told, hops, settings)),
  ]
  return { address: told.clientAddress, reason: describeClient(source, hops, settings), steps, told }
}

function describeTrust(address: string, { trustedProxies }: Settings): string {
  const range = trustedProxies.find((each) => createAddressSet([each]).has(address))
  return range === undefined ? `trustedProxies does not name ${address}` : `trustedProxies names ${range}`
}

/** The field that names the client. */
function findSource(claims: ForwardingClaims): string {
  if (!hasXForwarded(claims)) return 'Forwarded'
  return claims.forwardedFor === undefined ? 'X-Real-IP' : 'X-Forwarded-For'
}

function describeClient(source: string, hops: readonly Hop[], settings: Settings): string {
  const last = hops.at(-1)
  if (last === undefined) return 'the connection comes from it, and no field names another'
  if (last.address === undefined) {
    const what = hops.length === 1 ? 'the connection comes from it' : `the last address of ${source} that can be read`
    return `${what}: what stands before it is no address`
  }
  return isTrustedPeer(last.address, settings)
    ? `the left-most address of ${source} that is read: trustedProxies names all`
    : `the right-most address of ${source} that trustedProxies does not name`
}

function listClaims(claims: ForwardingClaims | undefined): readonly (readonly [source: string, text: string])[] {
  const claimed: readonly (readonly [string, string | undefined])[] = [
    ['X-Forwarded-For', claims?.forwardedFor],
    ['X-Real-IP', claims?.realIp],
    ['X-Forwarded-Proto', claims?.forwardedProto],
    ['X-Forwarded-Host', claims?.forwardedHost],
    ['X-Forwarded-Port', claims?.forwardedPort],
    ['Forwarded', claims?.forwarded],
  ]
  return claimed.filter((claim): claim is readonly [string, string] => claim[1] !== undefined)
}

function ignore(source: string, text: string, reason: string): TrailStep {
  return { source, text: text.trim(), verdict: 'ignored', reason }
}

/** What of a field is believed beside the addresses that were read, and what is not. */
function describeClaim(
  source: string,
  text: string,
  claims: ForwardingClaims,
  told: Told,
  hops: readonly Hop[],
  settings: Settings,
): readonly TrailStep[] {
  const { scheme, authority, port } = told
  switch (source) {
    case 'X-Forwarded-For': {
      const entries = text.split(',')
      return describeRest(source, entries.slice(0, entries.length - hops.length).join(','), hops, settings)
    }
    case 'X-Real-IP':
      if (claims.forwardedFor !== undefined) return [ignore(source, text, 'X-Forwarded-For counts in its place')]
      return hops.length === 0 ? [ignore(source, text, 'this is no address')] : []
    case 'X-Forwarded-Proto':
      return [believe(source, 'scheme', scheme) ?? ignore(source, text, 'its last word is no scheme')]
    case 'X-Forwarded-Host':
      return [believe(source, 'host', authority?.text) ?? ignore(source, text, 'its last word is no host')]
    case 'X-Forwarded-Port':
      return [believe(source, 'port', port?.toString()) ?? ignore(source, text, 'its last word is no port')]
    default: {
      if (hasXForwarded(claims)) return [ignore(source, text, 'X-Forwarded-* and X-Real-IP count in its place')]
      const words = [believe(source, 'scheme', scheme), believe(source, 'host', authority?.text)]
      const unread = text.trimEnd().slice(0, text.trimEnd().length - told.forwarded.length)
      return [...words.filter((step) => step !== undefined), ...describeRest(source, unread, hops, settings)]
    }
  }
}

function believe(source: string, what: string, text: string | undefined): TrailStep | undefined {
  return text === undefined ? undefined : { source, text, verdict: 'believed', reason: `the ${what} of the request` }
}

/** `text` stands before the hops that were read. */
function describeRest(source: string, text: string, hops: readonly Hop[], settings: Settings): readonly TrailStep[] {
  const rest = text.trim().replace(/,$/, '')
  if (rest === '') return []
  const last = hops.at(-1)?.address
  const isStranger = last !== undefined && !isTrustedPeer(last, settings)
  const reason = isStranger ? `${last} sent it, and is no trusted proxy` : 'it cannot be read to its end'
  return [ignore(source, rest, reason)]
}
