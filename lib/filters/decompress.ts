/** Gives endpoints the bodies of requests as they were before the client compressed them. HOT */
import { Duplex } from 'node:stream'
import {
  type BrotliDecompress,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  type Gunzip,
  type Inflate,
} from 'node:zlib'
import { GatewayError, tooLarge } from '../base/errors.ts'
import { printBytes } from '../base/measure.ts'
import { ClientCount, PerClient } from '../base/per-client.ts'
import { oneOf } from './annotation-form.ts'
import { DIGEST_NAMES, isTransformForbidden } from './content-coding.ts'
import { SoughtNames } from './field-lines.ts'
import { readSize, SIZE } from './size-annotation.ts'
import { defineFilter } from './spec.ts'
import { createZlibStream } from './zlib-stream.ts'
import { ZSTD } from './zstd.ts'

/** The most bytes that a body may become. */
type Options = Readonly<{ limit: number }>

const USUAL_LIMIT = 16 * 1024 ** 2
const HIGHEST_LIMIT = 16 * 1024 ** 3

/** What a decoder of brotli remembers at most is 2 to this power bytes: a body of 14 bytes may ask for 16 MiB. */
const BROTLI_WINDOW = 22

type Coding = Readonly<{
  createEngine: () => Gunzip | Inflate | BrotliDecompress
  /** Bytes that its decoder takes, about. */
  cost: number
  /** Why a body that begins so is not decompressed. */
  checkBeginning?: (chunk: Buffer) => Error | undefined
}>

const GZIP: Coding = { createEngine: createGunzip, cost: 96 * 1024 }
let knownCodings: ReadonlyMap<string, Coding> | undefined

/** By the names of the codings (RFC 9110 §8.4.1, RFC 7932, RFC 8878). Found at the first filter, since to judge zstd costs milliseconds. */
function findCodings(): ReadonlyMap<string, Coding> {
  knownCodings ??= new Map<string, Coding>([
    ['gzip', GZIP],
    ['x-gzip', GZIP],
    ['deflate', { createEngine: createInflate, cost: GZIP.cost }],
    ['br', { createEngine: createBrotliDecompress, cost: 2 ** BROTLI_WINDOW, checkBeginning: checkWindow }],
    ...(ZSTD?.isStrict() ? [['zstd', { createEngine: ZSTD.createDecoder, cost: ZSTD.decoderCost }] as const] : []),
  ])
  return knownCodings
}

/** Bytes that the decoders of a process may take together, and those of one client. */
const MOST_MEMORY = 256 * 1024 ** 2
const MOST_MEMORY_OF_CLIENT = MOST_MEMORY / 4

let memory = 0
const memoryOfClients = new PerClient(() => new ClientCount())

const CODING = new SoughtNames(['content-encoding'])

export const DECOMPRESS = defineFilter<Options>({
  name: 'decompress',
  order: 404,
  isGuard: false,
  annotations: {
    decompress: {
      about:
        '`"true"`: endpoints get bodies of requests that are compressed with gzip, deflate, br or zstd as they were before, without Content-Encoding; other codings, and bodies with a digest or `Cache-Control: no-transform`, go on as they are; `"false"` does nothing',
      form: oneOf(['true', 'false']),
    },
    'decompress-limit': {
      about: `the most bytes that a body may become; larger ones are answered 413 (\`${printBytes(USUAL_LIMIT)}\`)`,
      form: SIZE,
      needs: 'decompress',
    },
  },
  read(annotations) {
    // A limit may stay where decompression is off, for the next time.
    const limit = readSize(annotations, 'decompress-limit', USUAL_LIMIT, HIGHEST_LIMIT)
    return annotations.text('decompress') === 'true' ? { limit } : undefined
  },
  print: ({ limit }) => `requests, up to ${printBytes(limit)}`,
  create: ({ limit }) => {
    const codings = findCodings()
    return {
      requestNames: DIGEST_NAMES,
      requestBody(draft, { clientNetwork }) {
        const name = draft.find('content-encoding')?.toLowerCase()
        if (name === undefined) return undefined
        const coding = codings.get(name)
        if (coding === undefined || isTransformForbidden(draft.lines)) return undefined
        draft.remove(CODING)
        return { stream: () => createDecoder(coding, name, limit, clientNetwork) }
      },
    }
  },
})

function createDecoder(coding: Coding, name: string, limit: number, client: string): Duplex {
  const fault = reserve(coding, client)
  if (fault !== undefined) return new Duplex().destroy(fault)
  let bytes = 0
  const stream = createZlibStream(coding.createEngine(), {
    ...(coding.checkBeginning && { checkBeginning: coding.checkBeginning }),
    check: (chunk) => {
      bytes += chunk.length
      if (bytes <= limit) return undefined
      return tooLarge(limit, `more than ${limit} bytes once it is decompressed`)
    },
    explain: ({ message }) => new GatewayError('PORTICO_REQ_BAD_CODING', `${name}: ${message}`),
  })
  return stream.once('close', () => release(coding, client))
}

/** Why there is no room for a decoder; else it is taken. */
function reserve({ cost }: Coding, client: string): GatewayError | undefined {
  const ofClient = memoryOfClients.find(client)
  if (ofClient.value + cost > MOST_MEMORY_OF_CLIENT) {
    return new GatewayError('PORTICO_REQ_TOO_MANY', 'too many bodies of the client are being decompressed', undefined, {
      retryAfter: 1,
    })
  }
  if (memory + cost > MOST_MEMORY) {
    return new GatewayError('PORTICO_GW_OVERLOADED', 'too many bodies are being decompressed', undefined, {
      retryAfter: 1,
    })
  }
  ofClient.value += cost
  memory += cost
  return undefined
}

function release({ cost }: Coding, client: string): void {
  memoryOfClients.find(client).value -= cost
  memory -= cost
}

/** The size of the window stands in the first bits (RFC 7932 §9.1). */
function checkWindow(chunk: Buffer): Error | undefined {
  const first = chunk[0]!
  const window = (first & 1) === 1 ? 17 + ((first >> 1) & 7) : 16
  if (window <= BROTLI_WINDOW) return undefined
  return new GatewayError('PORTICO_REQ_BAD_CODING', `br: its window is larger than 2^${BROTLI_WINDOW} bytes`)
}
