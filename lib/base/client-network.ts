/** Whom an address stands for where clients are counted. */
import { isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** An IPv4 address itself; of an IPv6 address its /64, since one client has all of it (RFC 6177). */
export function findClientNetwork(address: string): string {
  if (!isIPv6(address)) return address
  // A zone (`fe80::1%eth0`) is of this machine's making.
  const parsed = ipaddr.IPv6.parse(address.replace(/%.*/, ''))
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString()
  return `${parsed.parts
    .slice(0, 4)
    .map((part) => part.toString(16))
    .join(':')}::/64`
}
