/** Which object of the configuration a part of the model comes from. */
import type { FieldPath, SourcePosition } from '../base/position.ts'

/** An object of any kind; its names are enough to find it, and so everything that it says. */
export type ResourceRef = Readonly<{
  kind: string
  /** `''` for kinds that have no namespace. */
  namespace: string
  name: string
}>

/** Finds the position of a field; undefined where the object is not known. Reports ask it, since a model holds no positions. */
export type Locate = (owner: ResourceRef, field: FieldPath) => SourcePosition | undefined

/** The labels of an object; undefined where it is not known. */
export type LabelsOf = (owner: ResourceRef) => Readonly<Record<string, string>> | undefined

/** An Ingress of which nothing is served. */
export type LeftOut = Readonly<{
  /** Of its rules; `''` where it speaks for every host. */
  hosts: readonly string[]
  ingress: ResourceRef
  /** The problem that says why, and where it is. */
  reason: string
  position: SourcePosition
}>

/** The field that stands for a whole object. */
export const NAME_FIELD: FieldPath = Object.freeze(['metadata', 'name'])

/** The reference to a decoded object. */
export function createRef({
  kind,
  meta: { namespace, name },
}: Readonly<{ kind: string; meta: Readonly<{ namespace: string; name: string }> }>): ResourceRef {
  return Object.freeze({ kind, namespace, name })
}
