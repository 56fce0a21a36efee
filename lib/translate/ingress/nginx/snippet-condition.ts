/** Conditions of `if` in snippets, as far as conditions of routes say the same. */
import { METHODS } from 'node:http'
import { findPatternFault, Pattern } from '../../../base/pattern.ts'
import { splitVariable } from '../../../filters/field-template.ts'
import type { RouteConditions, ValueCondition } from '../../../model/conditions.ts'
import { findUnseen } from '../../../routing/predicates.ts'

export type SnippetCondition =
  | Readonly<{ type: 'request'; condition: RouteConditions; isNegated: boolean }>
  /** The client has come by plain HTTP. */
  | Readonly<{ type: 'plain' }>
  /** Of the host alone. */
  | Readonly<{ type: 'host'; holds: (host: string) => boolean }>

type Operator = '=' | '!=' | '~' | '~*' | '!~' | '!~*'

/** What `if` compares: `words` are those between its name and its block; undefined: the condition is of another form. */
type Comparison = Readonly<{ variable: string; operator: Operator | undefined; value: string }>

/** What a request can hold in a field. */
const VISIBLE = /^[\x20-\x7e]{0,1000}$/
/** A value that is neither empty nor 0 (ngx_http_script_if). */
const TRUE = '[^0].*|0.+'
const PLAIN = ['=http', '!=https', '!~https', '!~^https$']
const WRITTEN_METHODS = /^\^?(?:\((?:\?:)?([A-Z|]+)\)|([A-Z]+(?:\|[A-Z]+)*))\$?$/

/** Undefined: no condition of a route says the same. */
export function readCondition(words: readonly string[]): SnippetCondition | undefined {
  const comparison = splitComparison(words)
  if (comparison === undefined || !VISIBLE.test(comparison.value)) return undefined
  const { variable, operator, value } = comparison
  if (isPlain(comparison)) return { type: 'plain' }
  const isNegated = operator?.startsWith('!') === true
  // The value of a comparison may have variables, and an expression ends with "$".
  if ((operator === '=' || operator === '!=') && value.includes('$')) return undefined
  // nginx compares parameters as they are sent, percent-encoded.
  if (variable.startsWith('arg_') && value.includes('%')) return undefined
  if (variable === 'host') {
    const holds = compareHost(comparison)
    return holds && { type: 'host', holds: (host) => holds(host) !== isNegated }
  }
  const condition = variable === 'request_method' ? readMethods(comparison) : readValue(comparison)
  if (condition === undefined) return undefined
  // An empty value is the same as none, which a condition on any other value tells.
  const isEmpty = value === '' && operator !== undefined
  return { type: 'request', condition, isNegated: isEmpty ? !isNegated : isNegated }
}

/** The variable that `if` looks at, as in `host`; undefined: the condition is of another form. */
export function findConditionVariable(words: readonly string[]): string | undefined {
  return splitComparison(words)?.variable
}

function splitComparison(words: readonly string[]): Comparison | undefined {
  const text = [...words]
  if (!text[0]?.startsWith('(') || !text.at(-1)?.endsWith(')')) return undefined
  text[0] = text[0].slice(1)
  text[text.length - 1] = text.at(-1)!.slice(0, -1)
  // Of `( $a = "" )` the parentheses are words, and the empty value is one.
  if (text[0] === '') text.shift()
  if (text.at(-1) === '' && text.length !== 3) text.pop()
  const [variable = '', operator, value = ''] = text
  if (!/^\$\w+$/.test(variable) || text.length > 3) return undefined
  const name = variable.slice(1).toLowerCase()
  if (operator === undefined) return { variable: name, operator, value: '' }
  if (!isOperator(operator) || text.length === 2) return undefined
  if (operator.includes('~') && value === '^$')
    return { variable: name, operator: operator.startsWith('!') ? '!=' : '=', value: '' }
  return { variable: name, operator, value }
}

function isOperator(text: string): text is Operator {
  return /^(?:!?=|!?~\*?)$/.test(text)
}

/** True for conditions under which a client has come by plain HTTP, or a proxy says so. */
function isPlain({ variable, operator, value }: Comparison): boolean {
  const said = `${operator?.replace('*', '')}${value}`
  if (variable === 'https') return said === '=' || said === '!=on'
  return /^(?:http_x_forwarded_proto|pass_access_scheme|scheme)$/.test(variable) && PLAIN.includes(said)
}

/** `=` and `~` of methods that are written out. An expression finds `PATCH` in `PROPPATCH` too, unless it has both anchors. */
function readMethods({ operator, value }: Comparison): RouteConditions | undefined {
  if (operator === undefined) return undefined
  const isExpression = operator.includes('~')
  const [, grouped, plain] = WRITTEN_METHODS.exec(operator.endsWith('*') ? value.toUpperCase() : value) ?? []
  const written = (grouped ?? plain)?.split('|') ?? []
  const pattern = isExpression ? printPattern(operator, value) : value
  if (written.length === 0 || written.includes('') || pattern === undefined) return undefined
  if (!isExpression) return /^[A-Z]+$/.test(value) ? Object.freeze({ methods: Object.freeze(written) }) : undefined
  const expression = new Pattern(pattern)
  const methods = [...new Set([...METHODS, ...written])].filter((method) => expression.describes(method))
  return Object.freeze({ methods: Object.freeze(methods.sort()) })
}

function compareHost({ operator, value }: Comparison): ((host: string) => boolean) | undefined {
  if (operator === undefined) return undefined
  if (!operator.includes('~')) return (host) => host === value
  const pattern = printPattern(operator, value)
  return pattern === undefined ? undefined : (host) => new Pattern(pattern).describes(host)
}

/** An expression is looked for anywhere in the value; undefined: it has a fault. */
function printPattern(operator: Operator, value: string): string | undefined {
  if (findPatternFault(value) !== undefined) return undefined
  const pattern = `${operator.endsWith('*') ? '(?i)' : ''}.*(?:${value}).*`
  return findPatternFault(pattern) === undefined ? pattern : undefined
}

const KINDS = { header: 'headers', parameter: 'query', cookie: 'cookies' } as const

function readValue({ variable, operator, value }: Comparison): RouteConditions | undefined {
  const part = splitVariable(variable)
  if (part === undefined || (part.kind === 'header' && findUnseen(part.name) !== undefined)) return undefined
  const one = describeValue(part.name, operator, value)
  return one && Object.freeze({ [KINDS[part.kind]]: Object.freeze([Object.freeze(one)]) })
}

function describeValue(name: string, operator: Operator | undefined, value: string): ValueCondition | undefined {
  if (operator === undefined) return { name, type: 'regex', value: TRUE }
  if (!operator.includes('~')) {
    return value === '' ? { name, type: 'regex', value: '.+' } : { name, type: 'exact', value }
  }
  const pattern = printPattern(operator, value)
  if (pattern === undefined) return undefined
  // Of a request without the value nginx asks whether the expression finds something in the empty text; a condition fails.
  return new Pattern(pattern).describes('') ? undefined : { name, type: 'regex', value: pattern }
}
