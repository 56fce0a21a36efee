/**
 * Looks other names up at the configured resolvers: over UDP, each time from another port and with another id, then over TCP if the
 * answer did not fit. It caches nothing, since the resolvers do.
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
  /** The time limit of one resolver, in milliseconds. */
  timeoutMs: number
  maxInFlight: number
}>

export type ForwardedQuery = Readonly<{ question: Question; edns: Edns | undefined; checkingDisabled: boolean }>

/** The number of times that each resolver is asked. */
const ROUNDS = 2
/** Milliseconds after which clients give up. */
const TOTAL_MS = 5_000
/** Most packets with another id or question: more of them are guesses of an attacker. */
const MAX_STRAYS = 32
/** RCODEs that concern the resolver and not the name, so that another resolver is asked. */
const RETRIED: ReadonlySet<number> = new Set([SERVFAIL, NOTIMP, REFUSED])
const DNSSEC_OK = 0x8000

export class Forwarder {
  readonly #options: ForwarderOptions
  /** Functions that end the look-ups under way. */
  readonly #open = new Set<() => void>()
  #inFlight = 0
  #isClosed = false

  constructor(options: ForwarderOptions) {
    this.#options = options
  }

  /** Rejects if no resolver answers, or too many questions are under way. */
  async ask(query: ForwardedQuery): Promise<ForeignAnswer> {
    if (this.#inFlight >= this.#options.maxInFlight) throw new Error('too many names are being looked up')
    this.#inFlight++
    try {
      return await this.#askAll(query)
    } finally {
      this.#inFlight--
    }
  }

  close(): void {
    this.#isClosed = true
    for (const end of [...this.#open]) end()
  }

  async #askAll(query: ForwardedQuery): Promise<ForeignAnswer> {
    const resolvers = await this.#options.resolvers()
    const deadline = performance.now() + TOTAL_MS
    let refusal: ForeignAnswer | undefined
    let failure: unknown = new Error('no resolver is known')
    for (let round = 0; round < ROUNDS; round++) {
      for (const resolver of resolvers) {
        const timeoutMs = Math.min(this.#options.timeoutMs, deadline - performance.now())
        if (timeoutMs <= 0 || this.#isClosed) break
        try {
          const answer = await this.#askOne(resolver, query, timeoutMs)
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

  async #askOne(resolver: ResolverAddress, query: ForwardedQuery, timeoutMs: number): Promise<ForeignAnswer> {
    const answer = await this.#askOver(askUdp, resolver, query, timeoutMs)
    return answer.isTruncated ? this.#askOver(askTcp, resolver, query, timeoutMs) : answer
  }

  #askOver(
    transport: Transport,
    resolver: ResolverAddress,
    query: ForwardedQuery,
    timeoutMs: number,
  ): Promise<ForeignAnswer> {
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
          const answer = readForeignAnswer(message, id, query.question)
          if (answer !== undefined) settle(() => resolve(answer))
          else if (++strays > MAX_STRAYS) fail(new Error(`answers of ${resolver.address} are being forged`))
        } catch (error) {
          fail(error as Error)
        }
      }
      const end = transport(resolver, writeQuery(query, id), take, fail)
    })
  }
}

/** Asks once; returns a function that ends the attempt. */
type Transport = (
  resolver: ResolverAddress,
  message: Buffer,
  take: (message: Buffer) => void,
  fail: (error: Error) => void,
) => () => void

/** A connected socket receives packets of its peer alone, and learns that a port is closed. */
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

/** Writes the question, with EDNS if the client has it, so that the answer can be passed on unchanged. */
function writeQuery({ question, edns, checkingDisabled }: ForwardedQuery, id: number): Buffer {
  const buffer = Buffer.alloc(HEADER_BYTES + question.bytes.length + 11)
  buffer.writeUInt16BE(id, 0)
  buffer.writeUInt16BE(0x0100 | (checkingDisabled ? 0x0010 : 0), 2)
  buffer.writeUInt16BE(1, 4)
  buffer.writeUInt16BE(edns ? 1 : 0, 10)
  let at = HEADER_BYTES + question.bytes.copy(buffer, HEADER_BYTES)
  if (edns) at = writeOpt(buffer, at, 0, edns.dnssecOk ? DNSSEC_OK : 0)
  return buffer.subarray(0, at)
}
