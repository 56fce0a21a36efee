/** What the DNS server answers, as the admin API shows it. */
import ipaddr from 'ipaddr.js'
import { A, AAAA, CNAME, NS, PTR, printType, type RecordData, SRV, TXT } from './record.ts'
import type { Count } from './responder.ts'
import type { DnsServer } from './server.ts'

export type DnsListing = Readonly<{
  /** `cluster.local` */
  zone: string
  /** The number of questions since the start, by type and RCODE. */
  questions: readonly Count[]
  /** The first names of Services, a row for each type. */
  names: readonly Readonly<{ name: string; type: string; data: readonly string[] }>[]
  /** Names that are not listed. */
  more: number
}>

const MAX_NAMES = 1_000

export function listDns(server: Pick<DnsServer, 'zone' | 'counts'>): DnsListing {
  const names: DnsListing['names'][number][] = []
  let more = 0
  for (const [name, sets] of server.zone.listNames()) {
    if (names.length >= MAX_NAMES) more++
    else for (const [type, records] of sets) names.push({ name, type: printType(type), data: records.map(printData) })
  }
  return { zone: server.zone.origin, questions: [...server.counts()], names, more }
}

/** As dig prints it, without the last dot of names. */
function printData(data: RecordData): string {
  switch (data.type) {
    case A:
    case AAAA:
      return ipaddr.fromByteArray([...data.address]).toString()
    case CNAME:
    case PTR:
    case NS:
      return data.name
    case SRV:
      return `${data.priority} ${data.weight} ${data.port} ${data.target}`
    case TXT:
      return JSON.stringify(data.text)
    default:
      return data.primary
  }
}
