/**
 * URLs with variables, as in `https://${request.host}/login`. What clients send decides about no host, unless it is the host that they
 * ask for.
 */
import type { AnnotationForm } from './annotation-form.ts'
import { findTemplateFault } from './field-template.ts'

/** Of one URL: what stands in the place of each may be as long as the head of a request. */
const MOST_VARIABLES = 16

const SCHEME = '(?:https?|\\$\\{request\\.scheme\\})'
const AUTHORITY = '(?:(?:[\\w.:\\[\\]-]|\\$\\{request\\.host\\})+|\\$\\{request\\.authority\\})'
/** Nothing more of the authority follows: the values of these variables begin with a slash. */
const END = '(?=[/?]|\\$\\{request\\.(?:path|target)\\}|$)'
/** A variable, or a character of a URL that begins no variable of another program. */
const PART = '(?:\\$\\{[^}\\s]{1,120}\\}|(?!\\$[a-z_{])[\\x21-\\x5b\\x5d-\\x7e])'

const SPLIT = new RegExp(`^(${SCHEME})://(${AUTHORITY})${END}(.*)$`)
const WHOLE = `${SCHEME}://${AUTHORITY}${END}${PART}{0,2040}`
/** Browsers take a path that begins with two slashes for a host. */
const PATH = `/(?!/|\\$\\{)${PART}{0,2040}`

/** `what` is said of other values, as in "no URL of an auth server"; a secret one is never shown. */
export function urlForm(kinds: 'URLs' | 'URLs and paths', what: string, isSecret?: true): AnnotationForm {
  const hasPaths = kinds === 'URLs and paths'
  return {
    pattern: new RegExp(hasPaths ? `^(?:${WHOLE}|${PATH})$` : `^${WHOLE}$`),
    describeFault: (text) => findVariableFault(text) ?? `${isSecret ? 'this' : `"${text}"`} is ${what}`,
    help: `write http:// or https:// with a host${hasPaths ? ', or a path,' : ''} and no user or fragment; \${request.host} or \${request.authority} may be the host, and other variables stand behind it`,
    ...(isSecret && { isSecret }),
  }
}

/** Why a URL of the form cannot be used, `what` as above; undefined: it can. */
export function findUrlFault(text: string, what: string): string | undefined {
  const variables = text.match(/\$\{/g)?.length ?? 0
  if (variables > MOST_VARIABLES) return `it has ${variables} variables, and ${MOST_VARIABLES} are allowed`
  return findVariableFault(text) ?? (parseExample(text) === undefined ? `this is ${what}` : undefined)
}

/** The first variable that does not exist; of the text around it nothing is said. */
function findVariableFault(text: string): string | undefined {
  for (const [variable] of text.matchAll(/\$\{[\w.-]{0,120}\}|\$\{?[a-z]\w{0,60}/g)) {
    const fault = findTemplateFault(variable)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** The URL with something in the place of its variables; undefined: it is none, or has a user or a fragment. */
export function parseExample(text: string): URL | undefined {
  const plain = text.replace(/^\$\{request\.scheme\}/, 'http').replace(/\$\{request\.(?:path|target)\}/g, '/a')
  const example = plain.replace(/\$\{[^}]*\}/g, 'a')
  const whole = example.startsWith('/') ? `http://a${example}` : example
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  return url !== undefined && url.username + url.password + url.hash === '' ? url : undefined
}

/** The parts of a URL of http or https, as they are written. */
export type UrlParts = Readonly<{
  scheme: string
  authority: string
  /** Path and query. */
  target: string
  /** False: the URL ends with its authority, and `/` is the target. */
  hasTarget: boolean
}>

export function splitUrl(text: string): UrlParts {
  const [, scheme = '', authority = '', rest = ''] = SPLIT.exec(text) ?? []
  const hasTarget = rest !== ''
  // A URL without variables is brought into the form that is sent (URL Standard).
  if (!text.includes('${') && URL.canParse(text)) {
    const { pathname, search, host } = new URL(text)
    return { scheme, authority: host, target: pathname + search, hasTarget }
  }
  return { scheme, authority, target: hasTarget && !rest.startsWith('?') ? rest : `/${rest}`, hasTarget }
}
