/** Requests as conditions of routes see them. */
import type { RoutedRequest } from '../../lib/routing/predicates.ts'

export type RequestWords = Readonly<{
  method?: string
  query?: string
  client?: string
  /** By lower-case names. */
  fields?: Readonly<Record<string, string>>
}>

export function makeRoutedRequest({ method = 'GET', query = '', client = '127.0.0.1', fields = {} }: RequestWords) {
  const request: RoutedRequest = {
    method,
    query,
    clientAddress: client,
    header: (name) => (Object.hasOwn(fields, name) ? fields[name] : undefined),
  }
  return request
}

/** A request without anything that a condition asks for. */
export const BARE: RoutedRequest = makeRoutedRequest({})
