/**
 * The ConfigMap of the controller of ingress-nginx, as settings of Portico's own. It says what holds where no annotation does, so its
 * keys take the place of defaults: what the settings themselves say goes before.
 */
import { addOutcome, type DiagnosticList } from '../../../base/diagnostics.ts'
import { findNearest } from '../../../base/nearest.ts'
import type { FieldPath } from '../../../base/position.ts'
import { printName } from '../../../base/resource-name.ts'
import { findContentField, readContent } from '../../../kubernetes/config-map.ts'
import { type ConfigMap, printResource, type Resource } from '../../../kubernetes/resource.ts'
import type { ControllerConfig } from '../../../settings/compatibility.ts'
import { SETTINGS_BY_NAME } from '../../../settings/resolve.ts'
import { type ControllerText, findGroup, isIdleKey, KEY_NAMES, type KeyGroup, REFUSED_KEYS } from './controller-keys.ts'

/** The names that the charts and the manifests of ingress-nginx give it. */
const USUAL_NAME = /(?:^|-)(?:ingress-nginx-controller|nginx-ingress-controller)$|^nginx-configuration$/

/** What keeps requests out. */
const GUARDS: ReadonlySet<string> = new Set(['routes.allowSourceRange', 'routes.authUrl', 'routes.denySourceRange'])

const REFUSAL = 'until then all routes answer 503, unless unsupportedGuards is serve'

/**
 * Reads the ConfigMap that is called `written` (`namespace/name`), or, where that is empty, the one with a usual name. Undefined: there is
 * none. Nobody knows what one of the `refused` guards, nor which of several is meant: then all routes are closed.
 */
export function readControllerConfig(
  resources: readonly Resource[],
  refused: readonly Resource[],
  written: string,
  diagnostics: DiagnosticList,
): ControllerConfig | undefined {
  const maps = new Map(
    resources.flatMap((one) => (one.kind === 'ConfigMap' ? [[printName(one.meta), one] as const] : [])),
  )
  const broken = new Map(refused.map((one) => [printName(one.meta), one]))
  const isUsual = (name: string): boolean => USUAL_NAME.test(name.slice(name.indexOf('/') + 1))
  const usual = [...new Set([...maps.keys(), ...broken.keys()])].filter(isUsual).sort()
  const name = written === '' ? usual[0] : written
  if (name === undefined) return undefined
  const map = maps.get(name)
  const isOne = written !== '' || usual.length === 1
  if ((map === undefined && broken.has(name)) || !isOne) {
    const faulty = (map ?? broken.get(name))!
    const message = isOne
      ? 'the ConfigMap of the controller has errors'
      : `${usual.join(' and ')} may be the ConfigMap of the controller`
    const help = isOne ? 'mend it' : 'name one in the setting controllerConfigmap'
    diagnostics.add('PORTICO_SET_CONTROLLER', message, {
      severity: 'error',
      position: faulty.origin.locate(['metadata', 'name']),
      resource: printResource(faulty),
      help: addOutcome(help, REFUSAL),
    })
    return {
      name: printResource(faulty),
      part: 'key',
      count: 0,
      settings: new Map(),
      routes: {},
      annotations: undefined,
      isRefusing: true,
    }
  }
  if (map === undefined) {
    const nearest = findNearest(name, maps.keys())
    diagnostics.add('PORTICO_SET_FIELD_VALUE', `controllerConfigmap: there is no ConfigMap ${name}`, {
      help:
        nearest === undefined ? 'write namespace/name of one that the manifests have' : `did you mean "${nearest}"?`,
    })
    return undefined
  }
  return new ConfigReader(map, maps, diagnostics).read()
}

class ConfigReader implements ControllerText {
  readonly #map: ConfigMap
  readonly #maps: ReadonlyMap<string, ConfigMap>
  readonly #diagnostics: DiagnosticList
  readonly #settings = new Map<string, unknown>()
  readonly #routes: Record<string, string> = {}
  readonly #given = new Map<string, Readonly<{ value: string; key: string; field: FieldPath }>>()
  #withoutAuth: readonly string[] = []
  #isRefusing = false

  constructor(map: ConfigMap, maps: ReadonlyMap<string, ConfigMap>, diagnostics: DiagnosticList) {
    this.#map = map
    this.#maps = maps
    this.#diagnostics = diagnostics
  }

  read(): ControllerConfig {
    const groups = new Set<KeyGroup>()
    let count = 0
    for (const key of this.#map.keys.keys()) {
      const group = findGroup(key)
      if (group === undefined) this.#tellUnread(key)
      else if (this.text(key) !== undefined) {
        groups.add(group)
        count++
      } else if (this.#written(key) !== '') {
        const { form, settings } = group.keys[key]!
        if (settings.some((setting) => GUARDS.has(setting))) this.#refuse(key, `the value ${form.fault}`, form.help)
        else {
          const help = `${form.help}; until then it counts as not written, as in ingress-nginx`
          this.warn(key, `the value ${form.fault}`, help)
        }
      }
    }
    for (const group of groups) group.write(this)
    return Object.freeze({
      name: printResource(this.#map),
      part: 'key',
      count,
      settings: this.#settings,
      routes: Object.freeze(this.#routes),
      annotations:
        this.#given.size === 0
          ? undefined
          : { values: this.#given, withoutAuth: this.#withoutAuth, origin: this.#map.origin },
      isRefusing: this.#isRefusing,
    })
  }

  text(key: string): string | undefined {
    const text = this.#written(key)
    return text !== '' && findGroup(key)!.keys[key]!.form.pattern.test(text) ? text : undefined
  }

  set(setting: string, value: string, name: string): void {
    const given = SETTINGS_BY_NAME.get(setting)!.read(value, 'text', name)
    if ('value' in given) this.#settings.set(setting, given.value)
    else for (const { message, help } of given.problems) this.warn(name, message, help)
  }

  setRoute(option: string, value: string): void {
    this.#routes[option] = value
  }

  give(annotation: string, name: string): void {
    const field = findContentField(this.#map, name)
    this.#given.set(annotation, { value: this.text(name)!, key: name, field })
  }

  exemptFromAuth(paths: readonly string[]): void {
    this.#withoutAuth = paths
  }

  /** G5: a field whose value has a line break, or whose name is none, is left out. */
  lines(key: string): readonly string[] {
    const reference = this.text(key)
    if (reference === undefined) return []
    const name = reference.includes('/') ? reference : `${this.#map.meta.namespace}/${reference}`
    const map = this.#maps.get(name)
    if (map === undefined) {
      this.warn(key, `there is no ConfigMap ${name}`, 'add it to the manifests; until then no field is set')
      return []
    }
    return [...map.keys.keys()].flatMap((field) => {
      const value = readContent(map, field)!.toString().trim()
      return /^[-\w]+$/.test(field) && !/[\0\r\n]/.test(value) ? [`${field}: ${value}`] : []
    })
  }

  warn(key: string, message: string, help: string): void {
    this.#report(key, message, help, 'warning')
  }

  #tellUnread(key: string): void {
    if (isIdleKey(key)) return
    const refused = Object.hasOwn(REFUSED_KEYS, key) ? REFUSED_KEYS[key] : undefined
    if (refused === undefined) {
      const nearest = KEY_NAMES.includes(key) ? undefined : findNearest(key, KEY_NAMES)
      const help = nearest === undefined ? 'what it says does not hold here' : `did you mean "${nearest}"?`
      this.warn(key, 'this key is not read', help)
    } else if (['', 'false'].includes(this.#written(key))) return
    else if (refused.isGuard) this.#refuse(key, refused.why, 'take it out')
    else this.warn(key, refused.why, 'what it says does not hold here')
  }

  /** What would keep requests out, and cannot be done, keeps all of them out. */
  #refuse(key: string, message: string, help: string): void {
    this.#isRefusing = true
    this.#report(key, message, addOutcome(help, REFUSAL), 'error')
  }

  #written(key: string): string {
    return this.#map.keys.has(key) ? readContent(this.#map, key)!.toString().trim() : ''
  }

  #report(key: string, message: string, help: string, severity: 'error' | 'warning'): void {
    this.#diagnostics.add('PORTICO_SET_CONTROLLER', `${key}: ${message}`, {
      severity,
      position: this.#map.origin.locate(findContentField(this.#map, key)),
      resource: printResource(this.#map),
      help,
    })
  }
}
