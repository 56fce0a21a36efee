/** How an endpoint is chosen, and clients kept with theirs (HB, AF): settings of the Services that the paths lead to. */
import { splitVariable } from '../../../filters/field-template.ts'
import {
  FLAG,
  HOLDS_FOR_PORT,
  type NginxAnnotation,
  type NginxFeature,
  type NginxForm,
  type NginxReader,
  NUMBER,
  OFF,
  WRITTEN,
} from './feature.ts'

/** Seconds: browsers keep no cookie longer. */
const LONGEST_COOKIE = 34_560_000
const USUAL_SUBSET = 3
/** The most that `hash-subset` and `hash-by` take. */
const MOST_SUBSET = 100
const MOST_PARTS = 8
/** Characters of the name of a field, cookie or parameter. */
const LONGEST_NAME = 128

const COOKIE_SECONDS: NginxForm = {
  pattern: /^(?:-?[1-9]\d{0,11}|0)$/,
  fault: 'is no number of seconds',
  help: 'write seconds without a unit, as in "3600"',
}

const AGE: NginxAnnotation = {
  form: COOKIE_SECONDS,
  onFault: 'default',
  options: [],
  differs: '400 days at most; `0` and less, with which browsers forget the cookie at once, are the same as none',
  alike: /^[1-9]\d{0,6}$/,
}

export const AFFINITY: NginxFeature = {
  scope: 'upstream',
  annotations: {
    affinity: {
      form: { pattern: /^cookie$/, fault: 'is not cookie', help: 'write "cookie"' },
      onFault: 'default',
      options: ['affinity-type'],
      differs: `the cookie is signed and names the endpoint in another way; ${HOLDS_FOR_PORT}`,
    },
    'affinity-mode': {
      form: {
        pattern: /^(?:balanced|persistent)$/,
        fault: 'is neither balanced nor persistent',
        help: 'write "persistent"',
      },
      onFault: 'default',
      options: ['affinity-type'],
      differs: 'always `persistent`: new endpoints get new clients alone',
      alike: /^persistent$/,
    },
    'affinity-canary-behavior': {
      form: { pattern: /^(?:sticky|legacy)$/, fault: 'is neither sticky nor legacy', help: 'write "sticky"' },
      onFault: 'default',
      options: ['split-cookie'],
      differs:
        'a cookie of its own says which Service a client was given; endpoints of the canary keep clients if its Ingress has `affinity` too',
    },
    'session-cookie-name': {
      form: { pattern: /^[\w.-]{1,128}$/, fault: 'is no name of a cookie', help: 'write letters, digits, - and _' },
      onFault: 'default',
      options: ['affinity-cookie-name'],
    },
    'session-cookie-path': {
      form: { pattern: /^\/[\w./~-]{0,255}$/, fault: 'is no path', help: 'write a path, as /shop' },
      onFault: 'default',
      options: ['affinity-cookie-path'],
      differs: '`/` where it is missing and the path of the rule is a regular expression',
      alike: WRITTEN,
    },
    'session-cookie-domain': {
      form: {
        pattern: /^\.?[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,30}$/,
        fault: 'is no host',
        help: 'write a host, as example.com',
      },
      onFault: 'default',
      options: ['affinity-cookie-domain'],
    },
    'session-cookie-samesite': {
      form: { pattern: /^(?:none|lax|strict)$/i, fault: 'is not None, Lax or Strict', help: 'write "Lax"' },
      onFault: 'default',
      options: ['affinity-cookie-same-site'],
      differs: '`None` is left out of a cookie that is not Secure, since browsers refuse that',
      alike: /^(?:lax|strict)$/i,
    },
    'session-cookie-secure': { form: FLAG, onFault: 'default', options: ['affinity-cookie-secure'] },
    'session-cookie-max-age': { ...AGE, options: ['affinity-cookie-max-age'] },
    'session-cookie-expires': { ...AGE, options: ['affinity-cookie-expires'] },
    'session-cookie-change-on-failure': {
      form: FLAG,
      onFault: 'default',
      options: ['affinity-on-dead'],
      differs: 'where it is missing, a client whose endpoint fails gets another one, as with `true`',
      alike: WRITTEN,
    },
    'session-cookie-conditional-samesite-none': {
      form: FLAG,
      onFault: 'default',
      options: ['affinity-cookie-same-site'],
      differs: '`SameSite=None` goes to all clients, old ones that misread it too',
      alike: OFF,
    },
  },
  write(nginx) {
    if (nginx.text('affinity') === undefined) return
    const set = (option: string, name: string, value: string | undefined): void => {
      if (value !== undefined)
        nginx.set(`affinity-${option}`, value, nginx.text(name) === undefined ? 'affinity' : name)
    }
    const name = nginx.text('session-cookie-name') ?? 'INGRESSCOOKIE'
    nginx.hosts.sessionCookie = name
    set('type', 'affinity', 'cookie')
    set('cookie-name', 'session-cookie-name', name)
    set('cookie-path', 'session-cookie-path', nginx.text('session-cookie-path') ?? 'route')
    set('cookie-domain', 'session-cookie-domain', nginx.text('session-cookie-domain')?.replace(/^\./, ''))
    const sameSite = nginx.text('session-cookie-samesite')?.toLowerCase()
    set('cookie-same-site', 'session-cookie-samesite', sameSite ?? 'unset')
    // AF1: "false" is the same as none.
    if (nginx.flag('session-cookie-secure') === true) set('cookie-secure', 'session-cookie-secure', 'always')
    set('cookie-max-age', 'session-cookie-max-age', readAge(nginx, 'session-cookie-max-age'))
    set('cookie-expires', 'session-cookie-expires', readAge(nginx, 'session-cookie-expires'))
    const leaves = nginx.flag('session-cookie-change-on-failure')
    if (leaves !== undefined) set('on-dead', 'session-cookie-change-on-failure', leaves ? 'reassign' : 'keep')
  },
}

function readAge(nginx: NginxReader, name: string): string | undefined {
  const seconds = Math.min(nginx.number(name) ?? 0, LONGEST_COOKIE)
  return seconds > 0 ? `${seconds}s` : undefined
}

/** Variables of nginx, and the parts of `hash-by` that are the same. */
const PARTS: Readonly<Record<string, string>> = {
  request_uri: 'uri',
  uri: 'path',
  document_uri: 'path',
  host: 'host',
  http_host: 'host',
  remote_addr: 'client-ip',
  binary_remote_addr: 'client-ip',
}

export const BALANCING: NginxFeature = {
  scope: 'upstream',
  annotations: {
    'load-balance': {
      form: {
        pattern: /^(?:round_robin|ewma)$/,
        fault: 'is neither round_robin nor ewma',
        help: 'write "round_robin" or "ewma"; upstream-hash-by and affinity say the rest',
      },
      onFault: 'default',
      options: ['balancer'],
      differs: `each worker balances on its own; ${HOLDS_FOR_PORT}`,
    },
    'upstream-hash-by': {
      form: {
        pattern: /^[\w${}./:~-]{1,1024}$/,
        fault: 'has characters that cannot stand there',
        help: 'write variables, as in "$request_uri" or "$host$uri"',
      },
      onFault: 'refused',
      options: ['balancer', 'hash-by', 'hash-bounded-load'],
      differs:
        'requests that have none of the values go by the address of the client, not all to one endpoint; text between variables counts for nothing',
    },
    'upstream-hash-by-subset': { form: FLAG, onFault: 'default', options: ['hash-subset'] },
    'upstream-hash-by-subset-size': {
      form: NUMBER,
      onFault: 'default',
      options: ['hash-subset'],
      differs: 'the least busy endpoint of a subset is taken, not any; 100 at most',
    },
  },
  write(nginx) {
    const by = nginx.text('upstream-hash-by')
    const parts = by === undefined ? undefined : findParts(nginx, by)
    if (parts === undefined) {
      const balancer = nginx.text('load-balance')?.replace('_', '-')
      if (balancer !== undefined) nginx.set('balancer', balancer, 'load-balance')
      return
    }
    // HB2: it goes before load-balance.
    nginx.set('balancer', 'hash', 'upstream-hash-by')
    nginx.set('hash-by', parts.join('+'), 'upstream-hash-by')
    nginx.set('hash-bounded-load', '0', 'upstream-hash-by')
    if (nginx.flag('upstream-hash-by-subset') !== true) return
    const size = Math.min(nginx.number('upstream-hash-by-subset-size') ?? USUAL_SUBSET, MOST_SUBSET)
    nginx.set('hash-subset', String(size > 0 ? size : USUAL_SUBSET), 'upstream-hash-by-subset')
  },
}

/** The parts that a text with variables names; undefined, and told, where it has none, or one for which there is no part. */
function findParts(nginx: NginxReader, text: string): readonly string[] | undefined {
  const names = [...text.matchAll(/\$\{?([a-zA-Z]\w*)\}?/g)].map(([, name = '']) => name)
  const found = names.map(findPart)
  const lost = names.find((_name, index) => found[index] === undefined)
  const parts = [...new Set(found.flatMap((part) => part ?? []))]
  if (lost === undefined && parts.length > 0 && parts.length <= MOST_PARTS) return parts
  const why =
    lost !== undefined
      ? `nothing is chosen by $${lost} here`
      : parts.length === 0
        ? 'it names no variable'
        : `it names more than ${MOST_PARTS} variables`
  const help =
    'write some of $request_uri $uri $host $remote_addr $http_NAME $cookie_NAME $arg_NAME; until then load-balance decides'
  nginx.warn('upstream-hash-by', why, help)
  return undefined
}

/** The part of `hash-by` that a variable is; undefined: there is none. */
function findPart(name: string): string | undefined {
  if (Object.hasOwn(PARTS, name)) return PARTS[name]
  const part = splitVariable(name)
  if (part === undefined || part.name.length > LONGEST_NAME) return undefined
  return `${part.kind === 'parameter' ? 'query' : part.kind}:${part.name}`
}
