/** Rows with the labels of the objects that they come from, which selectors (`-l`) ask. */
import type { LabelsOf, ResourceRef } from '../model/resource-ref.ts'
import type { CertificateRow } from './certificate-view.ts'
import type { EndpointRow } from './endpoint-view.ts'
import type { DiagnosticRow, ListenerRow, RouteRow, ServiceRow } from './views.ts'

type Labels = Readonly<Record<string, string>>

type LabelledRows = {
  routes: RouteRow
  services: ServiceRow
  endpoints: EndpointRow
  certificates: CertificateRow
  listeners: ListenerRow
  diagnostics: DiagnosticRow
}

const OWNERS: { readonly [K in keyof LabelledRows]: (row: LabelledRows[K]) => ResourceRef | undefined } = {
  routes: ({ namespace, ingress }) => ({ kind: 'Ingress', namespace, name: ingress }),
  services: ({ namespace, name }) => ({ kind: 'Service', namespace, name }),
  endpoints: ({ namespace, service }) => ({ kind: 'Service', namespace, name: service }),
  certificates: ({ name }) => readName('Secret', name),
  listeners: ({ service }) => (service === undefined ? undefined : readName('Service', service)),
  diagnostics: ({ resource = '' }) => {
    const [kind = '', name = ''] = resource.split(' ')
    return readName(kind, name)
  },
}

const NONE: Labels = Object.freeze({})

/** Rows whose object is not known, or that come from none, have no labels. */
export function labelRows<K extends keyof LabelledRows>(
  kind: K,
  rows: readonly LabelledRows[K][],
  labelsOf: LabelsOf = () => undefined,
): readonly (LabelledRows[K] & Readonly<{ labels: Labels }>)[] {
  return rows.map((row) => {
    const owner = OWNERS[kind](row)
    return { ...row, labels: (owner && labelsOf(owner)) ?? NONE }
  })
}

function readName(kind: string, text: string): ResourceRef | undefined {
  const slash = text.indexOf('/')
  return slash < 0 ? undefined : { kind, namespace: text.slice(0, slash), name: text.slice(slash + 1) }
}
