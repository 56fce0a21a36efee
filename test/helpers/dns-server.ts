/** A DNS server on UDP that answers what it is told to: addresses with a TTL, nothing at all, or a failure. */
import { createSocket, type RemoteInfo } from 'node:dgram'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { Test } from 'tap'

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

const A = 1
const AAAA = 28
const NOERROR = 0
const SERVFAIL = 2
const NXDOMAIN = 3

export async function startDnsServer(t: Test, answers: Readonly<Record<string, DnsAnswer>> = {}): Promise<DnsServer> {
  const socket = createSocket('udp4')
  const known = new Map(Object.entries(answers))
  const asked: string[] = []
  const waiting = new Set<() => void>()
  socket.on('message', (query, from) => {
    const { name, type, end } = readQuestion(query)
    const kind = type === A ? 'A' : type === AAAA ? 'AAAA' : String(type)
    asked.push(`${name} ${kind}`)
    for (const wake of [...waiting]) wake()
    respond(
      socket.send.bind(socket),
      from,
      query.subarray(0, end),
      type,
      known.get(`${name} ${kind}`) ?? known.get(name),
    )
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  t.teardown(() => new Promise<void>((resolve) => socket.close(resolve)))
  return {
    address: `127.0.0.1:${socket.address().port}`,
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

function readQuestion(query: Buffer): Readonly<{ name: string; type: number; end: number }> {
  const labels: string[] = []
  let at = 12
  for (let length = query[at]!; length > 0; length = query[at]!) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

/** `question` is the query up to the end of its one question. */
function respond(
  send: (message: Buffer, port: number, address: string) => void,
  from: RemoteInfo,
  question: Buffer,
  type: number,
  answer: DnsAnswer | undefined,
): void {
  if (answer === 'silent') return
  const code = answer === undefined ? NXDOMAIN : answer === 'servfail' ? SERVFAIL : NOERROR
  const addresses = typeof answer === 'object' ? answer.addresses : []
  const ttl = typeof answer === 'object' ? (answer.ttl ?? 60) : 0
  const records = addresses.filter((address) => (isIP(address) === 4) === (type === A) && (type === A || type === AAAA))
  const head = Buffer.from(question)
  head.writeUInt16BE(0x8180 | code, 2)
  head.writeUInt16BE(records.length, 6)
  // No authority, no additional ones.
  head.writeUInt32BE(0, 8)
  const bodies = records.map((address) => {
    const bytes = Buffer.from(ipaddr.parse(address).toByteArray())
    const record = Buffer.alloc(12)
    // The name is the one at offset 12.
    record.writeUInt16BE(0xc00c, 0)
    record.writeUInt16BE(type, 2)
    record.writeUInt16BE(1, 4)
    record.writeUInt32BE(ttl, 6)
    record.writeUInt16BE(bytes.length, 10)
    return Buffer.concat([record, bytes])
  })
  send(Buffer.concat([head, ...bodies]), from.port, from.address)
}
