/** What becomes of each annotation of ingress-nginx on an Ingress: the table of all annotations, and what `check` says of the values. */
import { type Diagnostic, DiagnosticList } from '../../base/diagnostics.ts'
import type { FieldPath, SourcePosition } from '../../base/position.ts'
import { veilPosition } from '../../base/veil.ts'
import type { Ingress } from '../../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { checkForeignAnnotations, findClosingGuards } from '../ingress/foreign-annotation.ts'
import { listForeign } from '../ingress/foreign-table.ts'
import { checkAliases, isCanary, readAliases } from '../ingress/nginx/alias.ts'
import { NGINX_DOMAIN } from '../ingress/nginx/feature.ts'
import { findFeature } from '../ingress/nginx/features.ts'
import { CANARY } from '../ingress/nginx/hosts.ts'
import { IDLE, REFUSED } from '../ingress/nginx/without-effect.ts'
import type { TranslationSettings } from '../settings.ts'

/** `exact`: as in ingress-nginx. `differs`: but for what is named. `refused`: it is not done. */
export type Support = 'exact' | 'differs' | 'refused'

/** What differs, why an annotation is not done, or what else is to be known of it. */
export type Reason = Readonly<{ message: string; help?: string }>

/** Never the value of the annotation. */
export type AnnotationVerdict = Readonly<{
  /** The whole name. */
  annotation: string
  support: Support
  /** Whole names of Portico's own annotations that say the same. */
  options: readonly string[]
  reasons: readonly Reason[]
  /** True if it makes the routes of the Ingress answer 503. */
  isClosing: boolean
  position: SourcePosition | undefined
}>

/** Said of what is as in ingress-nginx, though a warning tells it. */
const SAME = /\b(?:as|nor) in ingress-nginx\b/

/** True if what is said of the manifests holds in ingress-nginx too, so that nothing differs. */
export function isSame({ code, severity, message, help = '' }: Diagnostic): boolean {
  return code === 'PORTICO_ROUTE_HOST_PATTERNS' || (severity !== 'error' && SAME.test(`${message} ${help}`))
}

/** `reported` is what a check of all manifests says of this Ingress. */
export function judgeAnnotations(
  ingress: Ingress,
  settings: TranslationSettings,
  reported: readonly Diagnostic[],
): readonly AnnotationVerdict[] {
  // They are reported of Ingresses that are served, and not where the settings leave their codes out.
  const own = new DiagnosticList()
  checkAliases(ingress, own)
  checkForeignAnnotations(ingress, settings, own)
  const told = new Set(own.items.map(printProblem))
  const all = [...own.items, ...reported.filter((one) => !told.has(printProblem(one)))]
  const guards = new Set(findClosingGuards(ingress, settings).map(({ name }) => name))
  return Object.keys(ingress.meta.annotations)
    .filter((name) => name.startsWith(NGINX_DOMAIN))
    .map((name) => {
      const problems = all.filter((one) => isAt(one, ingress, ['metadata', 'annotations', name]))
      return judge(ingress, name, problems, guards)
    })
}

/** True if the diagnostic points at the field, or at its key. */
export function isAt({ position }: Diagnostic, { origin }: Ingress, field: FieldPath): boolean {
  if (position === undefined) return false
  return [origin.locate(field), origin.locateKey(field)].some(
    ({ file, line, column }) => file === position.file && line === position.line && column === position.column,
  )
}

function printProblem({ code, message }: Diagnostic): string {
  return `${code} ${message}`
}

/** What is known of an annotation by its name, and of what differs by its value. */
function describe(
  ingress: Ingress,
  name: string,
): Readonly<{ differs?: string | undefined; idle?: string; refused?: string }> {
  const feature = findFeature(name)
  if (isCanary(ingress) && feature !== CANARY && feature?.scope !== 'upstream') {
    return { idle: 'of a canary it is ignored, as in ingress-nginx' }
  }
  // The table is that of a page, with links.
  if (feature !== undefined) {
    const { differs, alike } = feature.annotations[name]!
    const value = ingress.meta.annotations[NGINX_DOMAIN + name]!.trim()
    return alike?.test(value) ? {} : { differs: differs?.replace(/\[(.*?)\]\(.*?\)/g, '$1') }
  }
  if (Object.hasOwn(REFUSED, name)) return { refused: REFUSED[name]! }
  if (Object.hasOwn(IDLE, name)) return { idle: IDLE[name]! }
  return { idle: 'ingress-nginx does not know it, and it does nothing here either' }
}

/** `problems` point at the annotation; `guards` close the routes of the Ingress. */
function judge(
  ingress: Ingress,
  annotation: string,
  problems: readonly Diagnostic[],
  guards: ReadonlySet<string>,
): AnnotationVerdict {
  const { differs, idle, refused } = describe(ingress, annotation.slice(NGINX_DOMAIN.length))
  const options = listOptions(ingress, annotation)
  const worse = problems.filter((one) => !isSame(one) && one.severity !== 'info')
  const isDetail = (): boolean =>
    listForeign(ingress.kind, ingress.meta.annotations).some(
      ({ name, kind }) => name === annotation && kind === 'detail',
    )
  // A switch that is off refuses nothing.
  const isOff = refused !== undefined && worse.length === 0 && !(guards.size > 0 && isDetail())
  const isRefused =
    (refused !== undefined && !isOff) ||
    guards.has(annotation) ||
    worse.some(({ severity }) => severity === 'error') ||
    // A value of which nothing is left.
    (idle === undefined && options.length === 0 && worse.some(({ code }) => code === 'PORTICO_ANN_VALUE'))
  const isOverridden = problems.some(({ code }) => code === 'PORTICO_ROUTE_FILTER_OVERRIDDEN')
  const isDifferent = idle === undefined && (differs !== undefined || worse.length > 0 || isOverridden)
  const support = isRefused ? 'refused' : isDifferent ? 'differs' : 'exact'
  const words = [
    ...(isOff ? ['it is off'] : refused === undefined ? [] : [`it is not done: ${refused}`]),
    ...(idle === undefined || isRefused ? [] : [idle]),
    ...(support === 'differs' && differs !== undefined ? [differs] : []),
  ]
  return Object.freeze({
    annotation,
    support,
    options,
    reasons: [
      ...words.map((message) => ({ message })),
      ...problems.flatMap((one) =>
        one.code === 'PORTICO_ANN_UNSUPPORTED' ? readHelp(one) : [readReason(one, annotation)],
      ),
    ],
    isClosing:
      guards.has(annotation) ||
      readAliases(ingress).closing === annotation ||
      worse.some(({ help = '' }) => /answers? 503/.test(help)),
    position: veilPosition(ingress.origin.locateKey(['metadata', 'annotations', annotation])),
  })
}

/** What to do about an annotation of which it is said already that it does nothing. */
function readHelp({ help }: Diagnostic): readonly Reason[] {
  return help === undefined ? [] : [{ message: help }]
}

/** The annotation is named beside it. */
function readReason({ message, help }: Diagnostic, annotation: string): Reason {
  const text = message.replace(`${annotation}: `, '').replace(`annotation "${annotation}" `, 'it ')
  return { message: text.replace(`${annotation} does`, 'it does'), ...(help && { help }) }
}

/** The options that come from the annotation, or those that it has a part in. */
function listOptions(ingress: Ingress, annotation: string): readonly string[] {
  const { options } = readAliases(ingress)
  const own = [...options].flatMap(([option, alias]) => (alias.annotation === annotation ? [option] : []))
  const name = annotation.slice(NGINX_DOMAIN.length)
  const shared = findFeature(name)?.annotations[name]?.options.filter((option) => options.has(option)) ?? []
  return (own.length > 0 ? own : shared).map((option) => ANNOTATION_DOMAIN + option)
}
