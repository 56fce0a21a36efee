/** Bodies of answers: the text of an annotation itself, or a content of a ConfigMap. */
import { createHash } from 'node:crypto'
import type { Content } from './spec.ts'

/** The media type of a body where neither an annotation nor the ending of a key says it. */
export const PLAIN: string = 'text/plain; charset=utf-8'

/** By the ending of the key. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['css', 'text/css; charset=utf-8'],
  ['gif', 'image/gif'],
  ['html', 'text/html; charset=utf-8'],
  ['ico', 'image/x-icon'],
  ['jpg', 'image/jpeg'],
  ['js', 'text/javascript; charset=utf-8'],
  ['json', 'application/json'],
  ['png', 'image/png'],
  ['svg', 'image/svg+xml'],
  ['webp', 'image/webp'],
  ['xml', 'application/xml'],
])

/** The usual media type of a content; undefined if its key has another ending than those known. */
export function findMediaType({ source }: Content): string | undefined {
  return TYPES.get(source.slice(source.lastIndexOf('.') + 1).toLowerCase())
}

/** `12 bytes of pages/sorry.html (SHA-256 1a2b3c4d)`: the hash shows that the content has changed. */
export function printContent({ source, bytes }: Content): string {
  const hash = createHash('sha256').update(bytes, 'latin1').digest('hex').slice(0, 8)
  return `${bytes.length} bytes of ${source} (SHA-256 ${hash})`
}

/** `12 bytes`, and of a content what printContent says. */
export function printBody(body: string | Content): string {
  return typeof body === 'string' ? `${Buffer.byteLength(body)} bytes` : printContent(body)
}

export function toBytes(body: string | Content): Buffer {
  return typeof body === 'string' ? Buffer.from(body) : Buffer.from(body.bytes, 'latin1')
}
