/** Gives endpoints the bodies of requests as they were before the client compressed them. HOT */
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { GatewayError } from '../base/errors.ts'
import { printBytes } from '../base/measure.ts'
import { oneOf } from './annotation-form.ts'
import { isTransformForbidden } from './content-coding.ts'
import { joinValues, removeFields } from './field-lines.ts'
import { readSize, SIZE } from './size-annotation.ts'
import { defineFilter } from './spec.ts'
import { createZlibStream } from './zlib-stream.ts'

/** The most bytes that a body may become. */
type Options = Readonly<{ limit: number }>

const USUAL_LIMIT = 16 * 1024 ** 2
const HIGHEST_LIMIT = 16 * 1024 ** 3

/** By the names of the codings (RFC 9110 §8.4.1, RFC 7932). */
const ENGINES = new Map([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['deflate', createInflate],
  ['br', createBrotliDecompress],
])
const CODING = new Set(['content-encoding'])

export const DECOMPRESS = defineFilter<Options>({
  name: 'decompress',
  order: 404,
  isGuard: false,
  annotations: {
    decompress: {
      about:
        '`"true"`: endpoints get bodies of requests that are compressed with gzip, deflate or br as they were before, without Content-Encoding; other codings, and bodies with a digest or `Cache-Control: no-transform`, go on as they are; `"false"` does nothing',
      form: oneOf(['true', 'false']),
    },
    'decompress-limit': {
      about: `the most bytes that a body may become; larger ones are answered 413 (\`${printBytes(USUAL_LIMIT)}\`)`,
      form: SIZE,
    },
  },
  read(annotations) {
    // A limit may stay where decompression is off, for the next time.
    const limit = readSize(annotations, 'decompress-limit', USUAL_LIMIT, HIGHEST_LIMIT)
    return annotations.text('decompress') === 'true' ? { limit } : undefined
  },
  print: ({ limit }) => `requests, up to ${printBytes(limit)}`,
  create: ({ limit }) => ({
    requestBody(draft) {
      const coding = joinValues(draft.lines, 'content-encoding')?.toLowerCase()
      if (coding === undefined) return undefined
      const createEngine = ENGINES.get(coding)
      if (createEngine === undefined || isTransformForbidden(draft.lines)) return undefined
      draft.lines = removeFields(draft.lines, CODING)
      return () => {
        let bytes = 0
        return createZlibStream(createEngine(), {
          check: (chunk) => {
            bytes += chunk.length
            if (bytes <= limit) return undefined
            return new GatewayError('PORTICO_REQ_TOO_LARGE', `more than ${limit} bytes once it is decompressed`)
          },
          explain: ({ message }) => new GatewayError('PORTICO_REQ_BAD_CODING', `${coding}: ${message}`),
        })
      }
    },
  }),
})
