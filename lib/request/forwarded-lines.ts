/** How the upstream is told who the client is and what it asked for: X-Forwarded-*, X-Real-IP and Forwarded (RFC 7239). HOT */
import { findUsualPort } from '../base/hostname.ts'
import type { Settings } from '../settings/table.ts'
import type { RequestContext } from './context.ts'
import { printForwarded, readForwarded, type Told } from './forwarded.ts'

/** The field lines that tell the upstream who the client is. */
export function composeForwarded(context: RequestContext, settings: Settings): string {
  const { authority, told } = context
  const { connection } = context.exchange
  const lines = told ? composeTold(context, told) : connection.composeForwarded(authority)
  return settings.forwardedHeader ? `${lines}Forwarded: ${composeChain(context)}\r\n` : lines + passForwarded(context)
}

/** The client as a trusted proxy names it, and the proxy itself as one more of the chain. */
function composeTold({ exchange, authority, clientAddress, scheme }: RequestContext, told: Told): string {
  const { connection } = exchange
  const { peerAddress } = connection
  const host = told.authority?.text ?? authority
  const hostPort = told.authority ? told.authority.port : connection.findPort(authority)
  const port = told.port ?? hostPort ?? findUsualPort(scheme)
  const chain = told.chain === '' ? peerAddress : `${told.chain}, ${peerAddress}`
  const hostLine = host === '' ? '' : `X-Forwarded-Host: ${host}\r\n`
  return `X-Forwarded-For: ${chain}\r\nX-Forwarded-Proto: ${scheme}\r\nX-Forwarded-Port: ${port}\r\nX-Real-IP: ${clientAddress}\r\n${hostLine}`
}

function composeChain(context: RequestContext): string {
  const { authority, clientAddress, scheme, told } = context
  const { peerAddress } = context.exchange.connection
  const hop = printForwarded(peerAddress, authority, scheme)
  const before = findForwarded(context)
  if (before !== '') return `${before}, ${hop}`
  // An upstream that reads Forwarded alone is to find the same client as in X-Forwarded-For.
  return clientAddress === peerAddress
    ? hop
    : `${printForwarded(clientAddress, told?.authority?.text ?? authority, scheme)}, ${hop}`
}

function passForwarded(context: RequestContext): string {
  const believed = findForwarded(context)
  return believed === '' ? '' : `Forwarded: ${believed}\r\n`
}

/** The part of Forwarded that may travel on: the elements that are believed; where X-Forwarded-* counted, only if they say the same. */
function findForwarded(context: RequestContext): string {
  const { exchange, fields, authority, clientAddress, scheme, settings, told } = context
  if (told === undefined) return ''
  const { forwarded } = fields!.claims!
  if (forwarded === undefined || told.forwarded !== '') return told.forwarded
  const other = readForwarded(exchange.connection.peerAddress, forwarded, settings)
  const isSame =
    other.clientAddress === clientAddress &&
    (other.scheme ?? scheme) === scheme &&
    (other.authority === undefined ||
      other.authority.text.toLowerCase() === (told.authority?.text ?? authority).toLowerCase())
  return isSame ? other.forwarded : ''
}
