/** ConfigMaps whose keys are names of fields. */
import type { NginxForm, NginxReader } from './feature.ts'

export const CONFIG_MAP: NginxForm = {
  pattern: /^(?:[a-z0-9][-a-z0-9]{0,62}\/)?[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?$/,
  fault: 'names no ConfigMap',
  help: 'write the name of a ConfigMap in the namespace of the Ingress',
}

/** Says `option` with the ConfigMap `reference`, or closes the routes where it is in another namespace (allow-cross-namespace-resources is off). */
export function writeConfigMap(nginx: NginxReader, option: string, reference: string, name: string): void {
  const [object = '', namespace = nginx.namespace] = reference.split('/').reverse()
  if (namespace === nginx.namespace) nginx.set(option, object, name)
  else nginx.close(name, 'a ConfigMap of another namespace is not read', `copy it to the namespace ${nginx.namespace}`)
}
