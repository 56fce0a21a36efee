/**
 * Typed reads of one mapping of a document. A field that is absent, null or of the wrong type reads as undefined: the check of
 * shapes has already reported wrong types.
 */
import type { FieldPath } from '../base/position.ts'
import type { ProblemReport } from './report.ts'
import { isMapping } from './shape.ts'

const NO_STRINGS: Readonly<Record<string, string>> = Object.freeze({})

export class FieldReader {
  readonly path: FieldPath
  readonly report: ProblemReport
  readonly #fields: Readonly<Record<string, unknown>>

  constructor(value: unknown, path: FieldPath, report: ProblemReport) {
    this.path = path
    this.report = report
    this.#fields = isMapping(value) ? value : {}
  }

  /** The path of a field, for reports. */
  at(...steps: FieldPath): FieldPath {
    return [...this.path, ...steps]
  }

  /** True if the field is set, whatever its type. */
  has(key: string): boolean {
    const value = this.#read(key)
    return value !== undefined && value !== null
  }

  isList(key: string): boolean {
    return Array.isArray(this.#read(key))
  }

  string(key: string): string | undefined {
    const value = this.#read(key)
    return typeof value === 'string' ? value : undefined
  }

  integer(key: string): number | undefined {
    const value = this.#read(key)
    return typeof value === 'number' && Number.isInteger(value) ? value : undefined
  }

  boolean(key: string): boolean | undefined {
    const value = this.#read(key)
    return typeof value === 'boolean' ? value : undefined
  }

  integerOrString(key: string): number | string | undefined {
    return this.integer(key) ?? this.string(key)
  }

  /** A nested mapping; an absent one reads as a mapping without fields. */
  child(key: string): FieldReader {
    return new FieldReader(this.#read(key), this.at(key), this.report)
  }

  /** A list of mappings; a null item has no fields. */
  items(key: string): readonly FieldReader[] {
    const value = this.#read(key)
    if (!Array.isArray(value)) return []
    return value.map((item, index) => new FieldReader(item, this.at(key, index), this.report))
  }

  /** A list of strings; null items are empty strings, as in Go. */
  strings(key: string): readonly string[] {
    const value = this.#read(key)
    if (!Array.isArray(value)) return []
    return value.map((item) => (typeof item === 'string' ? item : ''))
  }

  /**
   * A mapping of strings, with its own keys alone. Never look up a name that objects inherit. A value that is not a string was
   * reported; it reads as empty, or as `print` turns it into text.
   */
  stringMap(key: string, print: (value: unknown) => string = () => ''): Readonly<Record<string, string>> {
    const value = this.#read(key)
    if (!isMapping(value)) return NO_STRINGS
    const read = (item: unknown): string =>
      typeof item === 'string' ? item : item === null || item === undefined ? '' : print(item)
    const entries = Object.entries(value).map(([name, item]) => [name, read(item)])
    return entries.length === 0 ? NO_STRINGS : Object.fromEntries(entries)
  }

  /** The fields that are not among these, as they are written; null where nothing stands behind the name. */
  rest(known: readonly string[]): Readonly<Record<string, unknown>> {
    return Object.fromEntries(Object.entries(this.#fields).filter(([key]) => !known.includes(key)))
  }

  #read(key: string): unknown {
    return Object.hasOwn(this.#fields, key) ? this.#fields[key] : undefined
  }
}
