/** A DNS resolver as people write it: `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:53`. */
import { isIPv4, isIPv6 } from 'node:net'

export type ResolverAddress = Readonly<{ address: string; port: number }>

/** Stands for the resolvers that the system uses. */
export const SYSTEM_RESOLVERS = 'system'

const DNS_PORT = 53

/** Undefined if the text is not the address of a resolver. */
export function parseResolverAddress(text: string): ResolverAddress | undefined {
  if (isIPv6(text)) return { address: text, port: DNS_PORT }
  const [, literal, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const port = digits === undefined ? DNS_PORT : Number(digits)
  if (port < 1 || port > 65_535) return undefined
  if (literal !== undefined) return isIPv6(literal) ? { address: literal, port } : undefined
  return plain !== undefined && isIPv4(plain) ? { address: plain, port } : undefined
}
