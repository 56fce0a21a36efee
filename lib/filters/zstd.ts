/** zstd (RFC 8878) of node:zlib, which Node has from 22.15 and 23.8 on. */
import zlib, { type Gunzip, type Gzip } from 'node:zlib'
import type { CoderOptions } from './zlib-coder.ts'

/** What the types of Node 20 do not know. */
const { createZstdCompress, createZstdDecompress, zstdDecompressSync, constants } = zlib as unknown as {
  createZstdCompress?: (options: ZstdOptions) => Gzip
  createZstdDecompress?: (options: ZstdOptions) => Gunzip
  zstdDecompressSync?: (bytes: Uint8Array) => Buffer
  constants: Readonly<Record<string, number>>
}

type ZstdOptions = Readonly<{ params: Readonly<Record<number, number>> }>

/** As small as gzip at level 4, in less time. */
const LEVEL = 3
/** The encoder remembers 2 to this power bytes; its usual 21 takes megabytes for each answer. */
const ENCODER_WINDOW = 18
/** The most that a decoder of HTTP remembers, as a power of two: 8 MiB (RFC 9659 §3). */
const DECODER_WINDOW = 23

/** The first bytes of a frame (RFC 8878 §3.1.1). */
const BEGINNING = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])

type Zstd = Readonly<{
  coder: CoderOptions
  /** A frame with a larger window is an error of its engine. */
  createDecoder: () => Gunzip
  /** Bytes that a decoder takes, about. */
  decoderCost: number
  /**
   * True if the decoder refuses a body that was cut off. The decoders of Node 22 and of the first Nodes 24 take such a body for a whole one.
   * The answer takes milliseconds: it decodes.
   */
  isStrict: () => boolean
}>

/** Undefined: this Node has no zstd. */
export const ZSTD: Zstd | undefined =
  createZstdCompress && createZstdDecompress
    ? {
        coder: {
          createStream: () =>
            createZstdCompress({
              params: {
                [constants.ZSTD_c_compressionLevel!]: LEVEL,
                [constants.ZSTD_c_windowLog!]: ENCODER_WINDOW,
              },
            }),
          operations: { work: constants.ZSTD_e_continue!, flush: constants.ZSTD_e_flush!, end: constants.ZSTD_e_end! },
          isReset: false,
        },
        createDecoder: () => createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax!]: DECODER_WINDOW } }),
        decoderCost: 2 ** DECODER_WINDOW,
        isStrict: refusesBeginning,
      }
    : undefined

function refusesBeginning(): boolean {
  try {
    zstdDecompressSync?.(BEGINNING)
    return false
  } catch {
    return true
  }
}
