/** The problems of one object, in the API server's words (apimachinery's field.Error), each with its position in the text. */
import {
  addOutcome,
  DIAGNOSTICS,
  type DiagnosticCode,
  type DiagnosticList,
  type DiagnosticNote,
  type Severity,
} from '../base/diagnostics.ts'
import { findNearest } from '../base/nearest.ts'
import { type FieldPath, type Origin, printFieldPath } from '../base/position.ts'
import { PLAIN_KEY, PRIVATE_KEY, soundsSecret, veilPosition } from '../base/veil.ts'

/** Placeholders that templates and people write for a value still to come. */
const PLACEHOLDER =
  /^<.*>$|<[\w .-]+>|\$\{?\w+|\$\(|\{\{|%\w+%|@\w+@|__\w+__|\b(?:change|replace|fill|put|insert)[-_]?(?:me|this|it|here)\b|\b(?:YOUR|MY)_\w+|\[(?:your|the)[ -_]\w+/i
const PLACEHOLDER_HELP = 'this is a placeholder: put the value in its place, or render the template first'

export type ProblemDetails = {
  help?: string | undefined
  /** The field to point at, if not the one concerned. */
  at?: FieldPath
  /** True to point at the key and not at the value. */
  key?: boolean
  /** The field's name as the API server prints it, if that differs from its path. */
  name?: string
  notes?: readonly DiagnosticNote[]
  severity?: Severity
  /** True if the object is still used, without the field. */
  isUsable?: boolean
}

/** Collects the problems of one object. It has `failed` once one is an error: the object is then left out. */
export class ProblemReport {
  readonly origin: Origin
  /** `Kind namespace/name`. */
  readonly resource: string
  failed = false
  readonly #stray: (readonly [name: string, value: string])[] = []
  readonly #diagnostics: DiagnosticList
  /** Fields of the wrong type. Rules about their content would only mislead. */
  readonly #unusable = new Set<string>()

  constructor(origin: Origin, resource: string, diagnostics: DiagnosticList) {
    this.origin = origin
    this.resource = resource
    this.#diagnostics = diagnostics
  }

  required(path: FieldPath, detail: string = '', details: ProblemDetails = {}): void {
    const last = path.at(-1)
    const help = typeof last === 'string' ? `add ${last}` : undefined
    this.#field('PORTICO_RES_FIELD_REQUIRED', path, `Required value${suffix(detail)}`, { help, ...details })
  }

  invalid(path: FieldPath, value: unknown, detail: string, details: ProblemDetails = {}): void {
    const text = `Invalid value${this.#show(path, value)}${suffix(detail)}`
    const isPlaceholder = typeof value === 'string' && PLACEHOLDER.test(value)
    this.#field('PORTICO_RES_FIELD_VALUE', path, text, isPlaceholder ? { ...details, help: PLACEHOLDER_HELP } : details)
  }

  /** Reports an invalid value without showing it. */
  malformed(path: FieldPath, detail: string, details: ProblemDetails = {}): void {
    this.#field('PORTICO_RES_FIELD_VALUE', path, `Invalid value${suffix(detail)}`, details)
  }

  /** `supported` is printed sorted, as the API server does. */
  unsupported(path: FieldPath, value: string, supported: readonly string[], advice?: string): void {
    const nearest = findNearest(value, supported)
    const names = supported.toSorted().map(printValue).join(', ')
    this.#field(
      'PORTICO_RES_FIELD_VALUE',
      path,
      `Unsupported value${this.#show(path, value)}: supported values: ${names}`,
      {
        help: advice !== undefined ? advice : nearest ? `did you mean ${JSON.stringify(nearest)}?` : undefined,
      },
    )
  }

  /** `first` is the path of the earlier equal value. */
  duplicate(path: FieldPath, value: unknown, first: FieldPath): void {
    const notes = [{ message: 'the first one is here', position: this.origin.locate(first) }]
    this.#field('PORTICO_RES_FIELD_VALUE', path, `Duplicate value${this.#show(path, value)}`, { notes })
  }

  forbidden(path: FieldPath, detail: string, details: ProblemDetails = {}): void {
    const help = `remove ${path.at(-1)}`
    this.#field('PORTICO_RES_FIELD_VALUE', path, `Forbidden${suffix(detail)}`, { key: true, help, ...details })
  }

  tooLong(path: FieldPath, limit: number): void {
    this.#field('PORTICO_RES_FIELD_VALUE', path, `Too long: may not be more than ${limit} bytes`, {})
  }

  tooMany(path: FieldPath, count: number, limit: number): void {
    this.#field('PORTICO_RES_FIELD_VALUE', path, `Too many: ${count}: must have at most ${limit} items`, { key: true })
  }

  /** Reports a value of the wrong type. */
  wrongType(path: FieldPath, value: unknown, expected: string, help?: string): void {
    const shown = cut(this.#show(path, value), 82)
    this.#field('PORTICO_RES_FIELD_TYPE', path, `Invalid value${shown}: ${expected}`, { help })
    this.#unusable.add(printFieldPath(path))
  }

  /** Strict decoding names unknown fields; the object is used without them, unless they are an error. */
  unknownField(path: FieldPath, help: string | undefined, isError: boolean): void {
    this.add('PORTICO_RES_FIELD_UNKNOWN', `unknown field "${this.#name(path)}"`, path, {
      help,
      key: true,
      ...(isError && { severity: 'error' }),
    })
  }

  /**
   * Reports annotations that stand where nobody reads them. They may guard, so that the object cannot be used without them; what it
   * is closed for is found in `stray`.
   */
  strayAnnotations(
    path: FieldPath,
    found: readonly (readonly [name: string, value: string])[],
    help: string = '',
  ): void {
    this.#stray.push(...found)
    const outcome = `until then the ${this.resource.split(' ', 1)[0]} is not served`
    this.add('PORTICO_RES_FIELD_UNKNOWN', `unknown field "${this.#name(path)}" holds annotations`, path, {
      help: help === '' ? outcome : addOutcome(help, outcome),
      key: true,
      severity: 'error',
    })
  }

  /** The annotations so reported. */
  get stray(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#stray)
  }

  /** True if the field, or a field around it, has the wrong type. */
  isUnusable(path: FieldPath): boolean {
    if (this.#unusable.size === 0) return false
    return path.some((_, index) => this.#unusable.has(printFieldPath(path.slice(0, index + 1))))
  }

  add(code: DiagnosticCode, message: string, path: FieldPath, details: ProblemDetails = {}): void {
    const { help, at = path, key = false, notes = [], isUsable = false } = details
    const severity = details.severity ?? DIAGNOSTICS[code][0]
    if (!isUsable && severity === 'error') this.failed = true
    // Finding a position is the most expensive part, and a dropped problem does not need one.
    if (this.#diagnostics.isFull) this.#diagnostics.drop(1, severity)
    else {
      const found = key ? this.origin.locateKey(at) : this.origin.locate(at)
      const isLost = code === 'PORTICO_RES_FIELD_UNKNOWN' && soundsSecret(String(at.at(-1)))
      const position = isLost ? veilPosition(found) : found
      this.#diagnostics.add(code, message, { position, resource: this.resource, help, notes, severity })
    }
  }

  #field(code: DiagnosticCode, path: FieldPath, text: string, details: ProblemDetails): void {
    if (this.isUnusable(path)) {
      this.failed = true
      return
    }
    this.add(code, `${details.name ?? this.#name(path)}: ${text}`, path, details)
  }

  /** The value at `path` behind a colon, or `''` if it must not be shown. */
  #show(path: FieldPath, value: unknown): string {
    const text = this.origin.hides(path) ? '' : printValue(value)
    return text === '' || PRIVATE_KEY.test(text) ? '' : `: ${text}`
  }

  /** The field's name; a key that does not look like one may be a misplaced secret value, and is not shown. */
  #name(path: FieldPath): string {
    if (!this.origin.hides(path)) return printFieldPath(path)
    return printFieldPath(path.map((step) => (typeof step === 'number' || PLAIN_KEY.test(step) ? step : '…')))
  }
}

function suffix(detail: string): string {
  return detail === '' ? '' : `: ${detail}`
}

/** Prints strings in Go's quotes, numbers and booleans bare, and all other values as JSON. */
function printValue(value: unknown): string {
  return cut(JSON.stringify(value) ?? 'null', 1000)
}

function cut(text: string, limit: number): string {
  return text.length > limit ? `${text.slice(0, limit)}…` : text
}
