/** Whether two models serve the same, whatever the annotations are called that say so. */
import { isDeepStrictEqual } from 'node:util'
import type { Model } from '../../model/model.ts'

/** Names of annotations in the reasons why routes are closed. */
const ANNOTATION = /\b(?:nginx\.ingress\.kubernetes\.io|portico\.dev)\/[\w-]+/g

export function isSameModel(one: Model, other: Model): boolean {
  return isDeepStrictEqual(one, other) || isDeepStrictEqual(dropNames(one), dropNames(other))
}

function dropNames(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(dropNames)
  if (value instanceof Map) return new Map([...value].map(([key, each]) => [key, dropNames(each)]))
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      key === 'reason' && typeof each === 'string' ? each.replace(ANNOTATION, 'an annotation') : dropNames(each),
    ]),
  )
}
