/** Responses: what the upstream client takes for a whole response, llhttp takes for one and reads the same. */

import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { isDeepStrictEqual } from 'node:util'
import { END_TO_END, HOP_BY_HOP } from '../../lib/http1/field-names.ts'
import type { ResponseHead } from '../../lib/http1/response-head.ts'
import type { UpstreamRequest } from '../../lib/upstream/transport/call.ts'
import { Connection, type Peer } from '../../lib/upstream/transport/connection.ts'
import { Http1Call } from '../../lib/upstream/transport/http1-call.ts'
import { PrivateConnections } from '../../lib/upstream/transport/private-connections.ts'
import { BODILESS } from '../helpers/bodiless.ts'
import { makeResponse } from './grammar.ts'
import { judgeResponse, type ReadResponse } from './llhttp.ts'
import { mutate } from './mutation.ts'
import { ORDINARY_RESPONSES } from './ordinary.ts'
import type { Random } from './random.ts'
import { print, type Target } from './target.ts'

const MAX_HEADER_BYTES = 16_384

type Reading = {
  status: number
  reason: string
  lines: string
  contentLength: number | undefined
  chunked: boolean
  body: Buffer
  trailers: readonly string[]
  /** The connection would carry the next request. */
  reused: boolean
  /** Bytes it took, without the FIN. */
  taken: number
  /** Only the FIN ended it. */
  byFin: boolean
}

/** A socket that hears what it is told to hear. */
class QuietSocket extends Duplex {
  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
  }
}

/** What the upstream client makes of an answer to `method` that comes in these pieces; `fin` follows them. */
export function readAsUpstream(method: string, pieces: readonly Buffer[], fin: boolean): Reading | string {
  const socket = new QuietSocket()
  socket.on('error', () => {})
  let reused = false
  const plain = socket as unknown as Socket
  const peer: Peer = {
    hostLine: () => '',
    acquire: (waiter) => {
      connection.lease()
      waiter.onConnection(connection)
    },
    begin: () => {},
    end: () => {},
    recordFailure: () => {},
  }
  const connection = new Connection(
    { socket: plain, transport: plain },
    {
      place: 'fuzz',
      peer,
      rest: () => {
        reused = true
      },
      noteStale: () => {},
      withdraw: () => {},
      forget: () => {},
    },
  )
  let head: ResponseHead | undefined
  const chunks: Buffer[] = []
  let result: Reading | string | undefined
  let taken = 0
  let byFin = false
  const request: UpstreamRequest = {
    ...BODILESS,
    client: { path: undefined, privates: undefined, claimPrivates: () => new PrivateConnections() },
    proxyVersion: undefined,
    connectTimeout: 1_000,
    method,
    target: '/',
    authority: 'up.test',
    hostSetting: 'client',
    host: undefined,
    lines: '',
    addedLines: '',
    maxHeaderBytes: MAX_HEADER_BYTES,
  }
  const call = new Http1Call(peer, request, {
    isRepeatable: true,
    onMoved: () => {},
    onReady: () => call.end([]),
    onUnreachable: () => {},
    givesUp: () => false,
    onStale: () => false,
    onInformational: () => {},
    onHead: (given) => {
      head = given
    },
    onData: (chunk) => {
      chunks.push(Buffer.from(chunk))
    },
    onEnd: (trailers) => {
      const { status, reason, lines, contentLength, chunked } = head!
      result = {
        status,
        reason,
        lines,
        contentLength,
        chunked,
        body: Buffer.concat(chunks),
        trailers,
        reused,
        taken,
        byFin,
      }
    },
    onUpgrade: () => {
      result = 'upgrade'
    },
    onError: (error) => {
      result = error.code
    },
    onDrain: () => {},
  })
  call.start()
  for (const piece of pieces) {
    if (result !== undefined) break
    taken += piece.length
    // The bytes are only lent.
    const lent = Buffer.from(piece)
    connection.receive(lent)
    lent.fill('X')
  }
  byFin = true
  if (result === undefined && fin) socket.emit('end')
  socket.destroy()
  if (result === undefined) return 'incomplete'
  return result
}

export class ResponseTarget implements Target {
  readonly name = 'responses'
  readonly corpus: readonly Buffer[] = ORDINARY_RESPONSES.map((text) => Buffer.from(text, 'latin1'))

  make(random: Random): Buffer {
    const made = random.oneIn(8) ? random.pick(this.corpus) : makeResponse(random, random.pick([10, 40, 400]))
    const behind = random.oneIn(6) ? random.pick(this.corpus) : Buffer.alloc(0)
    return mutate(Buffer.concat([made, behind]), random.oneIn(2) ? 0 : 1 + random.below(3), random)
  }

  accepts(bytes: Buffer): boolean {
    return typeof readAsUpstream('GET', [bytes], true) !== 'string'
  }

  async check(bytes: Buffer, random: Random): Promise<string | undefined> {
    const method = random.oneIn(5) ? 'HEAD' : 'GET'
    const whole = readAsUpstream(method, [bytes], true)
    const single = readAsUpstream(
      method,
      [...bytes].map((byte) => Buffer.of(byte)),
      true,
    )
    const pieces = random.split(bytes, 12)
    const split = readAsUpstream(method, pieces, true)
    // Whether it ends before its last byte cannot be told from a reading of it in one piece.
    for (const [how, reading] of [
      ['whole', whole],
      [`in pieces of ${pieces.map(({ length }) => length)}`, split],
    ] as const) {
      if (!isDeepStrictEqual(essence(reading), essence(single))) {
        return `${method}: byte by byte the client reads ${print(single)}, ${how} ${print(reading)}`
      }
    }
    if (typeof single === 'string') return undefined
    const surplus = bytes.length > single.taken
    if (typeof whole !== 'string' && whole.reused && surplus)
      return 'a connection with surplus bytes would be used again'
    const used = bytes.subarray(0, single.taken)
    const judged = await judgeResponse(method, random.split(used, 12), single.byFin, MAX_HEADER_BYTES)
    if (typeof judged === 'string') return `${method}: llhttp: ${judged}; the client: ${print(single)}`
    // Of HEAD, llhttp judges it before it knows that no body comes.
    if (method !== 'HEAD' && single.reused && !judged.keepAlive) return `reuse: the client ${print(single)}`
    const difference = compare(single, judged)
    return difference && `${method}: ${difference}: llhttp reads ${print(judged)}, the client ${print(single)}`
  }
}

/** Which fault is found first may depend on how much has come. */
function essence(reading: Reading | string): unknown {
  return typeof reading === 'string' ? 'refused' : { ...reading, taken: 0, reused: false }
}

function compare(read: Reading, judged: ReadResponse): string | undefined {
  if (read.status !== judged.status) return 'status'
  if (read.reason !== judged.reason) return 'reason'
  if (!read.body.equals(judged.body)) return 'body'
  if (!isDeepStrictEqual(read.trailers, judged.trailers)) return 'trailers'
  const lengths = valuesOf(judged.fields, 'content-length')
  const mayDeclare = judged.status !== 204
  if (
    mayDeclare &&
    (lengths.length > 1 || read.contentLength !== (lengths.length === 0 ? undefined : Number(lengths[0])))
  ) {
    return 'Content-Length'
  }
  if (mayDeclare && read.chunked !== valuesOf(judged.fields, 'transfer-encoding').length > 0) return 'Transfer-Encoding'
  if (!isDeepStrictEqual(split(read.lines), travelling(judged.fields))) return 'fields'
  return undefined
}

/** What of the fields goes on to the client. In `Connection`, `close` is an option and names no field. */
function travelling(fields: readonly string[]): readonly string[] {
  const listed = valuesOf(fields, 'connection')
    .flatMap((value) => value.split(','))
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== 'close' && !END_TO_END.has(name))
  const kept: string[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]!.toLowerCase()
    if (HOP_BY_HOP.has(name) || name === 'content-length' || name === 'x-request-id' || listed.includes(name)) continue
    kept.push(fields[at]!, fields[at + 1]!)
  }
  return kept
}

function valuesOf(fields: readonly string[], name: string): string[] {
  return fields.filter((_, at) => at % 2 === 1 && fields[at - 1]!.toLowerCase() === name)
}

/** Lines as names and values in turn, without the blanks that may stand about a value. */
function split(lines: string): readonly string[] {
  return lines
    .split('\r\n')
    .slice(0, -1)
    .flatMap((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
    })
}
