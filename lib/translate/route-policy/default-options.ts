/**
 * Filters that the settings have for all routes, under `routes`: options as in a RoutePolicy. An object's own filter replaces that of
 * the settings.
 */
import { type Diagnostic, DiagnosticList } from '../../base/diagnostics.ts'
import type { Origin } from '../../base/position.ts'
import { veilLost } from '../annotation.ts'
import type { ContentFinder } from '../ingress/content.ts'
import { checkFilters, findBrokenGuard, type OwnFilters, resolveFilters } from '../ingress/filters.ts'
import type { FilterMentions, RouteDefaults } from '../ingress/mention.ts'
import { findAnnotationName } from './option.ts'
import { explainUnknownOption, listUnknownOptions } from './unknown-option.ts'

const NOWHERE: RouteDefaults['origin'] = { locate: () => undefined }

type Options = Readonly<Record<string, unknown>>

/** What the settings come to on routes. */
export type DefaultFilters = Readonly<{
  mentions: FilterMentions
  /** Why all routes are closed; undefined: they are not. */
  broken: string | undefined
  /** Secrets that cannot be used. */
  diagnostics: readonly Diagnostic[]
}>

/** The settings stay the same object while they are equal. */
const owners = new WeakMap<Options, RouteDefaults>()
const known = new WeakMap<OwnFilters, DefaultFilters>()

/** The same object for as long as the options and the secrets that they name are the same; reports secrets that cannot be used. */
export function readDefaults(options: Options, contents: ContentFinder, diagnostics: DiagnosticList): DefaultFilters {
  const owner = owners.get(options) ?? createDefaults(options, undefined)
  owners.set(options, owner)
  const own = resolveFilters(owner, contents)
  let found = known.get(own)
  if (found === undefined) {
    const broken = findBrokenGuard(owner)
    const reason = broken && `${broken} in the settings cannot be used`
    found = { mentions: own.mentions, broken: reason, diagnostics: listSecretFaults(owner) }
    known.set(own, found)
  }
  diagnostics.addAll(found.diagnostics)
  return found
}

/** What cannot be used only because of the secrets: checkDefaults reports everything else. */
function listSecretFaults(owner: RouteDefaults): readonly Diagnostic[] {
  const [all, others] = [new DiagnosticList(), new DiagnosticList()]
  checkFilters(owner, all)
  checkFilters(createDefaults(owner.options, undefined), others)
  return all.items.filter(({ message }) => others.items.every((one) => one.message !== message))
}

/** Reports options that do not exist or cannot be used, whatever the secrets that they name; `origin` is the settings document, if they stand there. */
export function checkDefaults(options: Options, origin: Origin | undefined, diagnostics: DiagnosticList): void {
  const defaults = createDefaults(options, origin)
  for (const option of listUnknownOptions(defaults)) {
    diagnostics.add('PORTICO_SET_FIELD_UNKNOWN', `unknown setting "${option}" in routes`, {
      position: origin && veilLost(origin.locateKey(['routes', option]), findAnnotationName(option)),
      help: explainUnknownOption('Setting', option),
    })
  }
  checkFilters(defaults, diagnostics)
}

function createDefaults(options: Options, origin: Origin | undefined): RouteDefaults {
  return { kind: 'Setting', meta: { namespace: '', name: 'routes' }, options, origin: origin ?? NOWHERE }
}
