/** What a limit counts requests by: the client, a field, a cookie, the route, or nothing at all. HOT */
import { createHash } from 'node:crypto'
import { findCookie } from '../http1/cookie.ts'
import { type AnnotationForm, listOf, matching, splitList } from './annotation-form.ts'
import { findNameFault, isClientField, TOKEN_CHARACTER } from './field-lines.ts'
import type { AnnotationReader, FilterRequest } from './spec.ts'

/** `client`, `route`, `all`, `header:NAME` or `cookie:NAME`. */
export type LimitBy = string

/** Limits of one annotation. */
const MOST_LIMITS = 8
/** Characters of a key; a longer one is hashed, so that clients do not decide how much memory a key takes. */
const MOST_CHARACTERS = 64

const ONE = `(?:client|route|all|(?:header|cookie):${TOKEN_CHARACTER}{1,100})`
const HELP = 'write "client", "route", "all", "header:NAME" or "cookie:NAME"'

export const LIMIT_BY: AnnotationForm = listOf(ONE, 'is nothing to count by', HELP)

/** Of refused requests, in place of the usual one. */
export const LIMIT_STATUS: AnnotationForm = matching(
  /^[45]\d\d$/,
  'is no status of an error',
  'write a status from 400 to 599',
)

export function readStatus(annotations: AnnotationReader, name: string): number | undefined {
  const text = annotations.text(name)
  return text === undefined ? undefined : Number(text)
}

/** The values of a list, `usual` where there is no annotation. One value counts for all limits; undefined: it is refused. */
export function readEach(
  annotations: AnnotationReader,
  name: string,
  limits: number,
  usual: string,
): readonly string[] | undefined {
  const values = splitList(annotations.text(name) ?? usual)
  if (values.length === limits) return values
  if (values.length === 1) return Array.from({ length: limits }, () => values[0]!)
  annotations.refuse(
    name,
    `it has ${values.length} values for ${limits} limits`,
    'write one value for all limits, or one for each',
  )
  return undefined
}

/** The limits of a list; undefined: there is no annotation, or it has too many, which is refused. */
export function readLimits(annotations: AnnotationReader, name: string): readonly string[] | undefined {
  const text = annotations.text(name)
  if (text === undefined) return undefined
  const limits = splitList(text)
  if (limits.length <= MOST_LIMITS) return limits
  annotations.refuse(name, `it has ${limits.length} limits, and ${MOST_LIMITS} are allowed`, 'keep the strictest ones')
  return undefined
}

/** What each limit counts by; undefined: it is refused. */
export function readBy(annotations: AnnotationReader, name: string, limits: number): readonly LimitBy[] | undefined {
  const values = readEach(annotations, name, limits, 'client')
  for (const value of values ?? []) {
    if (!value.startsWith('header:')) continue
    const header = value.slice('header:'.length)
    const isClaim = isClientField(header)
    const fault = isClaim ? `${header} says who the client is` : findNameFault(header)
    if (fault === undefined) continue
    annotations.refuse(name, fault, isClaim ? 'write "client"; the setting trustedProxies says who is believed' : HELP)
    return undefined
  }
  return values
}

/** For people: `a client`. */
export function printBy(by: LimitBy): string {
  if (by === 'all') return 'in all'
  const [kind, name] = by.split(':') as [string, string | undefined]
  return name === undefined ? `a ${kind}` : `a value of the ${kind} ${name}`
}

/** The key of a request. One without the field or cookie counts as its client's: it does not escape the limit. */
export function createKey(by: LimitBy): (request: FilterRequest) => string {
  if (by === 'client') return ({ clientNetwork }) => clientNetwork
  if (by === 'route') return ({ route }) => route
  if (by === 'all') return () => ''
  const [kind, name = ''] = by.split(':') as [string, string | undefined]
  const lowerName = name.toLowerCase()
  const find =
    kind === 'header'
      ? (request: FilterRequest) => request.header(lowerName)
      : (request: FilterRequest) => findCookie(request.header('cookie'), name)
  return (request) => {
    const value = find(request)
    if (value === undefined) return `client ${request.clientNetwork}`
    return `value ${value.length > MOST_CHARACTERS ? hash(value) : value}`
  }
}

function hash(value: string): string {
  return createHash('sha256').update(value, 'latin1').digest('base64')
}
