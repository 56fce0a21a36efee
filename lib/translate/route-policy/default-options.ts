/**
 * Filters that the settings have for all routes, under `routes`: options as in a RoutePolicy. An object's own filter replaces that of
 * the settings.
 */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import type { Origin } from '../../base/position.ts'
import { checkFilters, findBrokenGuard, readMentions } from '../ingress/filters.ts'
import type { FilterMentions, RouteDefaults } from '../ingress/mention.ts'
import { explainUnknownOption, listUnknownOptions } from './unknown-option.ts'

const NOWHERE: RouteDefaults['origin'] = { locate: () => undefined }

type Options = Readonly<Record<string, unknown>>

/** What the settings come to on routes. */
export type DefaultFilters = Readonly<{
  mentions: FilterMentions
  /** Why all routes are closed; undefined: they are not. */
  broken: string | undefined
}>

/** The settings stay the same object while they are equal. */
const known = new WeakMap<Options, DefaultFilters>()

export function readDefaults(options: Options): DefaultFilters {
  let found = known.get(options)
  if (found === undefined) {
    const defaults = createDefaults(options, undefined)
    const broken = findBrokenGuard(defaults)
    found = { mentions: readMentions(defaults), broken: broken && `${broken} in the settings cannot be used` }
    known.set(options, found)
  }
  return found
}

/** Reports options that do not exist or cannot be used; `origin` is the settings document, if they stand there. */
export function checkDefaults(options: Options, origin: Origin | undefined, diagnostics: DiagnosticList): void {
  const defaults = createDefaults(options, origin)
  for (const option of listUnknownOptions(defaults)) {
    diagnostics.add('PORTICO_SET_FIELD_UNKNOWN', `unknown setting "${option}" in routes`, {
      position: origin?.locateKey(['routes', option]),
      help: explainUnknownOption('Setting', option),
    })
  }
  checkFilters(defaults, diagnostics)
}

function createDefaults(options: Options, origin: Origin | undefined): RouteDefaults {
  return { kind: 'Setting', meta: { namespace: '', name: 'routes' }, options, origin: origin ?? NOWHERE }
}
