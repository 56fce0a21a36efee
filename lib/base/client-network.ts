/** The network that stands for a client where clients are counted. */
import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An IPv4 address itself, or the /64 of an IPv6 address, since one client has the whole /64 (RFC 6177). */
export function findClientNetwork(address: string): string {
  if (!isIPv6(address)) return address
  // The zone of `fe80::1%eth0` is a name of this machine, not of the client.
  const parsed = ipaddr.IPv6.parse(address.replace(/%.*/, ''))
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString()
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
