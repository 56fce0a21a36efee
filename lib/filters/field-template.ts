/** Values of fields with variables, as in `${client.address}`. HOT */
import { findNearest } from '../base/nearest.ts'
import { findForeignVariable } from './field-lines.ts'
import type { FilterRequest } from './spec.ts'

/** All variables. `''`: the request has nothing of this kind. */
const VARIABLES: ReadonlyMap<string, (request: FilterRequest) => string> = new Map([
  ['client.address', (request) => request.clientAddress],
  ['request.authority', (request) => request.clientAuthority],
  ['request.host', (request) => request.clientHostname],
  ['request.id', (request) => request.id],
  ['request.method', (request) => request.method],
  ['request.path', (request) => request.pathname],
  ['request.protocol', (request) => request.protocol],
  ['request.query', (request) => request.query.slice(1)],
  ['request.scheme', (request) => request.scheme],
  ['request.target', (request) => request.target],
  ['request.time', (request) => String(request.startedAt)],
  ['tls.cipher', (request) => request.tls?.cipher ?? ''],
  ['tls.server-name', (request) => request.tls?.serverName ?? ''],
  ['tls.version', (request) => request.tls?.version ?? ''],
])

/** What nginx calls these variables: values that were written for ingress-nginx have them. */
const NAMES_OF_NGINX: ReadonlyMap<string, string> = new Map([
  ['args', 'request.query'],
  ['host', 'request.host'],
  ['http_host', 'request.authority'],
  ['msec', 'request.time'],
  ['query_string', 'request.query'],
  ['realip_remote_addr', 'client.address'],
  ['remote_addr', 'client.address'],
  ['req_id', 'request.id'],
  ['request_id', 'request.id'],
  ['request_method', 'request.method'],
  ['request_uri', 'request.target'],
  ['scheme', 'request.scheme'],
  ['server_protocol', 'request.protocol'],
  ['ssl_cipher', 'tls.cipher'],
  ['ssl_protocol', 'tls.version'],
  ['ssl_server_name', 'tls.server-name'],
  ['the_real_ip', 'client.address'],
  ['uri', 'request.path'],
])

/** `$${` is a `${` that begins no variable. */
const PARTS = /(\$\$\{)|\$\{([^}]*)(\}?)/g
const UNSAFE = /[^\x21-\x7e]/g

/** A value without variables, or what makes it for a request. */
export type Template = string | ((request: FilterRequest) => string)

/** The variable of Portico for one of nginx, written `$name` or `name`; undefined: there is none. */
function findEquivalent(written: string): string | undefined {
  return NAMES_OF_NGINX.get(written.replace('$', ''))
}

/** Why a value has no meaning as a template; undefined: it has one. */
export function findTemplateFault(value: string): string | undefined {
  for (const [, literal, name = '', end] of value.matchAll(PARTS)) {
    if (literal !== undefined || (end !== '' && VARIABLES.has(name))) continue
    if (end === '') return `"\${${name}" has no end; "$\${" stands for these two characters themselves`
    const meant = findEquivalent(name) ?? findNearest(name, VARIABLES.keys())
    const help = meant === undefined ? `there are ${[...VARIABLES.keys()].join(', ')}` : `did you mean \${${meant}}?`
    return `there is no variable \${${name}}; ${help}`
  }
  const foreign = findForeignVariable(value.replace(PARTS, ' '))
  if (foreign === undefined) return undefined
  const own = findEquivalent(foreign)
  return `nothing takes the place of ${foreign}${own === undefined ? '' : `; write \${${own}}`}`
}

/** `value` has no fault. Whatever a client sends, the value stays in its line: what is not printable ASCII is percent-encoded. */
export function compileTemplate(value: string): Template {
  const parts: Template[] = []
  let text = ''
  let last = 0
  for (const { index, 0: written, 1: literal, 2: name = '' } of value.matchAll(PARTS)) {
    text += value.slice(last, index)
    last = index + written.length
    if (literal !== undefined) text += '${'
    else {
      if (text !== '') parts.push(text)
      text = ''
      parts.push(VARIABLES.get(name)!)
    }
  }
  text += value.slice(last)
  if (parts.length === 0) return text
  if (text !== '') parts.push(text)
  return (request) => {
    let made = ''
    for (const part of parts) made += typeof part === 'string' ? part : encodeUnsafe(part(request))
    return made.trim()
  }
}

function encodeUnsafe(value: string): string {
  return value.replace(UNSAFE, encodeByte)
}

/** Percent-encodes a character of a latin1 text, which is a byte. */
export function encodeByte(character: string): string {
  return `%${(character.charCodeAt(0) & 0xff).toString(16).toUpperCase().padStart(2, '0')}`
}
