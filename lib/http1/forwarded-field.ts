/**
 * The Forwarded field of a request (RFC 7239 §4), read from its end: there stands what the nearest proxy has written, and
 * nothing that its own client sent before can make it mean anything else.
 */
import { trimSpace } from './field-line.ts'

/** What one proxy says of the request it got. */
export type ForwardedElement = Readonly<{
  /** Where in the field it begins, behind the comma before it. */
  start: number
  /** Values of for, host and proto; undefined where it does not say. */
  node: string | undefined
  host: string | undefined
  proto: string | undefined
}>

/** A pair or none, and what ends it. White space around `;` is not in the grammar, but often written. */
const PAIR = /[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)=(?:([!#$%&'*+.^_`|~\w-]+)|"((?:[^"\\]|\\.)*)"))?[ \t]*(;|$)/y

/** The element that ends at `end`; undefined where it is none, so that nothing before it can be read either. */
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

/** Behind the nearest comma before `end` that stands in no quotes; -1 where quotes are not closed. */
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
