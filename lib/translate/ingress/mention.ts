/** What objects say of routes, one mention for each filter and each route option (route-option.ts). */
import type { DiagnosticList, DiagnosticNote, Severity } from '../../base/diagnostics.ts'
import type { FieldPath, SourcePosition } from '../../base/position.ts'
import { veilPosition } from '../../base/veil.ts'
import { type Ingress, printResource, type RoutePolicy, type Service } from '../../kubernetes/resource.ts'
import type { FilterConfig } from '../../model/filter.ts'

/** The filters that the settings have for all routes. */
export type RouteDefaults = Readonly<{
  kind: 'Setting'
  meta: Readonly<{ namespace: ''; name: string }>
  options: Readonly<Record<string, unknown>>
  /** Finds nothing where the settings stand in no document. */
  origin: Readonly<{ locate: (field: FieldPath) => SourcePosition | undefined }>
}>

/** The objects that filters are written on, and the settings. */
export type FilterOwner = Ingress | Service | RoutePolicy | RouteDefaults

/** What an object says of one filter, or of one route option. */
export type FilterMention = Readonly<{
  /** Undefined: the filter does nothing there, or cannot be used. Of a route option it is never undefined. */
  config: FilterConfig | undefined
  owner: FilterOwner
  /** For people: `portico.dev/rate-limit`, or of a policy `spec.rateLimit`. */
  label: string
  /** Where the owner first speaks of the filter. */
  field: FieldPath
  shown: Shown
}>

/** What diagnostics show of a value: its whole line, the value with its key alone, or the key alone, since the value may be a secret. */
export type Shown = 'line' | 'value' | 'key'

/** Where a value of an object stands. */
export function locateValue({
  owner,
  field,
  shown,
}: Pick<FilterMention, 'owner' | 'field' | 'shown'>): SourcePosition | undefined {
  const position = owner.origin.locate(field)
  return position && shown !== 'line' ? veilPosition(position, shown === 'value') : position
}

/** A note that points to it. */
export function pointTo(mention: FilterMention, message: string): DiagnosticNote {
  const position = locateValue(mention)
  return { message, ...(position && { position }) }
}

/** Reports what an Ingress or a RoutePolicy says and cannot be used. */
export function reportMention(
  { owner, label, field }: FilterMention,
  message: string,
  help: string,
  diagnostics: DiagnosticList,
  severity: Severity = 'error',
): void {
  const code = owner.kind === 'RoutePolicy' ? 'PORTICO_RES_FIELD_VALUE' : 'PORTICO_ANN_VALUE'
  diagnostics.add(code, `${label}: ${message}`, {
    severity,
    position: owner.origin.locate(field),
    resource: printResource(owner),
    help,
  })
}

/** By the names of the filters and the route options that an object speaks of. */
export type FilterMentions = ReadonlyMap<string, FilterMention>

export const NO_MENTIONS: FilterMentions = new Map()
