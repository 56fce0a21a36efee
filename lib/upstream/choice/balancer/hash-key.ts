/** The keys of consistent hashing, read from requests. HOT */
import { parseParameters } from '../../../base/query.ts'
import { findCookie } from '../../../http1/cookie.ts'
import type { PickContext } from '../pick-context.ts'

/** The key of a request or connection. */
export type HashKey = (context: PickContext) => string

/** Reads the setting `hash.by`. The key of a request without the header, cookie, parameter or target is its client's address. */
export function createHashKey(by: string): HashKey {
  const colon = by.indexOf(':')
  const name = by.slice(colon + 1)
  switch (colon < 0 ? by : by.slice(0, colon)) {
    case 'uri':
      return (context) => context.target || context.clientAddress
    case 'path':
      return (context) => pathOf(context.target) || context.clientAddress
    case 'header': {
      const lower = name.toLowerCase()
      return (context) => context.header(lower) || context.clientAddress
    }
    case 'cookie':
      return (context) => findCookie(context.header('cookie'), name) || context.clientAddress
    case 'query':
      return ({ target, clientAddress }) => parseParameters(queryOf(target)).get(name) || clientAddress
    default:
      return (context) => context.clientAddress
  }
}

function queryOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? '' : target.slice(query)
}

function pathOf(target: string): string {
  const query = target.indexOf('?')
  return query < 0 ? target : target.slice(0, query)
}
