/** Annotations that stand where Kubernetes reads none: under a misspelt key, or beside `metadata` or below `spec`. */
import { findNearest } from '../base/nearest.ts'

/** True for a key that seems to mean `annotations`. */
export function isLikeAnnotations(key: string): boolean {
  return findNearest(key, ['annotations']) !== undefined
}

/**
 * The annotations in a field that does not exist: those of a mapping with a key like `annotations`, or the field itself, if its name
 * has a domain. Undefined for other fields, and for annotations without a domain, which no controller reads.
 */
export function findStrayAnnotations(
  key: string,
  value: unknown,
): readonly (readonly [name: string, value: string])[] | undefined {
  if (key.includes('/')) return [[key, printText(value)]]
  if (typeof value !== 'object' || value === null || !isLikeAnnotations(key)) return undefined
  const found = Object.entries(value).filter(([name]) => name.includes('/'))
  return found.length === 0 ? undefined : found.map(([name, item]) => [name, printText(item)])
}

function printText(value: unknown): string {
  return typeof value === 'string' ? value : value === null || value === undefined ? '' : JSON.stringify(value)
}
