/** Gives endpoints the bodies of requests without their gzip coding. HOT */
import { createGunzip } from 'node:zlib'
import { GatewayError } from '../base/errors.ts'
import { BYTES, parseMeasure, printBytes } from '../base/measure.ts'
import { isTransformForbidden } from './content-coding.ts'
import { joinValues, removeFields } from './field-lines.ts'
import { type AnnotationReader, defineFilter } from './spec.ts'
import { createZlibStream } from './zlib-stream.ts'

/** The most bytes that a body may become. */
type Options = Readonly<{ limit: number }>

const USUAL_LIMIT = 16 * 1024 ** 2
const HIGHEST_LIMIT = 16 * 1024 ** 3

const CODING = new Set(['content-encoding'])
/** Digests of the bytes as the client sends them: an endpoint could not check others. */
const DIGESTS = ['content-digest', 'content-md5', 'digest', 'repr-digest']

export const DECOMPRESS = defineFilter<Options>({
  name: 'decompress',
  order: 404,
  isGuard: false,
  annotations: {
    'decompress-requests':
      '`"true"`: endpoints get bodies that clients have compressed with gzip as they were before; other codings go on as they are; `"false"` does nothing',
    'decompress-limit': `the most bytes that a body may become; larger ones are answered 413 (\`${printBytes(USUAL_LIMIT)}\`)`,
  },
  read(annotations) {
    const text = annotations.text('decompress-requests')
    const limit = readLimit(annotations)
    if (text !== undefined && text !== 'true' && text !== 'false')
      annotations.refuse('decompress-requests', `"${text}" is neither "true" nor "false"`, 'write "true" or "false"')
    return text === 'true' ? { limit } : undefined
  },
  print: ({ limit }) => `gzip of requests, up to ${printBytes(limit)}`,
  create: ({ limit }) => ({
    requestBody(draft) {
      const coding = joinValues(draft.lines, 'content-encoding')?.toLowerCase()
      if (coding !== 'gzip' && coding !== 'x-gzip') return undefined
      const isVouchedFor = DIGESTS.some((name) => joinValues(draft.lines, name) !== undefined)
      if (isVouchedFor || isTransformForbidden(draft.lines)) return undefined
      draft.lines = removeFields(draft.lines, CODING)
      let bytes = 0
      return createZlibStream(createGunzip(), {
        check: (chunk) => {
          bytes += chunk.length
          const why = `the body is more than ${limit} bytes once it is decompressed`
          return bytes > limit ? new GatewayError('PORTICO_REQ_TOO_LARGE', why) : undefined
        },
        explain: ({ message }) => new GatewayError('PORTICO_REQ_BAD_CODING', `gzip: ${message}`),
      })
    },
  }),
})

/** A limit may stay where decompression is off, for the next time. */
function readLimit(annotations: AnnotationReader): number {
  const text = annotations.text('decompress-limit')
  if (text === undefined) return USUAL_LIMIT
  const limit = BYTES.pattern.test(text) ? parseMeasure(text, BYTES) : 0
  if (Number.isInteger(limit) && limit >= 1 && limit <= HIGHEST_LIMIT) return limit
  const message = `"${text}" is no size from 1 byte to ${printBytes(HIGHEST_LIMIT)}`
  annotations.refuse('decompress-limit', message, BYTES.example)
  return USUAL_LIMIT
}
