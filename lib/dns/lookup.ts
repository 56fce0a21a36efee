/** Answers a question from the zone: with records, with none of the type, or with no such name (RFC 1034 §4.3.2, RFC 2308). */
import { isWithin } from './name.ts'
import {
  A,
  AAAA,
  ANY,
  CNAME,
  NOERROR,
  NXDOMAIN,
  type OwnedRecord,
  type RecordData,
  type RecordSets,
  SRV,
} from './record.ts'
import type { Response } from './response.ts'
import type { Zone } from './zone.ts'

export type Found = Omit<Response, 'recursionAvailable'> &
  Readonly<{
    /** The name outside the zone that the last CNAME leads to, if its addresses were asked for. */
    outside: string | undefined
  }>

/** A longer chain of ExternalNames counts as a circle. */
const MAX_CHAIN = 8
/** With more targets the answer holds no addresses of them: clients ask for the few they need, and the question stays cheap. */
const MAX_TARGETS = 256

/** The zone must answer for `name`. `turn` rotates the addresses from one answer to the next. */
export function lookUp(zone: Zone, name: string, type: number, turn: number): Found {
  const answers: OwnedRecord[] = []
  let owner = name
  for (let link = 0; link <= MAX_CHAIN; link++) {
    const sets = zone.find(owner)
    if (sets === undefined) return negative(zone, owner, NXDOMAIN, answers)
    const target = type === CNAME || type === ANY ? undefined : findAlias(sets)
    if (target === undefined) {
      const records = type === ANY ? firstSet(sets) : sets.get(type)
      if (records === undefined) return negative(zone, owner, NOERROR, answers)
      const { ttl } = zone
      for (const data of rotate(records, turn)) answers.push({ name: owner, ttl, data })
      return positive(answers, type === SRV ? findTargets(zone, records) : [], undefined)
    }
    answers.push({ name: owner, ttl: zone.ttl, data: { type: CNAME, name: target } })
    if (zone.authorityOf(target) === undefined) {
      return positive(answers, [], type === A || type === AAAA ? target : undefined)
    }
    owner = target
  }
  return positive(answers, [], undefined)
}

function findAlias(sets: RecordSets): string | undefined {
  const [record] = sets.get(CNAME) ?? []
  return record?.type === CNAME ? record.name : undefined
}

/** A question for all types gets one set of records: more would only help forged questions (RFC 8482). */
function firstSet(sets: RecordSets): readonly RecordData[] | undefined {
  for (const records of sets.values()) return records
  return undefined
}

/** Clients take the first address, so each is first in turn, as with CoreDNS's `loadbalance`. */
function rotate(records: readonly RecordData[], turn: number): readonly RecordData[] {
  const start = turn % records.length
  return start === 0 ? records : [...records.slice(start), ...records.slice(0, start)]
}

/** The addresses of SRV targets, which save the client another question. */
function findTargets(zone: Zone, records: readonly RecordData[]): readonly OwnedRecord[] {
  if (records.length > MAX_TARGETS) return []
  const targets = new Set(records.flatMap((record) => (record.type === SRV ? record.target : [])))
  return [...targets].flatMap((name) => {
    if (!isWithin(name, zone.origin)) return []
    const sets = zone.find(name)
    const found = [...(sets?.get(A) ?? []), ...(sets?.get(AAAA) ?? [])]
    return found.map((data) => ({ name, ttl: zone.ttl, data }))
  })
}

function positive(
  answers: readonly OwnedRecord[],
  additional: readonly OwnedRecord[],
  outside: string | undefined,
): Found {
  return { code: NOERROR, authoritative: true, answers, authority: [], additional, outside }
}

/** A negative answer, with the SOA of the zone, which limits how long it is cached (RFC 2308 §3). */
function negative(zone: Zone, owner: string, code: number, answers: readonly OwnedRecord[]): Found {
  const name = zone.authorityOf(owner) ?? zone.origin
  const authority = [{ name, ttl: zone.ttl, data: zone.soa }]
  return { code, authoritative: true, answers, authority, additional: [], outside: undefined }
}
