/**
 * JSONPath as kubectl has it: templates of text and of expressions in braces, `{.items[*].host}`, with `range … end`, indexes, slices,
 * unions, filters and `..`. Nothing of an expression is run as code.
 */
import { UsageError } from './usage-error.ts'

type Step =
  | Readonly<{ type: 'field'; names: readonly string[] }>
  | Readonly<{ type: 'all' }>
  | Readonly<{ type: 'deep' }>
  | Readonly<{ type: 'index'; indexes: readonly number[] }>
  | Readonly<{ type: 'slice'; from: number | undefined; to: number | undefined; by: number }>
  | Readonly<{ type: 'filter'; left: Operand; operator: string | undefined; right: Operand | undefined }>

/** Relative to the item that a filter looks at, or a literal. */
type Operand = Readonly<{ path: readonly Step[] }> | Readonly<{ literal: unknown }>

export type Path = readonly Step[]

type Part =
  | Readonly<{ type: 'text'; text: string }>
  | Readonly<{ type: 'path'; path: Path; isRoot: boolean }>
  | Readonly<{ type: 'range'; path: Path; isRoot: boolean; parts: readonly Part[] }>

/** The printed text for a value. Throws a UsageError for a template that cannot be read. */
export function readTemplate(template: string): (root: unknown) => string {
  const reader = new TemplateReader(template)
  const parts = reader.readParts(false)
  return (root) => printParts(parts, root, root)
}

/** `.a.b[0]`, also `a.b` and `{.a.b}`: gives all values that it leads to. */
export function readPath(text: string): (root: unknown) => readonly unknown[] {
  const inner = /^\{(.*)\}$/s.exec(text.trim())?.[1] ?? text.trim()
  const path = new PathReader(/^[.[$@]/.test(inner) ? inner : `.${inner}`, text).readWhole()
  return (root) => follow(path, root)
}

/** As kubectl prints them: texts as they are, all else as JSON. */
export function printValue(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function printParts(parts: readonly Part[], root: unknown, current: unknown): string {
  return parts
    .map((part) => {
      if (part.type === 'text') return part.text
      const found = follow(part.path, part.isRoot ? root : current)
      if (part.type === 'path') return found.map(printValue).join(' ')
      return found.map((item) => printParts(part.parts, root, item)).join('')
    })
    .join('')
}

function fail(text: string, why: string): never {
  throw new UsageError(`jsonpath "${text}": ${why}`, "write one as in -o jsonpath='{.items[*].host}'")
}

class TemplateReader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  /** Up to `{end}` where `inRange`, else to the end of the text. */
  readParts(inRange: boolean): readonly Part[] {
    const parts: Part[] = []
    for (;;) {
      const open = this.#text.indexOf('{', this.#at)
      const text = this.#text.slice(this.#at, open < 0 ? undefined : open)
      if (text !== '') parts.push({ type: 'text', text })
      if (open < 0) {
        if (inRange) fail(this.#text, 'a range has no {end}')
        return parts
      }
      const close = findClose(this.#text, open)
      if (close < 0) fail(this.#text, 'a brace is not closed')
      this.#at = close + 1
      const inner = this.#text.slice(open + 1, close).trim()
      if (inner === 'end') {
        if (!inRange) fail(this.#text, '{end} ends no range')
        return parts
      }
      parts.push(this.#readExpression(inner))
    }
  }

  #readExpression(inner: string): Part {
    if (/^(".*"|'.*')$/s.test(inner)) return { type: 'text', text: readText(inner, this.#text) }
    const [, range] = /^range\s+(.*)$/s.exec(inner) ?? []
    if (range === undefined && !/^[.[$@]/.test(inner))
      fail(this.#text, `"${inner}" is no expression: fields begin with a dot`)
    const path = new PathReader(range ?? inner, this.#text).readWhole()
    const isRoot = (range ?? inner).startsWith('$')
    if (range === undefined) return { type: 'path', path, isRoot }
    if (++this.#depth > 8) fail(this.#text, 'ranges are too deep')
    const parts = this.readParts(true)
    this.#depth--
    return { type: 'range', path, isRoot, parts }
  }
}

/** The brace that closes the one at `open`; braces in quoted text do not count. */
function findClose(text: string, open: number): number {
  let quote = ''
  for (let at = open + 1; at < text.length; at++) {
    const character = text[at]!
    if (quote !== '') {
      if (character === '\\') at++
      else if (character === quote) quote = ''
    } else if (character === '"' || character === "'") quote = character
    else if (character === '}') return at
  }
  return -1
}

/** `"a\n"` or `'a'` without its quotes. */
function readText(quoted: string, whole: string): string {
  const json = quoted.startsWith("'") ? `"${quoted.slice(1, -1).replace(/\\'/g, "'").replaceAll('"', '\\"')}"` : quoted
  try {
    return JSON.parse(json) as string
  } catch {
    return fail(whole, `${quoted} is no text`)
  }
}

class PathReader {
  readonly #text: string
  readonly #whole: string
  #at = 0

  constructor(text: string, whole: string) {
    this.#text = text
    this.#whole = whole
  }

  readWhole(): Path {
    const steps = this.#read()
    if (this.#at < this.#text.length) fail(this.#whole, `"${this.#text.slice(this.#at)}" cannot be read`)
    return steps
  }

  #read(): Path {
    const steps: Step[] = []
    this.#take(/^[$@]/y)
    for (;;) {
      if (this.#take(/\.\./y)) {
        steps.push({ type: 'deep' })
        if (!/[.[]/.test(this.#text[this.#at] ?? '')) steps.push(this.#readName())
      } else if (this.#take(/\.(?=\[|$)/y)) continue
      else if (this.#take(/\./y)) steps.push(this.#readName())
      else if (this.#text[this.#at] === '[') steps.push(this.#readBrackets())
      else return steps
    }
  }

  #readName(): Step {
    if (this.#take(/\*/y)) return { type: 'all' }
    const name = this.#take(/(?:[\w-]|\\.)+/y)
    if (!name) return fail(this.#whole, 'a name is missing behind a dot')
    return { type: 'field', names: [name.replace(/\\(.)/g, '$1')] }
  }

  #readBrackets(): Step {
    if (this.#take(/\[\s*\*\s*\]/y)) return { type: 'all' }
    const filter = this.#take(/\[\?\(/y)
    if (filter) return this.#readFilter()
    const names = this.#take(/\[\s*(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*\s*\]/y)
    if (names)
      return { type: 'field', names: [...names.matchAll(/'([^']*)'|"([^"]*)"/g)].map(([, a, b]) => a ?? b ?? '') }
    const slice = this.#take(/\[\s*-?\d*\s*:\s*-?\d*\s*(?::\s*\d+\s*)?\]/y)
    if (slice) {
      const [from, to, by] = slice
        .slice(1, -1)
        .split(':')
        .map((part) => (part.trim() === '' ? undefined : Number(part)))
      return { type: 'slice', from, to, by: Math.max(1, by ?? 1) }
    }
    const indexes = this.#take(/\[\s*-?\d+(?:\s*,\s*-?\d+)*\s*\]/y)
    if (indexes) return { type: 'index', indexes: indexes.slice(1, -1).split(',').map(Number) }
    return fail(this.#whole, `"${this.#text.slice(this.#at)}" is no index, name or filter`)
  }

  #readFilter(): Step {
    this.#take(/\s*/y)
    const left = this.#readOperand()
    this.#take(/\s*/y)
    const operator = this.#take(/==|!=|<=|>=|<|>/y)
    let right: Operand | undefined
    if (operator) {
      this.#take(/\s*/y)
      right = this.#readOperand()
    }
    if (!this.#take(/\s*\)\s*\]/y)) fail(this.#whole, 'a filter does not end in )]')
    return { type: 'filter', left, operator, right }
  }

  #readOperand(): Operand {
    if (this.#text[this.#at] === '@') {
      this.#at++
      return { path: this.#read() }
    }
    const literal = this.#take(/"(?:[^"\\]|\\.)*"|'[^']*'|-?\d+(?:\.\d+)?|true|false|null/y)
    if (!literal) return fail(this.#whole, 'a filter compares @.field with a text, a number, true or false')
    return { literal: /^["']/.test(literal) ? readText(literal, this.#whole) : JSON.parse(literal) }
  }

  /** The text that the sticky expression matches here, `''` where it does not. */
  #take(expression: RegExp): string {
    expression.lastIndex = this.#at
    const found = expression.exec(this.#text)?.[0] ?? ''
    this.#at += found.length
    return found
  }
}

function follow(path: Path, root: unknown): readonly unknown[] {
  let values: readonly unknown[] = [root]
  for (const step of path) values = values.flatMap((value) => take(step, value))
  return values
}

function take(step: Step, value: unknown): readonly unknown[] {
  switch (step.type) {
    case 'field':
      return step.names.flatMap((name) => (isObject(value) && Object.hasOwn(value, name) ? [value[name]] : []))
    case 'all':
      return listInner(value)
    case 'deep':
      return listDeep(value)
    case 'index':
      return Array.isArray(value)
        ? step.indexes.flatMap((index) => ((found) => (found === undefined ? [] : [found]))(value.at(index)))
        : []
    case 'slice':
      return Array.isArray(value) ? value.slice(step.from, step.to).filter((_, index) => index % step.by === 0) : []
    case 'filter':
      return listInner(value).filter((item) => holds(step, item))
  }
}

function holds({ left, operator, right }: Extract<Step, { type: 'filter' }>, item: unknown): boolean {
  const [found] = valuesOf(left, item)
  if (operator === undefined || right === undefined) return found !== undefined && found !== false && found !== null
  const [wanted] = valuesOf(right, item)
  if (operator === '==') return found === wanted
  if (operator === '!=') return found !== wanted
  if (typeof found !== typeof wanted || (typeof found !== 'number' && typeof found !== 'string')) return false
  const [a, b] = [found, wanted as typeof found]
  if (operator === '<') return a < b
  if (operator === '>') return a > b
  return operator === '<=' ? a <= b : a >= b
}

function valuesOf(operand: Operand, item: unknown): readonly unknown[] {
  return 'path' in operand ? follow(operand.path, item) : [operand.literal]
}

function listInner(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return isObject(value) ? Object.values(value) : []
}

function listDeep(value: unknown): readonly unknown[] {
  return [value, ...listInner(value).flatMap(listDeep)]
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
