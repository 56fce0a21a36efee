/** Tells a client which of several Services it was given, so that it comes back to this one. HOT */
import { readCookie } from '../routing/predicates.ts'
import { composeSetCookie } from '../upstream/choice/session-cookie.ts'
import type { RequestContext } from './context.ts'

/** The field lines of the answer that say so, `''` where the client knows it. The attributes are those of the Service's own cookie. */
export function composeSplitCookie(context: RequestContext): string {
  const { mark, policy } = context.served!
  if (mark === undefined || readCookie(context, mark.cookie) === mark.value) return ''
  return composeSetCookie(mark.cookie, mark.value, policy!.affinity.cookie, context)
}
