/** Request targets (RFC 9112 §3.2): which form was sent, and the path, query and authority it holds. HOT */
import { splitTarget } from '../base/path.ts'

export type Target = Readonly<{
  /** Up to `?`, as sent; begins with `/`. */
  path: string
  /** `''` or `?…`, as sent. */
  query: string
  /** Of absolute-form: overrides Host (P13). */
  authority: string | undefined
}>

/** What OPTIONS may have for a target: the server as a whole. */
export const ASTERISK: Target = Object.freeze({ path: '*', query: '', authority: undefined })

/** Reads origin-form and absolute-form; undefined for every other form, and for fragments, which no target may hold. */
export function parseTarget(target: string): Target | undefined {
  if (target.includes('#')) return undefined
  if (target.charCodeAt(0) === 0x2f /* / */) {
    const { path, query } = splitTarget(target)
    return { path, query, authority: undefined }
  }
  const scheme = /^https?:\/\//i.exec(target)?.[0]
  if (scheme === undefined) return undefined
  const rest = target.slice(scheme.length)
  const end = rest.search(/[/?]/)
  const authority = end < 0 ? rest : rest.slice(0, end)
  if (authority === '') return undefined
  const { path, query } = splitTarget(end < 0 ? '/' : rest.slice(end))
  return { path: path === '' ? '/' : path, query, authority }
}
