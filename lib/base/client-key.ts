/** Whom limits for each client count together. */
import ipaddr from 'ipaddr.js'

/** An IPv4 address is a client, and so is an IPv6 network of 64 bits: that is what one subscriber has at least (RFC 6177 §2). */
export function clientKey(address: string): string {
  if (!address.includes(':') || !ipaddr.IPv6.isValid(address)) return address
  const { parts } = ipaddr.IPv6.parse(address)
  return `${parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
