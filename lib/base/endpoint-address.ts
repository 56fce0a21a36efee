/** An endpoint as people write it, in the settings and in annotations: `host:port`, `[::1]:port`, `host:port;weight=2;backup`. */
import { isIP, isIPv6 } from 'node:net'

export type EndpointAddress = Readonly<{
  /** An IP address without brackets, or a DNS name in lower case without a trailing dot. */
  host: string
  port: number
  /** 0 to 1000; 1 if none is written. An endpoint of weight 0 is never picked. */
  weight: number
  /** A backup gets requests only if no other endpoint can be used. */
  backup?: true
}>

export type EndpointAddressProblem = Readonly<{ problem: string; help: string }>

const FORM = /^(?:\[([^\]]*)\]|([^:[\]\s;/]+)):(\d{1,5})((?:\s*;\s*(?:weight=\d{1,4}|backup))*)$/
const NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/
const HELP = 'write host:port, host:port;weight=2, host:port;backup or [::1]:port'

/** Reads one endpoint, or returns the problem with it. */
export function parseEndpointAddress(text: string): EndpointAddress | EndpointAddressProblem {
  const trimmed = text.trim()
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed)) {
    return {
      problem: `"${trimmed}" is a URL, not an endpoint`,
      help: 'write host:port alone; appProtocol: https on the Service port says that it speaks TLS',
    }
  }
  const match = FORM.exec(trimmed)
  if (match === null) {
    if (/^\d{1,5}$/.test(trimmed)) return { problem: `"${trimmed}" has no host`, help: `write 127.0.0.1:${trimmed}` }
    const lacksPort = isIP(trimmed) !== 0 || NAME.test(trimmed.toLowerCase())
    return { problem: `"${trimmed}" ${lacksPort ? 'has no port' : 'is not an endpoint'}`, help: HELP }
  }
  const [, bracketed, plain = '', port, words = ''] = match
  const host = bracketed ?? plain.toLowerCase().replace(/\.$/, '')
  if (bracketed === undefined ? isIP(host) !== 4 && !isName(host) : !isIPv6(host)) {
    return { problem: `"${host}" is neither an IP address nor a host name`, help: HELP }
  }
  if (Number(port) < 1 || Number(port) > 65_535)
    return { problem: `port ${port} is not between 1 and 65535`, help: HELP }
  const weights = [...words.matchAll(/weight=(\d+)/g)].map(([, digits]) => Number(digits))
  const [weight = 1] = weights
  if (weights.length > 1) return { problem: `"${trimmed}" has more than one weight`, help: HELP }
  if (weight > 1000) return { problem: `weight ${weight} is not between 0 and 1000`, help: HELP }
  return { host, port: Number(port), weight, ...(/backup/.test(words) && { backup: true }) }
}

/** Reads several endpoints, separated by commas or line ends. No problem and no address means that the text has no entry. */
export function parseEndpointAddresses(text: string): {
  addresses: readonly EndpointAddress[]
  problems: readonly EndpointAddressProblem[]
} {
  const addresses: EndpointAddress[] = []
  const problems: EndpointAddressProblem[] = []
  for (const entry of text.split(/[,\n]/)) {
    if (entry.trim() === '') continue
    const read = parseEndpointAddress(entry)
    if ('problem' in read) problems.push(read)
    else addresses.push(read)
  }
  return { addresses, problems }
}

/** An address and a port as one text: IPv6 in brackets. */
export function printEndpointAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** A name whose last label is all digits is a misspelt IPv4 address (`127.1`), since no such name exists (RFC 3696 §2). */
function isName(host: string): boolean {
  return NAME.test(host) && !/(^|\.)(\d+|0x[0-9a-f]+)$/.test(host)
}
