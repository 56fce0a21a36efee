/** A DNS server that answers what it is told to: addresses with a TTL, nothing at all, or a failure. */
import type { Test } from 'tap'
import { addressBytes, readName } from '../../lib/dns/name.ts'
import { answer, startFakeResolver } from '../dns/fake-resolver.ts'

/** `nothing` is a name without addresses; `silent` is no answer. A name that is not there does not exist. */
export type DnsAnswer = Readonly<{ addresses: readonly string[]; ttl?: number }> | 'nothing' | 'servfail' | 'silent'

export type DnsServer = {
  /** `127.0.0.1:port` */
  readonly address: string
  /** By name; change it at will. An answer by `name AAAA` or `name A` goes before that by name. */
  readonly answers: Map<string, DnsAnswer>
  /** `name A`, `name AAAA` as they were asked. */
  readonly asked: readonly string[]
  /** Resolves when the name is asked for once more, with both types. */
  nextQuestion(name: string): Promise<void>
}

const KINDS: ReadonlyMap<number, string> = new Map([
  [1, 'A'],
  [28, 'AAAA'],
])
const HEADER_BYTES = 12
const NOERROR = 0
const SERVFAIL = 2
const NXDOMAIN = 3

export async function startDnsServer(t: Test, answers: Readonly<Record<string, DnsAnswer>> = {}): Promise<DnsServer> {
  const known = new Map(Object.entries(answers))
  const asked: string[] = []
  const waiting = new Set<() => void>()
  const { port } = await startFakeResolver(t, ({ message }, reply) => {
    const { name, end } = readName(message, HEADER_BYTES, false)
    const type = message.readUInt16BE(end)
    const kind = KINDS.get(type) ?? String(type)
    asked.push(`${name} ${kind}`)
    for (const wake of [...waiting]) wake()
    const given = known.get(`${name} ${kind}`) ?? known.get(name)
    if (given === 'silent') return
    const code = given === undefined ? NXDOMAIN : given === 'servfail' ? SERVFAIL : NOERROR
    const { addresses, ttl = 60 } = typeof given === 'object' ? given : { addresses: [] }
    const records = addresses.map((address) => ({ name, type, ttl, data: Buffer.from(addressBytes(address)) }))
    reply(
      answer(
        message,
        records.filter(({ data }) => kind === (data.length === 4 ? 'A' : 'AAAA')),
        code,
      ),
    )
  })
  return {
    address: `127.0.0.1:${port}`,
    answers: known,
    asked,
    async nextQuestion(name) {
      const count = () =>
        Math.min(...['A', 'AAAA'].map((kind) => asked.filter((each) => each === `${name} ${kind}`).length))
      const before = count()
      while (count() === before) {
        await new Promise<void>((resolve) => {
          const wake = () => {
            waiting.delete(wake)
            resolve()
          }
          waiting.add(wake)
        })
      }
    },
  }
}
