/** Requests: what the fast lane's codec accepts, llhttp accepts and reads the same. */
import { isDeepStrictEqual } from 'node:util'
import { readFields } from '../../lib/downstream/fields.ts'
import { ChunkedDecoder, MORE } from '../../lib/http1/chunked-decoder.ts'
import type { RequestFields } from '../../lib/http1/request-fields.ts'
import { RequestLine } from '../../lib/http1/request-line.ts'
import { DECLINED, PARTIAL, type RequestHead, scanRequest } from '../../lib/http1/request-scan.ts'
import { makeSettings } from '../helpers/settings.ts'
import { makeRequest } from './grammar.ts'
import { RequestJudge } from './llhttp.ts'
import { mutate } from './mutation.ts'
import { ORDINARY_REQUESTS } from './ordinary.ts'
import type { Random } from './random.ts'
import { SMUGGLING } from './smuggling.ts'
import { print, type Target } from './target.ts'

type CodecRequest = {
  method: string
  target: string
  fields: RequestFields
  keepAlive: boolean
  body: Buffer
  trailers: readonly string[]
}

/** `declined` and `invalid`: the lane lets the rest of the connection be. `partial`: it waits for more. */
type Reading = {
  messages: CodecRequest[]
  /** Bytes that the messages took. */
  taken: number
  end: 'partial' | 'declined' | 'invalid' | 'closed'
}

const settings = makeSettings()
const { limits } = settings

/** Reads as the lane does: head by head out of what has come so far, bodies as they come. */
export function readAsLane(pieces: readonly Buffer[]): Reading {
  const decoder = new ChunkedDecoder()
  const messages: CodecRequest[] = []
  let taken = 0
  let pending: Buffer = Buffer.alloc(0)
  let head: RequestHead | undefined
  let body: Buffer[] = []
  /** Of a counted body. */
  let missing = 0
  let start = 0
  const finish = (bytes: Buffer, trailers: readonly string[]): Buffer => {
    const { method, target, fields, keepAlive } = head!
    messages.push({ method, target, fields, keepAlive, body: Buffer.concat(body), trailers })
    head = undefined
    taken = start - bytes.length
    return bytes
  }
  for (const piece of pieces) {
    start += piece.length
    // The decoder writes into what it reads.
    pending = Buffer.concat([pending, piece])
    while (pending.length > 0) {
      if (!head) {
        const scanned = scanRequest(pending, 0, limits)
        if (scanned === DECLINED) return { messages, taken, end: 'declined' }
        if (scanned === PARTIAL) break
        head = scanned
        pending = pending.subarray(head.end)
        body = []
        missing = head.fields.contentLength ?? 0
        decoder.reset()
        if (head.fields.chunked) continue
      }
      if (head.fields.chunked) {
        const end = decoder.decode(pending, 0)
        if (end < 0 && end !== MORE) return { messages, taken, end: 'invalid' }
        if (decoder.data) body.push(decoder.data)
        if (end === MORE) {
          pending = Buffer.alloc(0)
          break
        }
        pending = finish(pending.subarray(end), decoder.trailers)
      } else {
        const part = pending.subarray(0, missing)
        missing -= part.length
        if (part.length > 0) body.push(Buffer.from(part))
        pending = pending.subarray(part.length)
        if (missing > 0) break
        pending = finish(pending, [])
      }
      if (messages.at(-1)!.keepAlive === false) return { messages, taken, end: 'closed' }
    }
  }
  return { messages, taken, end: 'partial' }
}

/** Stands behind what the codec took: read as a request of its own, the end was seen in the same place. */
const PROBE = Buffer.from('GET /probe HTTP/1.1\r\nHost: probe.test\r\n\r\n')

export class RequestTarget implements Target {
  readonly name = 'requests'
  readonly corpus: readonly Buffer[] = [...ORDINARY_REQUESTS, ...SMUGGLING.map(([, bytes]) => bytes)].map((text) =>
    Buffer.from(text, 'latin1'),
  )
  readonly #judge = new RequestJudge(limits.headerBytes)

  make(random: Random): Buffer {
    const messages: Buffer[] = []
    do messages.push(random.oneIn(6) ? random.pick(this.corpus) : makeRequest(random, random.pick([10, 40, 400])))
    while (random.oneIn(3))
    return mutate(Buffer.concat(messages), random.oneIn(3) ? 1 + random.below(3) : 0, random)
  }

  accepts(bytes: Buffer): boolean {
    return readAsLane([bytes]).messages.length > 0
  }

  async check(bytes: Buffer, random: Random): Promise<string | undefined> {
    const whole = readAsLane([bytes])
    const pieces = random.split(bytes, 12)
    const split = readAsLane(pieces)
    if (!isDeepStrictEqual(split, whole)) {
      return `split at ${pieces.map(({ length }) => length)} the codec reads ${print(split)}, whole ${print(whole)}`
    }
    const { messages, taken } = whole
    if (messages.length === 0) return undefined
    const line = new RequestLine()
    line.read(bytes, 0)
    if (!line.isOver) return `the line of a request that the codec reads as ${print(messages[0])} is refused behind it`
    const probed = messages.at(-1)!.keepAlive
    const fed = Buffer.concat(probed ? [bytes.subarray(0, taken), PROBE] : [bytes.subarray(0, taken)])
    const judged = await this.#judge.read(random.split(fed, 12))
    if (typeof judged === 'string') return `llhttp: ${judged}; the codec: ${print(whole)}`
    const expected = probed ? messages.length + 1 : messages.length
    if (judged.length !== expected) return `llhttp reads ${judged.length} requests, the codec ${expected}`
    if (probed && judged.at(-1)!.target !== '/probe') return `behind it llhttp reads ${judged.at(-1)!.target}`
    for (const [at, message] of messages.entries()) {
      const { fields, ...rest } = judged[at]!
      const asJudged = { ...rest, version: undefined, fields: readFields(fields, 'HTTP/1.1', settings) }
      if (rest.version !== '1.1') return `llhttp reads HTTP/${rest.version}`
      if (!isDeepStrictEqual(asJudged, { ...message, version: undefined })) {
        return `request ${at}: llhttp reads ${print(judged[at])}, that is ${print(asJudged)}, the codec ${print(message)}`
      }
    }
    return undefined
  }
}
