/** Resource records (RFC 1035 §3.2) of the types that the cluster's names have. */

export const A = 1
export const NS = 2
export const CNAME = 5
export const SOA = 6
export const PTR = 12
export const TXT = 16
export const AAAA = 28
export const SRV = 33
export const OPT = 41
export const ANY = 255

/** The data of a record. Names are in lower case, without the last dot. */
export type RecordData =
  | Readonly<{ type: typeof A | typeof AAAA; address: Uint8Array }>
  | Readonly<{ type: typeof CNAME | typeof PTR | typeof NS; name: string }>
  | Readonly<{ type: typeof SRV; priority: number; weight: number; port: number; target: string }>
  | Readonly<{ type: typeof TXT; text: string }>
  | Readonly<{ type: typeof SOA; primary: string; mailbox: string; serial: number; minimum: number }>

/** The records of a name, by type; empty for a name that exists only above other names. */
export type RecordSets = ReadonlyMap<number, readonly RecordData[]>

/** A record of an answer; `ttl` is in seconds. */
export type OwnedRecord = Readonly<{ name: string; ttl: number; data: RecordData }>

/** RCODEs (RFC 1035 §4.1.1); BADVERS (RFC 6891 §9) is larger than the header holds. */
export const NOERROR = 0
export const FORMERR = 1
export const SERVFAIL = 2
export const NXDOMAIN = 3
export const NOTIMP = 4
export const REFUSED = 5
export const BADVERS = 16

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [A, 'A'],
  [NS, 'NS'],
  [CNAME, 'CNAME'],
  [SOA, 'SOA'],
  [PTR, 'PTR'],
  [15, 'MX'],
  [TXT, 'TXT'],
  [AAAA, 'AAAA'],
  [SRV, 'SRV'],
  [35, 'NAPTR'],
  [43, 'DS'],
  [48, 'DNSKEY'],
  [64, 'SVCB'],
  [65, 'HTTPS'],
  [ANY, 'ANY'],
])

const CODE_NAMES: ReadonlyMap<number, string> = new Map([
  [NOERROR, 'NOERROR'],
  [FORMERR, 'FORMERR'],
  [SERVFAIL, 'SERVFAIL'],
  [NXDOMAIN, 'NXDOMAIN'],
  [NOTIMP, 'NOTIMP'],
  [REFUSED, 'REFUSED'],
  [BADVERS, 'BADVERS'],
])

/** The type as a label; `other` for all unknown types, so that clients cannot make labels up. */
export function printType(type: number | undefined): string {
  return (type !== undefined && TYPE_NAMES.get(type)) || 'other'
}

export function printCode(code: number): string {
  return CODE_NAMES.get(code) ?? 'other'
}
