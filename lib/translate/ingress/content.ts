/** Contents of ConfigMaps, which annotations refer to as `name/key`, in the namespace of their object. */
import type { DiagnosticCode, DiagnosticNote } from '../../base/diagnostics.ts'
import { findNearest } from '../../base/nearest.ts'
import type { Content } from '../../filters/spec.ts'
import { readContent } from '../../kubernetes/config-map.ts'
import type { ConfigMap } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import { NameIndex, Suggestions } from '../suggestion.ts'

/** A ConfigMap that is referred to, whether it exists or not. */
export type ConfigMapName = Readonly<{ namespace: string; name: string }>

/** Why there is no content. */
export type ContentProblem = Readonly<{
  code: Extract<
    DiagnosticCode,
    'PORTICO_ANN_VALUE' | 'PORTICO_RES_FIELD_VALUE' | 'PORTICO_SET_FIELD_VALUE' | 'PORTICO_REF_CONFIG_MAP_NOT_FOUND'
  >
  message: string
  help: string
  notes: readonly DiagnosticNote[]
}>

/** Looks contents up. */
export class ContentFinder {
  #resources!: ResourceSet
  #names: NameIndex | undefined
  #suggestions = new Suggestions()

  /** Begins a translation: contents are looked up in these. */
  begin(resources: ResourceSet): void {
    this.#resources = resources
    this.#names = undefined
    this.#suggestions = new Suggestions()
  }

  /** The input on which all contents of a ConfigMap depend: if it does not exist, a suggestion depends on all others. */
  findInput({ namespace, name }: ConfigMapName): unknown {
    return (
      this.#resources.get('ConfigMap', namespace, name) ??
      this.#resources.getRefused('ConfigMap', namespace, name) ??
      this.#resources.all('ConfigMap')
    )
  }

  find(configMap: ConfigMapName, key: string): Content | ContentProblem {
    const found = this.#resources.get('ConfigMap', configMap.namespace, configMap.name)
    if (found === undefined) return this.#describeMissing(configMap)
    const bytes = readContent(found, key)
    if (bytes === undefined) return describeMissingKey(found, key)
    return { source: `${configMap.name}/${key}`, bytes: bytes.toString('latin1') }
  }

  #describeMissing({ namespace, name }: ConfigMapName): ContentProblem {
    const code = 'PORTICO_REF_CONFIG_MAP_NOT_FOUND'
    const refused = this.#resources.getRefused('ConfigMap', namespace, name)
    if (refused !== undefined) {
      const notes = [{ message: 'it is here', position: refused.origin.locate(['metadata', 'name']) }]
      return { code, message: `ConfigMap "${name}" has errors`, help: 'mend the ConfigMap', notes }
    }
    this.#names ??= new NameIndex(this.#resources.all('ConfigMap'))
    const nearest = this.#suggestions.find(name, this.#names.in(namespace))
    const elsewhere = this.#names.namespaceOf(name)
    const pointer = nearest
      ? this.#resources.get('ConfigMap', namespace, nearest)
      : this.#resources.get('ConfigMap', elsewhere ?? '', name)
    return {
      code,
      message: `ConfigMap "${name}" not found in namespace "${namespace}"`,
      help: nearest
        ? `did you mean "${nearest}"?`
        : elsewhere !== undefined
          ? `it is in namespace "${elsewhere}", and only objects of that namespace reach it`
          : 'add it to the manifests',
      notes: pointer
        ? [
            {
              message: `ConfigMap "${pointer.meta.name}" is here`,
              position: pointer.origin.locate(['metadata', 'name']),
            },
          ]
        : [],
    }
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
