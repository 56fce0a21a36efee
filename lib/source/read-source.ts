/** Reads a source: a file, bounded in size, or a text that was given. */
import { createHash, webcrypto } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { DiagnosticList } from '../base/diagnostics.ts'
import { decodeText, type SourceText, toText } from './text.ts'
import { addUnreadable, describeType, printPath } from './unreadable.ts'

/** Files beyond this size are hashed in another thread. */
const LARGE_BYTES = 1_048_576

/** Reads one file; undefined, with a diagnostic, if it cannot be read as text. */
export async function readSource(
  file: string,
  options: { maxBytes: number; inFolder?: boolean },
  diagnostics: DiagnosticList,
): Promise<SourceText | undefined> {
  const { maxBytes, inFolder = false } = options
  const name = printPath(file)
  const bytes = await readBytes(file, name, maxBytes, diagnostics)
  if (!bytes) return undefined
  const hash = bytes.length > LARGE_BYTES ? await hashAside(bytes) : hashOf(bytes)
  const text = decodeText(name, bytes, diagnostics)
  return text === undefined ? undefined : Object.freeze({ name, path: file, text, hash, inFolder })
}

/** A source without a file, such as stdin. */
export function sourceFromText(name: string, text: string): SourceText {
  const bytes = Buffer.from(text.startsWith('\uFEFF') ? text.slice(1) : text)
  return Object.freeze({ name, path: undefined, text: toText(bytes), hash: hashOf(text) })
}

async function readBytes(
  file: string,
  name: string,
  maxBytes: number,
  diagnostics: DiagnosticList,
): Promise<Buffer | undefined> {
  try {
    // Non-blocking, since opening a FIFO that was put in the file's place would wait for its writer.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) {
        diagnostics.add('PORTICO_FILE_UNREADABLE', `${name} is a ${describeType(stats)}, not a file`)
        return undefined
      }
      const bytes = stats.size > maxBytes ? undefined : await readUpTo(handle, stats.size, maxBytes)
      if (!bytes) {
        diagnostics.add('PORTICO_FILE_TOO_LARGE', `${name} is larger than ${printBytes(maxBytes)}`, {
          help: 'split it, or raise files.maxBytes',
        })
      }
      return bytes
    } finally {
      await handle.close()
    }
  } catch (error) {
    addUnreadable(diagnostics, name, error as Error)
    return undefined
  }
}

/** Undefined if the file has meanwhile grown beyond the limit. */
async function readUpTo(
  handle: Awaited<ReturnType<typeof open>>,
  size: number,
  maxBytes: number,
): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let total = 0
  for (;;) {
    const part = Buffer.allocUnsafe(Math.max(4096, size - total + 1))
    const { bytesRead } = await handle.read(part, 0, part.length, null)
    if (bytesRead === 0) return Buffer.concat(parts, total)
    parts.push(part.subarray(0, bytesRead))
    total += bytesRead
    if (total > maxBytes) return undefined
  }
}

/** Hashes in another thread. */
async function hashAside(bytes: Buffer): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', new Uint8Array(bytes))).toString('hex')
}

function hashOf(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function printBytes(bytes: number): string {
  return bytes % 1_048_576 === 0 ? `${bytes / 1_048_576} MiB` : `${bytes} bytes`
}
