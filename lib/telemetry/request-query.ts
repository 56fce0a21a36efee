/** Which records of requests somebody wants to see. */
import { createAddressSet } from '../base/cidr.ts'
import { matchesHostPattern, parseAuthority } from '../base/hostname.ts'
import type { RequestRecord } from './record.ts'

/** Plain, since it goes to other processes; what is left out does not matter. */
export type RequestQuery = Readonly<{
  id?: string
  /** Of the request, without a port; `*.shop.test` stands for one label more. */
  host?: string
  /** The id of the route, or a part of it. */
  route?: string
  /** `namespace/name`, or the name alone. */
  ingress?: string
  /** `namespace/name:port`, without its port, or without its namespace. */
  service?: string
  /** From the least to the most. */
  status?: Readonly<{ least: number; most: number }>
  method?: string
  /** An address or a range of addresses. */
  client?: string
  /** With or without `PORTICO_`. */
  code?: string
  minDurationMs?: number
}>

const STATUS = /^(?:([1-5])xx|(>=|<=|>|<)?([1-5]\d\d)(?:-([1-5]\d\d))?)$/i

/** `404`, `5xx`, `>=400`, `400-499`; undefined: none of these. */
export function parseStatusWish(text: string): RequestQuery['status'] {
  const [, hundred, sign, first, last] = STATUS.exec(text.trim()) ?? []
  if (hundred !== undefined) return { least: Number(hundred) * 100, most: Number(hundred) * 100 + 99 }
  if (first === undefined || (sign !== undefined && last !== undefined)) return undefined
  const status = Number(first)
  switch (sign) {
    case '>=':
      return { least: status, most: 599 }
    case '>':
      return { least: status + 1, most: 599 }
    case '<=':
      return { least: 0, most: status }
    case '<':
      return { least: 0, most: status - 1 }
    default:
      return { least: status, most: last === undefined ? status : Number(last) }
  }
}

/** The check of a query, made once. Throws a RangeError where the client is neither an address nor a range. */
export function compileQuery(query: RequestQuery): (record: RequestRecord) => boolean {
  const { id, route, status, minDurationMs } = query
  const host = query.host?.toLowerCase()
  const method = query.method?.toUpperCase()
  const clients = query.client === undefined ? undefined : createAddressSet([query.client])
  const code = query.code?.toUpperCase().replace(/^PORTICO_/, '')
  const ingress = query.ingress === undefined ? undefined : matchName(query.ingress)
  const service = query.service === undefined ? undefined : matchName(query.service)
  return (record) => {
    const { labels } = record
    if (id !== undefined && record.id !== id) return false
    if (status !== undefined && (record.status < status.least || record.status > status.most)) return false
    if (minDurationMs !== undefined && record.durationMs < minDurationMs) return false
    if (method !== undefined && record.method !== method) return false
    if (code !== undefined && record.error?.slice('PORTICO_'.length) !== code) return false
    if (route !== undefined && (labels === undefined || !isRoute(labels.route, route))) return false
    if (ingress !== undefined && (labels === undefined || !ingress(labels.ingress))) return false
    if (service !== undefined && (labels === undefined || !service(labels.upstream))) return false
    if (clients !== undefined && !clients.has(record.clientAddress)) return false
    return host === undefined || isHost(record.authority, host)
  }
}

/** A whole id has all its parts. */
function isRoute(id: string, wanted: string): boolean {
  return id === wanted || (!wanted.includes('|') && id.includes(wanted))
}

function isHost(authority: string, wanted: string): boolean {
  const hostname = parseAuthority(authority)?.hostname ?? authority.toLowerCase()
  return matchesHostPattern(wanted, hostname)
}

/** Of `default/web:80`: all of it, `default/web`, `web:80` or `web`. */
function matchName(wanted: string): (name: string) => boolean {
  return (name) => {
    if (name === wanted) return true
    const bare = wanted.includes('/') ? name : name.slice(name.indexOf('/') + 1)
    if (bare === wanted) return true
    const colon = bare.lastIndexOf(':')
    return !wanted.includes(':') && colon > 0 && bare.slice(0, colon) === wanted
  }
}
