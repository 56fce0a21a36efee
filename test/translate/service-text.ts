/** Services as short YAML, and what a translation says of where they are reached. */
import { isServiceListener } from '../../lib/model/listener.ts'
import type { Allocations } from '../../lib/translate/exposure/allocation.ts'
import { type TranslateTextOptions, translateText } from './manifests.ts'

/** `settings`: a GatewayConfiguration without its first two lines. */
export type Services = Readonly<{ services: readonly string[]; settings?: string }> & TranslateTextOptions

export type Reached = Readonly<{
  /** Of Services: `NodePort default/web:80/TCP [::]:30080` */
  listeners: readonly string[]
  /** `web TYPE CLUSTER-IP EXTERNAL-IP PORT(S)` */
  services: readonly string[]
  /** `code message` */
  problems: readonly string[]
  notes: readonly string[]
  helps: readonly (string | undefined)[]
  allocations: Allocations
}>

/** `more`: other fields of the metadata. */
export function service(name: string, spec: string, more = ''): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}${more}}\nspec: {${spec}}\n`
}

export function reach({ services, settings = '', ...options }: Services): Reached {
  const configuration = `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n${settings}\n`
  const { model, diagnostics, allocations } = translateText([...services, configuration].join('---\n'), options)
  return {
    listeners: model.listeners.filter(isServiceListener).map(({ id }) => id),
    services: model.services.map(({ name, clusterIP, externalIP, ports }) => {
      const shown = ports.map(({ port, nodePort, protocol }) => `${port}${nodePort ? `:${nodePort}` : ''}/${protocol}`)
      return [name, clusterIP || '-', externalIP || '-', shown.join()].join(' ')
    }),
    problems: diagnostics.map(({ code, message }) => `${code} ${message}`),
    notes: diagnostics.flatMap(({ notes }) =>
      notes.map(({ message, position }) => `${message}${position ? ` ${position.line}:${position.column}` : ''}`),
    ),
    helps: diagnostics.map(({ help }) => help),
    allocations,
  }
}
