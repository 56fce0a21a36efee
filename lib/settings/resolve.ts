/**
 * Resolves the settings: flag over environment over GatewayConfiguration over default. A value that cannot be used is a
 * diagnostic, and the next source down is taken instead.
 */
import type { DiagnosticDetails, DiagnosticList, Severity } from '../base/diagnostics.ts'
import { freezeDeep } from '../base/freeze.ts'
import { findNearest } from '../base/nearest.ts'
import { type FieldPath, type Origin, printFieldPath } from '../base/position.ts'
import { PLAIN_KEY, veilOrigin } from '../base/veil.ts'
import type { SourceDocument } from '../source/document.ts'
import {
  type Controller,
  type ControllerAnnotations,
  type ControllerObject,
  NGINX_DEFAULTS,
  NGINX_ROUTES,
  REFUSING,
} from './compatibility.ts'
import { explainFormer } from './former-setting.ts'
import { checkRules } from './rules.ts'
import { isMapping, type Read, type Setting, type ValueProblem } from './setting.ts'
import { SETTINGS, type Settings } from './table.ts'
import { isSetting, listSettings, type NamedSetting, type SettingTable } from './tree.ts'

/** Where the value of a setting came from. */
export type SettingSource = 'flag' | 'environment' | 'file' | 'compatibility' | 'default'

/** A value with the flag that gave it, as typed, since problems name the flag. */
export type TypedSetting = Readonly<{ flag: string; value: unknown }>

/** By dotted name (`http.port`), as typed by the person: a string, a list of strings, or a boolean; or a TypedSetting of it. */
export type SettingOverrides = Readonly<Record<string, unknown>>

/** `apiVersion` and `kind` of the settings document. */
export const SETTINGS_API_VERSION = 'portico.dev/v1alpha1'
export const SETTINGS_KIND = 'GatewayConfiguration'

/** Every setting, in the order of the table. */
export const SETTING_LIST: readonly NamedSetting[] = listSettings(SETTINGS)

/** By dotted name. */
export const SETTINGS_BY_NAME: ReadonlyMap<string, NamedSetting> = new Map(SETTING_LIST.map((one) => [one.name, one]))

const PREFIX = 'PORTICO_'

/** `https.redirectPort` → `PORTICO_HTTPS_REDIRECT_PORT`, `externalIPs.enabled` → `PORTICO_EXTERNAL_IPS_ENABLED` */
export function environmentName(name: string): string {
  return `${PREFIX}${name
    .replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `_${letter}`)
    .replaceAll('.', '_')
    .toUpperCase()}`
}

/** The variables of all settings, by dotted names: computed once, since every load asks for each of them. */
const VARIABLES: ReadonlyMap<string, string> = new Map(SETTING_LIST.map(({ name }) => [name, environmentName(name)]))
const NAMES: ReadonlySet<string> = new Set(VARIABLES.keys())
const VARIABLE_ENDINGS: ReadonlySet<string> = new Set([...VARIABLES.values()].map((one) => one.slice(PREFIX.length)))

/** `https.redirectPort` → `--https-redirect-port` */
export function flagName(name: string): string {
  return `--${name
    .replace(/(?<=[a-z0-9])[A-Z]/g, (letter) => `-${letter}`)
    .replaceAll('.', '-')
    .toLowerCase()}`
}

export type SettingsInput = {
  /** The GatewayConfiguration, if one was given. */
  document?: SourceDocument | undefined
  environment: NodeJS.ProcessEnv
  flags: SettingOverrides
  /** The controller that Portico stands in for where `compatibility` is on. */
  controller?: Controller | undefined
}

export type ResolvedSettings = {
  readonly settings: Settings
  /** By dotted name. */
  readonly provenance: ReadonlyMap<string, SettingSource>
  /** What says something in the place of defaults: the workload and the ConfigMap of a controller. */
  readonly controllerObjects: readonly ControllerObject[]
  readonly annotations: ControllerAnnotations
}

/** All settings with every check applied; problems go to `diagnostics`. */
export function resolveSettings(input: SettingsInput, diagnostics: DiagnosticList): ResolvedSettings {
  const { document, environment, flags, controller } = input
  const provenance = new Map<string, SettingSource>()
  const values = new Map<string, unknown>()
  const places = new Map<string, DiagnosticDetails>()
  const origin = document && veilSettings(document.origin)
  const fields = document ? readDocument(document, diagnostics) : new Map<string, unknown>()
  reportUnknownFlags(flags, diagnostics)
  reportUnknownVariables(environment, diagnostics)

  for (const { name, path, read, default: usual } of SETTING_LIST) {
    values.set(name, usual)
    provenance.set(name, 'default')
    const take = (source: SettingSource, label: string, given: Read, details: DiagnosticDetails) => {
      const report = (problem: ValueProblem, severity?: Severity) => {
        const at = [...path, ...problem.at]
        const where = source === 'file' ? printFieldPath(at) : label
        diagnostics.add('PORTICO_SET_FIELD_VALUE', `${where}: ${problem.message}`, {
          ...details,
          ...(source === 'file' && { position: origin?.locate(at) }),
          ...(severity && { severity }),
          help: problem.help,
        })
      }
      if ('problems' in given) {
        for (const problem of given.problems) report(problem)
        return
      }
      for (const remark of given.remarks ?? []) report(remark, 'warning')
      values.set(name, given.value)
      provenance.set(name, source)
      places.set(name, details)
    }
    const variable = VARIABLES.get(name)!
    if (fields.has(name)) {
      const details = { position: origin?.locate(path) }
      take('file', name, read(fields.get(name), 'document', variable), details)
    }
    const text = environment[variable]
    if (text !== undefined && text !== '') take('environment', variable, read(text, 'text', variable), {})
    const typed = Object.hasOwn(flags, name) ? flags[name] : undefined
    if (typed !== undefined) {
      const { flag, value } = isTypedSetting(typed) ? typed : { flag: flagName(name), value: typed }
      take('flag', flag, read(value, 'text', variable), {})
    }
  }
  const isWritten = provenance.get('ingressClasses') !== 'default'
  const classes = isWritten ? (values.get('ingressClasses') as readonly string[]) : undefined
  if (values.get('compatibility') === 'auto' && controller?.isServed(classes)) {
    values.set('compatibility', 'ingress-nginx')
  }
  const controllerObjects: ControllerObject[] = []
  let annotations: ControllerAnnotations = { given: undefined, withheld: [] }
  if (values.get('compatibility') === 'ingress-nginx') {
    const takeAll = (given: ReadonlyMap<string, unknown>): void => {
      for (const [name, value] of given) {
        if (provenance.get(name) !== 'default') continue
        values.set(name, value)
        provenance.set(name, 'compatibility')
      }
    }
    const typed = controller?.readFlags(values.get('controllerWorkload') as string, classes, diagnostics)
    if (typed !== undefined) takeAll(typed.settings)
    const config = controller?.readConfig(values.get('controllerConfigmap') as string, diagnostics)
    if (config !== undefined) takeAll(config.settings)
    takeAll(NGINX_DEFAULTS)
    annotations = { given: config?.annotations, withheld: typed?.withheld ?? [] }
    controllerObjects.push(...[typed, config].flatMap((one) => (one === undefined ? [] : [one])))
    const isRefusing = (config?.isRefusing || typed?.isRefusing) && values.get('unsupportedGuards') === 'refuse'
    const routes = { ...NGINX_ROUTES, ...config?.routes, ...(isRefusing && REFUSING) }
    const usual = Object.entries(routes).filter(([, value]) => value !== '')
    values.set('routes', { ...Object.fromEntries(usual), ...(values.get('routes') as object) })
    if (provenance.get('routes') === 'default') provenance.set('routes', 'compatibility')
  }
  for (const name of checkRules(values, places, diagnostics)) provenance.set(name, 'default')
  return { settings: nest(SETTINGS, [], values) as Settings, provenance, controllerObjects, annotations }
}

/** Dotted names whose value differs and that are read once, at the start. */
export function findRestartSettings(before: Settings, after: Settings): readonly string[] {
  return SETTING_LIST.filter(
    ({ restart, path }) => restart && JSON.stringify(valueAt(before, path)) !== JSON.stringify(valueAt(after, path)),
  ).map(({ name }) => name)
}

/** `after`, with the settings that are read once at the start as they were in `before`. */
export function keepRestartSettings(before: Settings, after: Settings): Settings {
  const values = new Map(
    SETTING_LIST.map(({ name, restart, path }) => [name, valueAt(restart ? before : after, path)] as const),
  )
  return nest(SETTINGS, [], values) as Settings
}

/** The first GatewayConfiguration in file order counts; each further one is reported. */
export function chooseSettingsDocument(
  documents: readonly SourceDocument[],
  diagnostics: DiagnosticList,
): SourceDocument | undefined {
  const [first, ...others] = documents
  for (const other of others) {
    diagnostics.add('PORTICO_SET_DUPLICATE', `more than one ${SETTINGS_KIND}: this one is not used`, {
      position: veilSettings(other.origin).locate(['kind']),
      help: 'join them into one document',
      notes: first
        ? [{ message: 'the one in use is here', position: veilSettings(first.origin).locate(['kind']) }]
        : [],
    })
  }
  return first
}

/** Shows the values of known settings that are no secrets. The value of a misspelt or misplaced setting may be a token. */
export function veilSettings(origin: Origin): Origin {
  return veilOrigin(origin, (path) => {
    if (path.length === 1 && (path[0] === 'apiVersion' || path[0] === 'kind')) return true
    let entry: SettingTable | Setting | undefined = SETTINGS
    for (const step of path) {
      if (entry === undefined || isSetting(entry)) break
      entry = Object.hasOwn(entry, step) ? entry[step] : undefined
    }
    return entry !== undefined && isSetting(entry) && !entry.secret
  })
}

function nest(table: SettingTable, path: readonly string[], values: ReadonlyMap<string, unknown>): unknown {
  const out: Record<string, unknown> = {}
  for (const [key, entry] of Object.entries(table)) {
    const at = [...path, key]
    out[key] = isSetting(entry) ? freezeDeep(values.get(at.join('.'))) : nest(entry, at, values)
  }
  return Object.freeze(out)
}

/** The value of the setting with this path. */
export function valueAt(settings: Settings, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], settings)
}

export function isTypedSetting(value: unknown): value is TypedSetting {
  return isMapping(value) && typeof value.flag === 'string'
}

/** The settings a document holds, by dotted name; unknown fields are reported. */
function readDocument(document: SourceDocument, diagnostics: DiagnosticList): Map<string, unknown> {
  const found = new Map<string, unknown>()
  const { value } = document
  const origin = veilSettings(document.origin)
  if (!isMapping(value)) return found
  const apiVersion = Object.hasOwn(value, 'apiVersion') ? value.apiVersion : undefined
  if (apiVersion !== SETTINGS_API_VERSION) {
    diagnostics.add('PORTICO_SET_FIELD_VALUE', `apiVersion: ${JSON.stringify(apiVersion) ?? 'missing'} is not known`, {
      position: origin.locate(['apiVersion']),
      help: `write apiVersion: ${SETTINGS_API_VERSION}`,
    })
  }
  walk(SETTINGS, value, [])
  return found

  function walk(table: SettingTable, mapping: Readonly<Record<string, unknown>>, path: FieldPath): void {
    for (const [key, inner] of Object.entries(mapping)) {
      if (path.length === 0 && (key === 'apiVersion' || key === 'kind' || key === 'metadata')) continue
      const at = [...path, key]
      const entry = Object.hasOwn(table, key) ? table[key] : undefined
      if (entry === undefined) reportUnknownField(table, at)
      else if (isSetting(entry)) found.set(at.join('.'), inner)
      else if (isMapping(inner)) walk(entry, inner, at)
      // A group left empty (`http:`) says nothing.
      else if (inner !== null) {
        diagnostics.add('PORTICO_SET_FIELD_VALUE', `${at.join('.')}: must be a mapping`, {
          position: origin.locate(at),
          help: `its settings are ${Object.keys(entry).join(', ')}`,
        })
      }
    }
  }

  function reportUnknownField(table: SettingTable, at: FieldPath): void {
    const former = explainFormer(at.join('.'))
    if (former) {
      diagnostics.add('PORTICO_SET_FIELD_UNKNOWN', former.message, {
        // No error: files that name every setting with its default are common.
        ...(former.isConstant && { severity: 'warning' as const }),
        position: origin.locateKey(at),
        help: former.help,
      })
      return
    }
    const key = String(at.at(-1))
    // A text that does not look like a key may be a value in the wrong place, such as a token.
    const name = PLAIN_KEY.test(key) ? key : undefined
    const near = findNearest(key, Object.keys(table))
    const group = at.slice(0, -1).join('.')
    const elsewhere = SETTING_LIST.find(({ path }) => path.at(-1) === key)
    const help =
      name === undefined
        ? 'a space stands after the colon of a key'
        : at.length === 1 && key === 'spec'
          ? 'settings stand at the top level, beside kind'
          : near
            ? `did you mean "${near}"?`
            : elsewhere
              ? `did you mean ${elsewhere.name}?`
              : `known here: ${Object.keys(table).join(', ')}`
    diagnostics.add(
      'PORTICO_SET_FIELD_UNKNOWN',
      `unknown setting${name ? ` "${name}"` : ''}${group && ` in ${group}`}`,
      {
        position: origin.locateKey(at),
        help,
      },
    )
  }
}

function reportUnknownFlags(flags: SettingOverrides, diagnostics: DiagnosticList): void {
  for (const name of Object.keys(flags)) {
    if (NAMES.has(name)) continue
    const former = explainFormer(name)
    if (former) {
      diagnostics.add('PORTICO_SET_FIELD_UNKNOWN', former.message, { help: former.help })
      continue
    }
    const near = findNearest(name, NAMES) ?? SETTING_LIST.find(({ path }) => path.at(-1) === name)?.name
    diagnostics.add('PORTICO_SET_FIELD_UNKNOWN', `unknown setting "${name}" given by flag`, {
      help: near ? `did you mean ${flagName(near)}?` : 'portico get settings -f FILE lists every setting',
    })
  }
}

/** What Kubernetes and Docker links put into the environment for a Service called `portico`. */
const SERVICE_LINK = /^PORTICO_(SERVICE_(HOST|PORT.*)|PORT(_\d+_(TCP|UDP|SCTP).*)?)$/

function reportUnknownVariables(environment: NodeJS.ProcessEnv, diagnostics: DiagnosticList): void {
  for (const variable of Object.keys(environment).sort()) {
    const rest = variable.slice(PREFIX.length)
    if (!variable.startsWith(PREFIX) || VARIABLE_ENDINGS.has(rest) || SERVICE_LINK.test(variable)) continue
    const former = explainFormer(variable, environmentName)
    // The prefix, which all share, would count as likeness.
    const near = findNearest(rest, VARIABLE_ENDINGS)
    const help = near ? `did you mean ${PREFIX}${near}?` : 'unset it, or give it another name'
    diagnostics.add(
      'PORTICO_SET_FIELD_UNKNOWN',
      former?.message ?? `environment variable ${variable} names no setting`,
      { severity: 'warning', help: former?.isConstant ? 'unset it' : (former?.help ?? help) },
    )
  }
}
