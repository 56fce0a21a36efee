/** Annotations that say a path. */
import type { AnnotationReader } from './spec.ts'

/** A path as URLs have it. */
export function readPathOf(annotations: AnnotationReader, name: string): string | undefined {
  const path = annotations.text(name)
  if (path === undefined || /^\/[\w\-.~!$&'()*+,;=:@%/]*$/.test(path)) return path
  annotations.refuse(
    name,
    `"${path}" is no path`,
    'write a path that begins with "/", with other characters percent-encoded',
  )
  return undefined
}
