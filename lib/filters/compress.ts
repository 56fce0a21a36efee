/** Compresses the answers that it makes smaller, for the clients that understand it. HOT */
import { createGzip } from 'node:zlib'
import { acceptsCoding, isTransformForbidden } from './content-coding.ts'
import { joinValues, removeFields } from './field-lines.ts'
import { defineFilter } from './spec.ts'
import { createZlibStream } from './zlib-stream.ts'

type Options = Readonly<{ coding: 'gzip' }>

/** Below it the fields and the format itself take what compression saves. */
const LEAST_BYTES = 1024
/** Beyond it each percent costs much time. */
const LEVEL = 4
/** Each takes a quarter of a megabyte of a process; answers beyond go as they are. */
const MOST_AT_ONCE = 256
/** Milliseconds. What an endpoint sends piece by piece, a client gets piece by piece. */
const FLUSH_AFTER = 20

const COMPRESSIBLE =
  /^(?:text\/(?!event-stream\b)|application\/(?:javascript|json|manifest|wasm|x-javascript|x-ndjson|xml)\b|(?!application\/grpc)[^;]+\+(?:json|xml)\b)/i
const NO_RANGES = new Set(['accept-ranges'])
/** Digests of the bytes as an endpoint sends them. */
const DIGESTS = new Set(['content-digest', 'content-md5', 'digest', 'repr-digest'])

let atOnce = 0

export const COMPRESS = defineFilter<Options>({
  name: 'compress',
  order: 402,
  isGuard: false,
  annotations: {
    compress: `\`"true"\` or \`gzip\`: answers with text, JSON, JavaScript, XML or WebAssembly of at least ${LEAST_BYTES} bytes are compressed for clients that accept it; \`"false"\` does nothing`,
  },
  read(annotations) {
    const text = annotations.text('compress')
    if (text === 'true' || text === 'gzip') return { coding: 'gzip' }
    if (text !== undefined && text !== 'false')
      annotations.refuse('compress', `"${text}" is none of "true", "gzip" and "false"`, 'write "true" or "gzip"')
    return undefined
  },
  print: ({ coding }) => coding,
  create: ({ coding }) => ({
    responseNames: DIGESTS,
    responseBody(head, request) {
      const { lines, status, contentLength = LEAST_BYTES } = head
      if (contentLength < LEAST_BYTES || status === 206 || !isCompressible(lines)) return undefined
      const vary = joinValues(lines, 'vary')
      // Caches must not give one client what another one asked for (RFC 9110 §12.5.5).
      if (vary === undefined || !/(?:^|[\s,])(?:\*|accept-encoding)(?:$|[\s,])/i.test(vary))
        head.lines += 'Vary: Accept-Encoding\r\n'
      if (isTransformForbidden(request.lines) || request.header('range') !== undefined) return undefined
      if (atOnce >= MOST_AT_ONCE || !acceptsCoding(joinValues(request.lines, 'accept-encoding'), coding))
        return undefined
      // The bytes are others now, and mean the same: a strong validator becomes a weak one (RFC 9110 §8.8.1).
      const weakened = removeFields(head.lines, NO_RANGES).replace(/^(etag:[ \t]*)(?=")/im, '$1W/')
      head.lines = `${weakened}Content-Encoding: ${coding}\r\n`
      atOnce++
      const stream = createZlibStream(createGzip({ level: LEVEL }), { flushAfter: FLUSH_AFTER })
      return stream.once('close', () => {
        atOnce--
      })
    },
  }),
})

function isCompressible(lines: string): boolean {
  const type = joinValues(lines, 'content-type')
  if (type === undefined || !COMPRESSIBLE.test(type)) return false
  for (const name of DIGESTS) if (joinValues(lines, name) !== undefined) return false
  const isCoded =
    joinValues(lines, 'content-encoding') !== undefined || joinValues(lines, 'content-range') !== undefined
  return !isCoded && !isTransformForbidden(lines)
}
