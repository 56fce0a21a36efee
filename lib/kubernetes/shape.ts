/** Shapes of Kubernetes types, and the check that finds all wrong types and unknown fields of a document. */
import { findNearest } from '../base/nearest.ts'
import type { FieldPath, SourcePosition } from '../base/position.ts'
import type { ProblemReport } from './report.ts'
import { findStrayAnnotations, isLikeAnnotations } from './stray-annotations.ts'

/** `any` is a value of any type. */
export type Shape = 'string' | 'int' | 'bool' | 'intOrString' | 'any' | ListShape | MapShape | ObjectShape
export type ListShape = Readonly<{ type: 'list'; items: Shape }>
/** A mapping with any keys. */
export type MapShape = Readonly<{ type: 'map'; values: Shape }>
export type ObjectShape = Readonly<{
  type: 'object'
  fields: Readonly<Record<string, Shape>>
  /** True if the type has further fields, which Portico does not judge. */
  open: boolean
  /** The present forms of fields of older versions. */
  moved: Readonly<Record<string, string>>
  /** The form to write in place of a bare value. */
  form: string | undefined
  /** For fields of two forms, the form that takes the other type: a name where a number is written. */
  other: Readonly<Record<string, string>>
  /** True for a kind whose annotations may keep requests away. */
  isGuarded: boolean
  /** True for a kind of Portico's own: what does not exist is an error there, since no later version has it. */
  isOwn: boolean
}>

export function list(items: Shape): ListShape {
  return { type: 'list', items }
}
export function map(values: Shape): MapShape {
  return { type: 'map', values }
}
export function object(
  fields: Readonly<Record<string, Shape>>,
  more: Partial<Pick<ObjectShape, 'open' | 'moved' | 'form' | 'other'>> = {},
): ObjectShape {
  const { open = false, moved = {}, form, other = {} } = more
  return { type: 'object', fields, open, moved, form, other, isGuarded: false, isOwn: false }
}

/** Reports every field of `value` that has the wrong type or does not exist. Null is "not set" everywhere. */
export function checkShape(value: unknown, shape: ObjectShape, report: ProblemReport): void {
  new ShapeCheck(shape, report).check(value, shape)
}

class ShapeCheck {
  readonly #root: ObjectShape
  readonly #report: ProblemReport
  readonly #path: (string | number)[] = []
  /** The form in which the present value would be right. */
  #other: string | undefined

  constructor(root: ObjectShape, report: ProblemReport) {
    this.#root = root
    this.#report = report
  }

  check(value: unknown, shape: Shape): void {
    if (value === null || value === undefined || shape === 'any') return
    if (typeof shape === 'string') this.#checkScalar(value, shape)
    else if (shape.type === 'list') this.#checkList(value, shape)
    else if (shape.type === 'map') this.#checkMap(value, shape)
    else this.#checkObject(value, shape)
  }

  #checkScalar(value: unknown, shape: Exclude<Shape, ListShape | MapShape | ObjectShape>): void {
    const isString = typeof value === 'string'
    const isInteger = Number.isInteger(value)
    if (shape === 'string') {
      if (!isString) this.#addWrongType(value, 'must be a string', quoteHelp)
    } else if (shape === 'int') {
      if (!isInteger) this.#addWrongType(value, 'must be an integer', unquoteHelp)
    } else if (shape === 'bool') {
      if (typeof value !== 'boolean') this.#addWrongType(value, 'must be true or false', unquoteHelp)
    } else if (!isString && !isInteger) {
      this.#addWrongType(value, 'must be an integer or a string', quoteHelp)
    }
  }

  #checkList(value: unknown, shape: ListShape): void {
    if (!Array.isArray(value)) {
      this.#addWrongType(value, 'must be a list', () => 'start each item with "- "')
      return
    }
    for (const [index, item] of value.entries()) this.#checkChild(index, item, shape.items)
  }

  #checkMap(value: unknown, shape: MapShape): void {
    if (!isMapping(value)) {
      this.#addWrongType(value, 'must be a mapping', mappingHelp)
      return
    }
    for (const [key, item] of Object.entries(value)) this.#checkChild(key, item, shape.values)
  }

  #checkObject(value: unknown, shape: ObjectShape): void {
    if (!isMapping(value)) {
      this.#addWrongType(value, 'must be a mapping', (actual) => mappingHelp(actual) ?? shape.form)
      return
    }
    for (const [key, item] of Object.entries(value)) {
      if (Object.hasOwn(shape.fields, key)) {
        this.#other = Object.hasOwn(shape.other, key) ? shape.other[key] : undefined
        this.#checkChild(key, item, shape.fields[key] as Shape)
      } else if (!shape.open) this.#addUnknown(key, item, shape)
    }
  }

  #checkChild(step: string | number, value: unknown, shape: Shape): void {
    this.#path.push(step)
    this.check(value, shape)
    this.#path.pop()
  }

  #addUnknown(key: string, value: unknown, shape: ObjectShape): void {
    const path = [...this.#path, key]
    const stray = this.#root.isGuarded ? findStrayAnnotations(key, value) : undefined
    if (stray === undefined) this.#report.unknownField(path, this.#unknownHelp(key, shape), this.#root.isOwn)
    else this.#report.strayAnnotations(path, stray, this.#unknownHelp(key, shape))
  }

  #unknownHelp(key: string, shape: ObjectShape): string | undefined {
    if (Object.hasOwn(shape.moved, key)) return shape.moved[key]
    if (key.includes('/')) return 'an annotation belongs under metadata.annotations'
    if (isLikeAnnotations(key) && this.#path[0] !== 'metadata') return 'annotations belongs under metadata'
    const homes = findHomes(this.#root, key)
    const home = homes[0]
    // A correct field name in the wrong place is more often an indentation slip than a typing error.
    const belongs = homes.length === 1 && home ? `${key} belongs in ${home}` : undefined
    const nearest = findNearest(key, Object.keys(shape.fields))
    const isPlural = nearest !== undefined && (key === `${nearest}s` || nearest === `${key}s`)
    if (belongs) return isPlural ? `did you mean "${nearest}"? ${belongs}` : `${belongs}: check the indentation`
    if (nearest) return `did you mean "${nearest}"?`
    return this.#root.isOwn && this.#path.length === 0 ? 'it belongs under spec' : undefined
  }

  #addWrongType(
    value: unknown,
    expected: string,
    help: (value: unknown, position: SourcePosition) => string | undefined,
  ): void {
    const path: FieldPath = [...this.#path]
    const { origin } = this.#report
    const isHidden = typeof value !== 'object' && origin.hides(path)
    const isOther = this.#other !== undefined && isOtherSort(value, expected)
    const advice = isHidden
      ? hiddenHelp(expected)
      : isOther
        ? `write ${this.#other}: ${value}`
        : help(value, origin.locate(path))
    this.#report.wrongType(path, value, expected, advice)
  }
}

export function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** True if the value is of the other type; a quoted number only needs to lose its quotes. */
function isOtherSort(value: unknown, expected: string): boolean {
  return expected === 'must be an integer'
    ? typeof value === 'string' && !/^-?\d+$/.test(value)
    : Number.isInteger(value)
}

/** The help for a value that must not be shown. */
function hiddenHelp(expected: string): string | undefined {
  return expected === 'must be a string' ? 'quote it' : undefined
}

function quoteHelp(value: unknown, position: SourcePosition): string | undefined {
  if (typeof value === 'object') return undefined
  const written = writtenText(position)
  if (written === undefined) return 'quote it'
  return written === String(value)
    ? `quote it: "${written}"`
    : `YAML reads ${written} as ${String(value)}; quote it: "${written}"`
}

function unquoteHelp(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  return /^(?:-?\d+|true|false)$/.test(value) ? `write ${value} without quotes` : undefined
}

function mappingHelp(value: unknown): string | undefined {
  if (typeof value === 'string' && /^[\w./-]+:\S/.test(value)) return 'put a space behind the colon'
  return Array.isArray(value) ? 'remove the "- " before its fields' : undefined
}

/** The scalar as written in the text. */
function writtenText(position: SourcePosition): string | undefined {
  const start = (position.excerptColumn ?? position.column) - 1
  const text = position.excerpt.slice(start, start + position.length)
  return /^[\w.+-]+$/.test(text) ? text : undefined
}

/** The places in a kind that have a field of this name, such as `spec.rules[]`. */
function findHomes(root: ObjectShape, key: string): readonly string[] {
  const homes: string[] = []
  const visit = (shape: Shape, path: string): void => {
    if (typeof shape === 'string') return
    if (shape.type === 'list') visit(shape.items, `${path}[]`)
    if (shape.type !== 'object') return
    if (path !== '' && Object.hasOwn(shape.fields, key)) homes.push(path)
    for (const [name, child] of Object.entries(shape.fields)) {
      if (name !== 'status' && name !== 'metadata') visit(child, join(path, name))
    }
  }
  visit(root, '')
  return homes
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
