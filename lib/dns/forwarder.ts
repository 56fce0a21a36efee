/**
 * Looks other names up at the resolvers that are set: over UDP, each time from another port and with another id, then over TCP
 * where the answer did not fit. Nothing is remembered: the resolvers do that.
 */
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import type { ResolverAddress } from '../base/resolver-address.ts'
import { type ForeignAnswer, readForeignAnswer } from './foreign-answer.ts'
import type { Edns, Question } from './query.ts'
import { HEADER_BYTES } from './query.ts'
import { NOTIMP, REFUSED, SERVFAIL } from './record.ts'
import { writeOpt } from './response.ts'
import { splitMessages } from './stream.ts'

export type ForwarderOptions = Readonly<{
  resolvers: () => Promise<readonly ResolverAddress[]>
  /** Milliseconds that one resolver has. */
  timeoutMs: number
  maxInFlight: number
}>

export type Errand = Readonly<{ question: Question; edns: Edns | undefined; checkingDisabled: boolean }>

/** Every resolver is asked so many times. */
const ROUNDS = 2
/** Clients give up about then, milliseconds. */
const TOTAL_MS = 5_000
/** Packets with another id or question: more of them is somebody guessing. */
const MAX_STRAYS = 32
/** What a resolver says of itself rather than of the name: another one may know more. */
const RETRIED: ReadonlySet<number> = new Set([SERVFAIL, NOTIMP, REFUSED])
const DNSSEC_OK = 0x8000

export class Forwarder {
  readonly #options: ForwarderOptions
  /** Ends what is under way. */
  readonly #open = new Set<() => void>()
  #inFlight = 0
  #isClosed = false

  constructor(options: ForwarderOptions) {
    this.#options = options
  }

  /** Rejects where no resolver answers, or too many questions are under way. */
  async ask(errand: Errand): Promise<ForeignAnswer> {
    if (this.#inFlight >= this.#options.maxInFlight) throw new Error('too many names are being looked up')
    this.#inFlight++
    try {
      return await this.#askAll(errand)
    } finally {
      this.#inFlight--
    }
  }

  close(): void {
    this.#isClosed = true
    for (const end of [...this.#open]) end()
  }

  async #askAll(errand: Errand): Promise<ForeignAnswer> {
    const resolvers = await this.#options.resolvers()
    const deadline = performance.now() + TOTAL_MS
    let refusal: ForeignAnswer | undefined
    let failure: unknown = new Error('no resolver is known')
    for (let round = 0; round < ROUNDS; round++) {
      for (const resolver of resolvers) {
        const timeoutMs = Math.min(this.#options.timeoutMs, deadline - performance.now())
        if (timeoutMs <= 0 || this.#isClosed) break
        try {
          const answer = await this.#askOne(resolver, errand, timeoutMs)
          if (!RETRIED.has(answer.code)) return answer
          refusal = answer
        } catch (error) {
          failure = error
        }
      }
    }
    if (refusal !== undefined) return refusal
    throw failure
  }

  async #askOne(resolver: ResolverAddress, errand: Errand, timeoutMs: number): Promise<ForeignAnswer> {
    const answer = await this.#askOver(askUdp, resolver, errand, timeoutMs)
    return answer.isTruncated ? this.#askOver(askTcp, resolver, errand, timeoutMs) : answer
  }

  #askOver(transport: Transport, resolver: ResolverAddress, errand: Errand, timeoutMs: number): Promise<ForeignAnswer> {
    const id = randomInt(0x1_0000)
    return new Promise((resolve, reject) => {
      let strays = 0
      const settle = (outcome: () => void): void => {
        clearTimeout(timer)
        this.#open.delete(abort)
        end()
        outcome()
      }
      const fail = (error: Error): void => settle(() => reject(error))
      const abort = (): void => fail(new Error('stopped'))
      const timer = setTimeout(() => fail(new Error(`${resolver.address} did not answer in time`)), timeoutMs)
      this.#open.add(abort)
      const take = (message: Buffer): void => {
        try {
          const answer = readForeignAnswer(message, id, errand.question)
          if (answer !== undefined) settle(() => resolve(answer))
          else if (++strays > MAX_STRAYS) fail(new Error(`answers of ${resolver.address} are being forged`))
        } catch (error) {
          fail(error as Error)
        }
      }
      const end = transport(resolver, writeErrand(errand, id), take, fail)
    })
  }
}

/** Returns what ends it. */
type Transport = (
  resolver: ResolverAddress,
  message: Buffer,
  take: (message: Buffer) => void,
  fail: (error: Error) => void,
) => () => void

/** A connected socket gets packets of that one peer alone, and hears that nobody listens there. */
function askUdp(
  { address, port }: ResolverAddress,
  message: Buffer,
  take: (m: Buffer) => void,
  fail: (e: Error) => void,
) {
  const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
  let isOpen = true
  socket.on('error', fail)
  socket.on('message', (bytes) => isOpen && take(bytes))
  socket.on('connect', () => isOpen && socket.send(message))
  socket.connect(port, address)
  return () => {
    if (!isOpen) return
    isOpen = false
    socket.removeListener('error', fail)
    socket.on('error', () => undefined)
    socket.close()
  }
}

function askTcp(
  { address, port }: ResolverAddress,
  message: Buffer,
  take: (m: Buffer) => void,
  fail: (e: Error) => void,
) {
  const socket = connect({ port, host: address })
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  socket.on('error', fail)
  socket.on('close', () => fail(new Error(`${address} closed the connection`)))
  socket.write(Buffer.concat([length, message]))
  let held: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    const { messages, rest } = splitMessages(held.length === 0 ? chunk : Buffer.concat([held, chunk]))
    held = rest
    for (const each of messages) take(each)
  })
  return () => {
    socket.removeAllListeners('close')
    socket.removeAllListeners('error')
    socket.removeAllListeners('data')
    socket.on('error', () => undefined)
    socket.destroy()
  }
}

/** With EDNS where the client has it, so that the answer can be passed on as it is. */
function writeErrand({ question, edns, checkingDisabled }: Errand, id: number): Buffer {
  const buffer = Buffer.alloc(HEADER_BYTES + question.bytes.length + 11)
  buffer.writeUInt16BE(id, 0)
  buffer.writeUInt16BE(0x0100 | (checkingDisabled ? 0x0010 : 0), 2)
  buffer.writeUInt16BE(1, 4)
  buffer.writeUInt16BE(edns ? 1 : 0, 10)
  let at = HEADER_BYTES + question.bytes.copy(buffer, HEADER_BYTES)
  if (edns) at = writeOpt(buffer, at, 0, edns.dnssecOk ? DNSSEC_OK : 0)
  return buffer.subarray(0, at)
}
