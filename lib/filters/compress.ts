/** Compresses the answers that it makes smaller, for the clients that understand it. HOT */
import { constants, createBrotliCompress, createGzip } from 'node:zlib'
import { chooseCoding, DIGEST_NAMES, isTransformForbidden } from './content-coding.ts'
import { joinValues, removeFields } from './field-lines.ts'
import { defineFilter, type FilterHead, type StreamMaker } from './spec.ts'
import { createZlibStream } from './zlib-stream.ts'

type Coding = 'br' | 'gzip'

/** The codings that may be used, the preferred one first. */
type Options = Readonly<{ codings: readonly Coding[] }>

/** Below it the fields and the format itself take what compression saves. */
const LEAST_BYTES = 1024
/** Of both codings: beyond it each percent costs much time. */
const LEVEL = 4
/** Brotli remembers 2 to this power bytes; its usual 22 takes megabytes for each answer. */
const BROTLI_WINDOW = 18
/** Each takes up to a megabyte of a process; answers beyond go as they are. */
const MOST_AT_ONCE = 128
/** Milliseconds. What an endpoint sends piece by piece, a client gets piece by piece. */
const FLUSH_AFTER = 20

const MAKERS: Readonly<Record<Coding, StreamMaker>> = {
  br: () =>
    createZlibStream(
      createBrotliCompress({
        params: { [constants.BROTLI_PARAM_QUALITY]: LEVEL, [constants.BROTLI_PARAM_LGWIN]: BROTLI_WINDOW },
      }),
      { flush: { after: FLUSH_AFTER, kind: constants.BROTLI_OPERATION_FLUSH } },
    ),
  gzip: () =>
    createZlibStream(createGzip({ level: LEVEL }), { flush: { after: FLUSH_AFTER, kind: constants.Z_SYNC_FLUSH } }),
}

/** Events are to arrive at once, each alone; gRPC compresses by itself. */
const COMPRESSIBLE =
  /^(?:text\/(?!event-stream\b)|application\/(?:javascript|json|manifest|wasm|x-javascript|x-ndjson|xml)\b|(?!application\/grpc)[^;]+\+(?:json|xml)\b)/i
const RANGES = new Set(['accept-ranges'])

let atOnce = 0

export const COMPRESS = defineFilter<Options>({
  name: 'compress',
  order: 402,
  isGuard: false,
  annotations: {
    compress: `\`"true"\` (\`gzip\`), or \`gzip\` and \`br\`, the preferred one first: answers with text, JSON, JavaScript, XML or WebAssembly of at least ${LEAST_BYTES} bytes, or of unknown length, are compressed for clients that accept it; not those that are coded already, have a digest or \`Cache-Control: no-transform\`, are a range, or are \`text/event-stream\`. Their ETags become weak. \`"false"\` does nothing`,
  },
  read(annotations) {
    const text = annotations.text('compress')
    if (text === undefined || text === 'false') return undefined
    if (text === 'true') return { codings: ['gzip'] }
    const names = text.split(',').map((name) => name.trim())
    const codings = names.filter((name): name is Coding => name === 'gzip' || name === 'br')
    if (codings.length === names.length && new Set(names).size === names.length) return { codings }
    annotations.refuse(
      'compress',
      `"${text}" is neither "true" nor "false" nor a list of codings`,
      'write "true", "gzip", "br", or both as in "br, gzip"',
    )
    return undefined
  },
  print: ({ codings }) => codings.join(', '),
  create: ({ codings }) => ({
    responseNames: DIGEST_NAMES,
    response(head, request) {
      if (head.status !== 304) return
      addVary(head)
      const tag = joinValues(head.lines, 'etag')
      // The client has what was compressed: a strong validator would not select it (RFC 9111 §4.3.4).
      if (tag !== undefined && joinValues(request.lines, 'if-none-match')?.includes(`W/${tag}`)) weakenTag(head)
    },
    responseBody(head, request) {
      const { contentLength = LEAST_BYTES, status } = head
      if (contentLength < LEAST_BYTES || status === 206 || !isCompressible(head.lines)) return undefined
      addVary(head)
      if (joinValues(request.lines, 'range') !== undefined || isTransformForbidden(request.lines)) return undefined
      const coding = chooseCoding(joinValues(request.lines, 'accept-encoding'), codings)
      if (coding === undefined || atOnce >= MOST_AT_ONCE) return undefined
      weakenTag(head)
      head.lines = `${removeFields(head.lines, RANGES)}Content-Encoding: ${coding}\r\n`
      return () => {
        const stream = MAKERS[coding]()
        atOnce++
        return stream.once('close', () => {
          atOnce--
        })
      }
    },
  }),
})

function isCompressible(lines: string): boolean {
  const type = joinValues(lines, 'content-type')
  if (type === undefined || !COMPRESSIBLE.test(type)) return false
  if (joinValues(lines, 'content-encoding') !== undefined) return false
  return joinValues(lines, 'content-range') === undefined && !isTransformForbidden(lines)
}

/** Caches must not give one client what another one asked for (RFC 9110 §12.5.5). */
function addVary(head: FilterHead): void {
  const vary = joinValues(head.lines, 'vary')
  if (vary === undefined || !/(?:^|[\s,])(?:\*|accept-encoding)(?:$|[\s,])/i.test(vary))
    head.lines += 'Vary: Accept-Encoding\r\n'
}

/** The bytes are others, and mean the same (RFC 9110 §8.8.1). */
function weakenTag(head: FilterHead): void {
  head.lines = head.lines.replace(/^(etag:[ \t]*)(?=")/im, '$1W/')
}
