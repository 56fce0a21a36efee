/** The keys of consistent hashing, read from requests. HOT */
import { parseParameters } from '../../../base/query.ts'
import { findCookie } from '../../../http1/cookie.ts'
import type { PickContext } from '../pick-context.ts'

/** The key of a request or connection. */
export type HashKey = (context: PickContext) => string

/** Stands between the values of several parts: none of them can hold it. */
const JOINT = '\n'

/** Reads the setting `hash.by`. The key of a request that has no part of it is its client's address. */
export function createHashKey(by: string): HashKey {
  const [first, ...others] = by.split('+').map(createPart)
  if (others.length === 0) return (context) => first!(context) || context.clientAddress
  return (context) => {
    let key = first!(context)
    let isEmpty = key === ''
    for (const part of others) {
      const value = part(context)
      isEmpty &&= value === ''
      key += JOINT + value
    }
    return isEmpty ? context.clientAddress : key
  }
}

/** `''` for a request without it. */
function createPart(by: string): HashKey {
  const colon = by.indexOf(':')
  const name = by.slice(colon + 1)
  switch (colon < 0 ? by : by.slice(0, colon)) {
    case 'uri':
      return (context) => context.target
    case 'path':
      return (context) => pathOf(context.target)
    case 'host':
      return (context) => context.hostname
    case 'header': {
      const lower = name.toLowerCase()
      return (context) => context.header(lower) ?? ''
    }
    case 'cookie':
      return (context) => findCookie(context.header('cookie'), name) ?? ''
    case 'query':
      return ({ target }) => parseParameters(queryOf(target)).get(name) ?? ''
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
