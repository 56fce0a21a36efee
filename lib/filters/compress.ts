/** Compresses the answers that it makes smaller, for the clients that understand it. HOT */
import { constants, createBrotliCompress, createGzip } from 'node:zlib'
import { printBytes } from '../base/measure.ts'
import { ClientCount, PerClient } from '../base/per-client.ts'
import { TextMemo } from '../base/text-memo.ts'
import { traceNames } from '../http1/name-traces.ts'
import { matching, splitList } from './annotation-form.ts'
import { chooseCoding, DIGEST_NAMES, isTransformForbidden } from './content-coding.ts'
import { joinValues, SoughtNames } from './field-lines.ts'
import { readSize, SIZE } from './size-annotation.ts'
import { type BodyChange, defineFilter, type FilterHead, FLUSH_AFTER } from './spec.ts'
import { addVary } from './vary.ts'
import { type CoderOptions, ZlibCoders } from './zlib-coder.ts'
import { createZlibStream } from './zlib-stream.ts'
import { ZSTD } from './zstd.ts'

/** Those of "true", in their order. */
const CODINGS = ['zstd', 'br', 'gzip'] as const

type Coding = (typeof CODINGS)[number]

type Options = Readonly<{
  /** The codings that may be used and that this Node has, the preferred one first. */
  codings: readonly Coding[]
  /** Bytes: shorter answers go as they are. */
  minSize: number
}>

/** Below it the fields and the format itself take what compression saves. */
const USUAL_MIN_SIZE = 1024
const HIGHEST_MIN_SIZE = 1024 ** 3
/** Higher ones take much time for each percent that they save. */
const BROTLI_LEVEL = 4
/** As nginx has it: level 4 takes half as much time again to save 3 percent of JSON. */
const GZIP_LEVEL = 1
/** Brotli remembers 2 to this power bytes; its usual 22 takes megabytes for each answer. */
const BROTLI_WINDOW = 18
/** Browsers send one of a few; a client may send any. */
const MOST_CHOSEN = 100
/** Each takes up to two megabytes of a process; answers beyond go as they are. */
const MOST_AT_ONCE = 128
/** So many of them are of one client: answers that never end would switch compression off for all others. */
const MOST_OF_CLIENT = 64

let atOnce = 0
const ofClients = new PerClient(() => new ClientCount())

/** What makes the change of an answer to a client, by the codings that this Node has. */
const CHANGES: Readonly<Partial<Record<Coding, (client: string) => BodyChange>>> = {
  ...(ZSTD && { zstd: createChange(ZSTD.coder) }),
  br: createChange({
    createStream: () =>
      createBrotliCompress({
        params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_LEVEL, [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW },
      }),
    operations: {
      work: constants.BROTLI_OPERATION_PROCESS,
      flush: constants.BROTLI_OPERATION_FLUSH,
      end: constants.BROTLI_OPERATION_FINISH,
    },
    isReset: false,
  }),
  gzip: createChange({
    createStream: () => createGzip({ level: GZIP_LEVEL }),
    operations: { work: constants.Z_NO_FLUSH, flush: constants.Z_SYNC_FLUSH, end: constants.Z_FINISH },
    isReset: true,
  }),
}

/** Events are to arrive at once, each alone; gRPC compresses by itself. */
const COMPRESSIBLE =
  /^(?:text\/(?!event-stream\b)|application\/(?:javascript|json|manifest|wasm|x-javascript|x-ndjson|xml)\b|(?!application\/grpc)[^;]+\+(?:json|xml)\b)/i
/** One look at the lines for all that concerns the coding: most answers have little of it. */
const CONCERNED = new SoughtNames(['etag', 'accept-ranges', 'content-encoding', 'content-range'])
const TAG = 1
/** The body is coded already, or a part alone. */
const UNFIT = 12
const CODED = traceNames(['content-encoding'])
const ACCEPT_RANGES = new SoughtNames(['accept-ranges'])

export const COMPRESS = defineFilter<Options>({
  name: 'compress',
  order: 402,
  isGuard: false,
  annotations: {
    compress: {
      about:
        '`"true"` (`zstd, br, gzip`), or some of these codings, the preferred one first: answers with text, JSON, JavaScript, XML or WebAssembly are compressed for clients that accept it; not those that are coded already, have a digest or `Cache-Control: no-transform`, are a range, or are `text/event-stream`. Their ETags become weak. `"false"` does nothing',
      form: {
        ...matching(
          /^(?:true|false|(?!.*(zstd|br|gzip).*\1)(?:zstd|br|gzip)(?:\s*,\s*(?:zstd|br|gzip))*)$/,
          'is neither "true" nor "false" nor a list of codings',
          'write "true", or some of zstd, br and gzip as in "br, gzip"',
        ),
        structure: 'list',
      },
    },
    'compress-min-size': {
      about: `answers with fewer bytes are not compressed (\`${printBytes(USUAL_MIN_SIZE)}\`); answers of unknown length are`,
      form: SIZE,
      needs: 'compress',
    },
  },
  read(annotations) {
    const text = annotations.text('compress')
    // A size may stay where compression is off, for the next time.
    const minSize = readSize(annotations, 'compress-min-size', USUAL_MIN_SIZE, HIGHEST_MIN_SIZE)
    if (text === undefined || text === 'false') return undefined
    const wanted = text === 'true' ? CODINGS : (splitList(text) as readonly Coding[])
    const codings = wanted.filter((coding) => CHANGES[coding] !== undefined)
    if (codings.length === 0) {
      annotations.refuse(
        'compress',
        `zstd needs Node 22.15, 23.8 or later, and this is Node ${process.versions.node}: answers are not compressed`,
        'add another coding as in "zstd, gzip", or run Portico with a newer Node',
      )
    }
    return { codings, minSize }
  },
  print: ({ codings, minSize }) => `${codings.join(', ')} from ${printBytes(minSize)}`,
  create({ codings, minSize }) {
    /** By Accept-Encoding: the coding that it prefers. */
    const chosen = new TextMemo(MOST_CHOSEN, (accepted) => chooseCoding(accepted, codings))
    return {
      responseNames: DIGEST_NAMES,
      response(head, request) {
        if (head.status !== 304) return
        addVary(head, 'Accept-Encoding')
        const tag = head.find('etag')
        // The client has what was compressed: a strong validator would not select it (RFC 9111 §4.3.4).
        if (tag !== undefined && joinValues(request.lines, 'if-none-match')?.includes(`W/${tag}`)) weakenTag(head)
      },
      responseBody(head, request) {
        const { contentLength = minSize, status } = head
        if (contentLength < minSize || status === 206) return undefined
        const present = head.mark(CONCERNED)
        if ((present & UNFIT) !== 0 || !isCompressible(head.lines)) return undefined
        addVary(head, 'Accept-Encoding')
        if (joinValues(request.lines, 'range') !== undefined || isTransformForbidden(request.lines)) return undefined
        const accepted = joinValues(request.lines, 'accept-encoding')
        const coding = accepted === undefined ? undefined : chosen.find(accepted)
        if (coding === undefined || !hasRoom(request.clientNetwork)) return undefined
        if ((present & TAG) !== 0) weakenTag(head)
        head.remove(ACCEPT_RANGES)
        head.add(`Content-Encoding: ${coding}\r\n`, CODED)
        return CHANGES[coding]!(request.clientNetwork)
      },
    }
  },
})

function createChange(options: CoderOptions): (client: string) => BodyChange {
  const { createStream, operations } = options
  const coders = ZlibCoders.create(options)
  const flush = { after: FLUSH_AFTER, kind: operations.flush }
  return (client) => ({
    stream: () => createZlibStream(createStream(), { flush }).once('close', begin(client)),
    ...(coders && { coder: () => coders.open(begin(client)) }),
  })
}

function hasRoom(client: string): boolean {
  return atOnce < MOST_AT_ONCE && ofClients.find(client).value < MOST_OF_CLIENT
}

/** Counts an answer that is compressed, until it is called back. */
function begin(client: string): () => void {
  atOnce++
  ofClients.find(client).value++
  return () => {
    atOnce--
    ofClients.find(client).value--
  }
}

function isCompressible(lines: string): boolean {
  const type = joinValues(lines, 'content-type')
  return type !== undefined && COMPRESSIBLE.test(type) && !isTransformForbidden(lines)
}

/** The bytes are others, and mean the same (RFC 9110 §8.8.1). */
function weakenTag(head: FilterHead): void {
  head.replace(/^etag:[ \t]*(?=")/im, (name) => `${name}W/`)
}
