/** All resources of one configuration, by kind and key; immutable, with a generation. */
import type { Resource, ResourceKind } from './resource.ts'

type OfKind<K extends ResourceKind> = Extract<Resource, { kind: K }>

export type ResourceSet = {
  readonly generation: number
  /** All of one kind, ordered by creation time where given, then namespace/name: file order never decides. */
  all<K extends ResourceKind>(kind: K): readonly OfKind<K>[]
  get<K extends ResourceKind>(kind: K, namespace: string, name: string): OfKind<K> | undefined
  /** How many objects there are in all. */
  readonly size: number
}
