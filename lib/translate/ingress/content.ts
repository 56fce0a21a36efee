/** Contents of ConfigMaps, which annotations refer to as `name/key`, and of Secrets, by name; in the namespace of their object. */
import type { DiagnosticCode, DiagnosticNote } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import type { Content, SecretContent } from '../../filters/spec.ts'
import { readContent } from '../../kubernetes/config-map.ts'
import type { ConfigMap, Secret } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { NameIndex, Suggestions } from '../suggestion.ts'

/** An object that is referred to, whether it exists or not. */
export type ContentName = Readonly<{ kind: 'ConfigMap' | 'Secret'; namespace: string; name: string }>

/** Why there is no content. */
export type ContentProblem = Readonly<{
  code: Extract<
    DiagnosticCode,
    'PORTICO_ANN_VALUE' | 'PORTICO_REF_CONFIG_MAP_NOT_FOUND' | 'PORTICO_REF_SECRET_NOT_FOUND'
  >
  message: string
  help: string
  notes: readonly DiagnosticNote[]
}>

/** Looks contents up. */
export class ContentFinder {
  #resources!: ResourceSet
  readonly #names = new Map<ContentName['kind'], NameIndex>()
  #suggestions = new Suggestions()

  /** Begins a translation: contents are looked up in these. */
  begin(resources: ResourceSet): void {
    this.#resources = resources
    this.#names.clear()
    this.#suggestions = new Suggestions()
  }

  /** The input on which all contents of an object depend: if it does not exist, a suggestion depends on all others. */
  findInput({ kind, namespace, name }: ContentName): unknown {
    return (
      this.#resources.get(kind, namespace, name) ??
      this.#resources.getRefused(kind, namespace, name) ??
      this.#resources.all(kind)
    )
  }

  find(namespace: string, name: string, key: string): Content | ContentProblem {
    const found = this.#resources.get('ConfigMap', namespace, name)
    if (found === undefined) return this.#describeMissing({ kind: 'ConfigMap', namespace, name })
    const bytes = readContent(found, key)
    if (bytes === undefined) return describeMissingKey(found, key)
    return { source: `${name}/${key}`, bytes: bytes.toString('latin1') }
  }

  findSecret(namespace: string, name: string): SecretContent | ContentProblem {
    const found = this.#resources.get('Secret', namespace, name)
    return found === undefined ? this.#describeMissing({ kind: 'Secret', namespace, name }) : readSecret(found)
  }

  #describeMissing({ kind, namespace, name }: ContentName): ContentProblem {
    const code = kind === 'Secret' ? 'PORTICO_REF_SECRET_NOT_FOUND' : 'PORTICO_REF_CONFIG_MAP_NOT_FOUND'
    const refused = this.#resources.getRefused(kind, namespace, name)
    if (refused !== undefined) {
      const notes = [{ message: 'it is here', position: refused.origin.locate(['metadata', 'name']) }]
      return { code, message: `${kind} "${name}" has errors`, help: `mend the ${kind}`, notes }
    }
    const names = this.#names.get(kind) ?? new NameIndex(this.#resources.all(kind))
    this.#names.set(kind, names)
    const nearest = this.#suggestions.find(name, names.in(namespace))
    const elsewhere = names.namespaceOf(name)
    const pointer = nearest
      ? this.#resources.get(kind, namespace, nearest)
      : this.#resources.get(kind, elsewhere ?? '', name)
    return {
      code,
      message: `${kind} "${name}" not found in namespace "${namespace}"`,
      help: nearest
        ? `did you mean "${nearest}"?`
        : elsewhere !== undefined
          ? `it is in namespace "${elsewhere}", and only objects of that namespace reach it`
          : 'add it to the manifests',
      notes: pointer
        ? [
            {
              message: `${kind} "${pointer.meta.name}" is here`,
              position: pointer.origin.locate(['metadata', 'name']),
            },
          ]
        : [],
    }
  }
}

function readSecret({ meta, data }: Secret): SecretContent {
  return {
    name: meta.name,
    values: Object.fromEntries([...data].map(([key, bytes]) => [key, bytes.toString('latin1')])),
  }
}

function describeMissingKey({ meta, keys, origin }: ConfigMap, key: string): ContentProblem {
  const known = [...keys.keys()]
  const nearest = findNearest(key, known)
  return {
    code: 'PORTICO_REF_CONFIG_MAP_NOT_FOUND',
    message: `ConfigMap "${meta.name}" has no key "${key}"`,
    help: nearest
      ? `did you mean "${nearest}"?`
      : known.length === 0
        ? 'it has no keys: add one under data'
        : `its first keys are ${known.slice(0, 5).join(', ')}`,
    notes: [{ message: 'the ConfigMap is here', position: origin.locate(['metadata', 'name']) }],
  }
}
