/** Turns the bytes of a question into the bytes of its answer: from the zone, from other resolvers, or a refusal. */
import { createAddressSet } from '../base/cidr.ts'
import { adaptAnswer, collectAddresses } from './foreign-answer.ts'
import type { Forwarder } from './forwarder.ts'
import { type Found, lookUp } from './lookup.ts'
import { makeQuestion, type Query, type Question, readQuery } from './query.ts'
import { ANY, NOTIMP, printCode, printType, REFUSED, SERVFAIL } from './record.ts'
import { MAX_TCP_BYTES, plainResponse, type Response, udpLimit, writeResponse, writeTruncated } from './response.ts'
import type { Zone } from './zone.ts'

export type Client = Readonly<{ address: string; transport: 'udp' | 'tcp' }>

/** Undefined if no answer is to be sent. */
export type Reply = Buffer | undefined

export type Count = Readonly<{ type: string; code: string; count: number }>

export type Catalogue = Readonly<{
  zone: Zone
  /** Undefined if other names are refused. */
  forwarder: Pick<Forwarder, 'ask'> | undefined
}>

export type ResponderEvents = Readonly<{
  /** Called with an unexpected error, after which the question gets no answer. */
  onBug: (error: unknown) => void
  /** Called if a name could not be looked up elsewhere; the answer is SERVFAIL. */
  onForwardFailed: (error: Error) => void
}>

/**
 * The clients that may look other names up: an open resolver would help attacks on others (RFC 5358). Teredo, 6to4 and anycast
 * addresses are not among them, since they are routed through the internet.
 */
const TRUSTED = createAddressSet([
  ...['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10'],
  ...['::1', 'fc00::/7', 'fe80::/10'],
])

export class Responder {
  readonly #notes: ResponderEvents
  readonly #counts = new Map<string, { type: string; code: string; count: number }>()
  #catalogue: Catalogue
  #turn = 0

  constructor(catalogue: Catalogue, notes: ResponderEvents) {
    this.#catalogue = catalogue
    this.#notes = notes
  }

  /** Answers all further questions from this catalogue. */
  use(catalogue: Catalogue): void {
    this.#catalogue = catalogue
  }

  counts(): Iterable<Count> {
    return this.#counts.values()
  }

  /** Answers at once, unless another resolver must be asked. */
  respond(message: Buffer, client: Client): Reply | Promise<Reply> {
    try {
      const read = readQuery(message)
      if (read === undefined) return undefined
      const { query, code } = read
      const limit = client.transport === 'tcp' ? MAX_TCP_BYTES : udpLimit(query)
      const { question } = query
      if (code !== undefined || question === undefined) return this.#refuse(query, code ?? SERVFAIL, limit)
      const { zone } = this.#catalogue
      if (zone.authorityOf(question.name) === undefined) return this.#passOn(query, question, client, limit)
      const found = lookUp(zone, question.name, question.type, this.#turn++)
      if (found.outside !== undefined && this.#mayForward(query, client)) {
        return this.#follow(query, question, found, limit)
      }
      return this.#write(query, found, limit)
    } catch (error) {
      this.#notes.onBug(error)
      return undefined
    }
  }

  #mayForward(query: Query, { address }: Client): boolean {
    return this.#catalogue.forwarder !== undefined && query.recursionDesired && TRUSTED.has(address)
  }

  #passOn(query: Query, question: Question, client: Client, limit: number): Reply | Promise<Reply> {
    if (!this.#mayForward(query, client)) return this.#refuse(query, REFUSED, limit)
    if (question.type === ANY && client.transport === 'udp') return this.#refuse(query, NOTIMP, limit)
    return this.#ask(query, question, limit)
  }

  async #ask(query: Query, question: Question, limit: number): Promise<Reply> {
    try {
      const { edns, checkingDisabled } = query
      const answer = await this.#catalogue.forwarder!.ask({ question, edns, checkingDisabled })
      this.#count(query, answer.code)
      return answer.bytes.length > limit ? writeTruncated(query, limit) : adaptAnswer(answer, query)
    } catch (error) {
      this.#notes.onForwardFailed(error as Error)
      return this.#refuse(query, SERVFAIL, limit)
    }
  }

  /** Adds the records that an alias leads to. The RCODE is that of the last name (RFC 6604). */
  async #follow(query: Query, { type }: Question, found: Found, limit: number): Promise<Reply> {
    try {
      const question = makeQuestion(found.outside!, type)
      const answer = await this.#catalogue.forwarder!.ask({ question, edns: undefined, checkingDisabled: false })
      const answers = [...found.answers, ...collectAddresses(answer, question)]
      return this.#write(query, { ...found, code: answer.code, answers }, limit)
    } catch (error) {
      this.#notes.onForwardFailed(error as Error)
      return this.#refuse(query, SERVFAIL, limit)
    }
  }

  #write(query: Query, found: Omit<Response, 'recursionAvailable'>, limit: number): Buffer {
    this.#count(query, found.code)
    return writeResponse(query, { ...found, recursionAvailable: this.#catalogue.forwarder !== undefined }, limit)
  }

  #refuse(query: Query, code: number, limit: number): Buffer {
    this.#count(query, code)
    return writeResponse(query, plainResponse(code, this.#catalogue.forwarder !== undefined), limit)
  }

  #count({ question }: Query, code: number): void {
    const labels = { type: printType(question?.type), code: printCode(code) }
    const key = `${labels.type} ${labels.code}`
    const known = this.#counts.get(key)
    if (known === undefined) this.#counts.set(key, { ...labels, count: 1 })
    else known.count++
  }
}
