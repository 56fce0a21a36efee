/** Formats of IP addresses and CIDR ranges, in the API server's words (1.34). */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

export function checkAddress(value: string): readonly string[] {
  const family = isIP(value)
  if (family === 0 || value.includes('%')) {
    return hasLeadingZeros(value)
      ? ['must not have leading 0s']
      : ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)']
  }
  if (family === 4) return []
  const parsed = ipaddr.IPv6.parse(value)
  if (parsed.isIPv4MappedAddress()) return ['must not be an IPv4-mapped IPv6 address']
  const canonical = parsed.toRFC5952String()
  return canonical === value ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`]
}

/** Refuses special addresses, which cannot be endpoints or external addresses. `value` must be a valid address. */
export function checkNonSpecial(value: string, options: { allowLoopback: boolean }): readonly string[] {
  const address = ipaddr.parse(value)
  const problems: string[] = []
  const range = address.range()
  if (range === 'unspecified') problems.push(`may not be unspecified (${value})`)
  if (range === 'loopback' && !options.allowLoopback) {
    problems.push('may not be in the loopback range (127.0.0.0/8, ::1/128)')
  }
  if (range === 'linkLocal') problems.push('may not be in the link-local range (169.254.0.0/16, fe80::/10)')
  if (isLinkLocalMulticast(address)) {
    problems.push('may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)')
  }
  return problems
}

export function checkCidr(value: string): readonly string[] {
  const slash = value.indexOf('/')
  const host = value.slice(0, Math.max(slash, 0))
  const bits = value.slice(slash + 1)
  const family = isIP(host)
  const isValid = family !== 0 && !host.includes('%') && /^(?:0|[1-9]\d{0,2})$/.test(bits)
  if (!isValid || Number(bits) > (family === 4 ? 32 : 128)) {
    return ['must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)']
  }
  const bytes = ipaddr.parse(host).toByteArray()
  const hostBits = bytes.some((byte, index) => {
    const kept = Math.min(8, Math.max(0, Number(bits) - index * 8))
    return (byte & (0xff >> kept)) !== 0
  })
  return hostBits ? ['must not have bits set beyond the prefix length'] : []
}

function hasLeadingZeros(value: string): boolean {
  const parts = value.split('.')
  return (
    parts.length === 4 &&
    parts.every((part) => /^\d{1,4}$/.test(part) && Number(part) <= 255) &&
    parts.some((part) => /^0\d/.test(part))
  )
}

function isLinkLocalMulticast(address: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  const bytes = address.toByteArray()
  if (address.kind() === 'ipv4') return bytes[0] === 224 && bytes[1] === 0 && bytes[2] === 0
  return bytes[0] === 0xff && ((bytes[1] as number) & 0x0f) === 0x02
}
