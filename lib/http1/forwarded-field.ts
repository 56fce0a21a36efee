/**
 * The Forwarded field of a request (RFC 7239 §4), read from its end. The last element is the nearest proxy's own, and no text
 * that the proxy's client sent before it can change its meaning.
 */
import { trimSpace } from './field-line.ts'

/** One proxy's statement about the request it received. */
export type ForwardedElement = Readonly<{
  /** The index in the field where the element begins, behind the comma before it. */
  start: number
  /** The values of `for`, `host` and `proto`; undefined if absent. */
  node: string | undefined
  host: string | undefined
  proto: string | undefined
}>

/** A pair, or nothing, and the `;` or end behind it. White space around `;` is not in the grammar, but often written. */
const PAIR = /[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\.)*)"))?[ \t]*(;|$)/y

/** The element that ends at `end`; undefined if it is malformed, in which case no element before it can be read either. */
export function readElementBefore(field: string, end: number): ForwardedElement | undefined {
  const start = findStart(field, end)
  return start < 0 ? undefined : readElement(trimSpace(field.slice(start, end)), start)
}

function readElement(text: string, start: number): ForwardedElement | undefined {
  const values = new Map<string, string>()
  PAIR.lastIndex = 0
  for (;;) {
    const [, name, token, quoted, separator] = PAIR.exec(text) ?? []
    if (separator === undefined) return undefined
    if (name !== undefined) {
      const key = name.toLowerCase()
      // No parameter may occur twice (RFC 7239 §4).
      if (values.has(key)) return undefined
      values.set(key, token ?? quoted!.replaceAll(/\\(.)/g, '$1'))
    }
    if (separator === '') break
  }
  return { start, node: values.get('for'), host: values.get('host'), proto: values.get('proto') }
}

/** The index behind the nearest comma before `end` outside of quotes; -1 if quotes are not closed. */
function findStart(field: string, end: number): number {
  let at = end - 1
  for (; at >= 0 && field.charAt(at) !== ','; at--) {
    if (field.charAt(at) !== '"') continue
    at--
    while (at >= 0 && (field.charAt(at) !== '"' || isEscaped(field, at))) at--
    if (at < 0) return -1
  }
  return at + 1
}

function isEscaped(field: string, at: number): boolean {
  let slashes = 0
  while (field.charAt(at - 1 - slashes) === '\\') slashes++
  return slashes % 2 === 1
}
