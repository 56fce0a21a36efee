/** What concerns whole hosts and other Ingresses: further names, `www.`, canaries (SA, WW, CA). */
import { findPatternFault } from '../../../base/pattern.ts'
import type { CanaryTerms } from '../canary.ts'
import { FLAG, type NginxFeature, type NginxForm, type NginxReader, NUMBER, OFF, TEXT } from './feature.ts'

export const SERVER_ALIAS: NginxFeature = {
  scope: 'host',
  annotations: {
    'server-alias': {
      form: TEXT,
      onFault: 'default',
      options: ['host-aliases'],
      differs: 'names that are regular expressions (`~…`) are left out',
    },
  },
  write(nginx) {
    const names = (nginx.text('server-alias') ?? '').split(/[\s,]+/).filter((name) => name !== '')
    const pattern = names.find((name) => name.startsWith('~'))
    if (pattern !== undefined) {
      nginx.warn('server-alias', `"${pattern}" is a regular expression, and no host`, 'write the names out')
    }
    const hosts = names.filter((name) => !name.startsWith('~'))
    if (hosts.length > 0) nginx.set('host-aliases', hosts.join(', '), 'server-alias')
  },
}

export const WWW: NginxFeature = {
  scope: 'host',
  annotations: {
    'from-to-www-redirect': {
      form: FLAG,
      onFault: 'refused',
      options: ['host-www'],
      differs: 'the URL names a port only where it is not the usual one, and keeps a slash at its end',
      alike: OFF,
    },
  },
  write(nginx) {
    if (nginx.flag('from-to-www-redirect') === true) nginx.set('host-www', 'redirect', 'from-to-www-redirect')
  },
}

export const PASSTHROUGH: NginxFeature = {
  scope: 'host',
  annotations: {
    'ssl-passthrough': {
      form: FLAG,
      onFault: 'default',
      options: ['tls-passthrough'],
      differs:
        'where the controller is not among the manifests, it needs no flag; with a guard of the namespace on the host, TLS ends at the gateway',
      alike: OFF,
    },
  },
  write(nginx) {
    if (nginx.flag('ssl-passthrough') === true) nginx.set('tls-passthrough', 'true', 'ssl-passthrough')
  },
}

const USUAL_TOTAL = 100

const TOKEN: NginxForm = {
  pattern: /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}$/,
  fault: 'is no name',
  help: 'write letters, digits, "-" and "_"',
}

const DETAIL = (form: NginxForm, options: readonly string[], differs?: string) =>
  ({ form, onFault: 'default', options, ...(differs && { differs }) }) as const

export const CANARY: NginxFeature = {
  scope: 'host',
  annotations: {
    canary: DETAIL(
      FLAG,
      ['`match-headers`, `match-cookies` and `split`, in the routes of the other Ingress'],
      'a canary of a default backend does nothing, nor does one of a route that several Services share; a field or a cookie with `always` or `never` goes before the session cookie, and its Service is asked in the protocol that the canary itself says',
    ),
    'canary-by-header': DETAIL(TOKEN, ['match-headers']),
    'canary-by-header-value': DETAIL(TEXT, ['match-headers']),
    'canary-by-header-pattern': DETAIL(TEXT, ['match-headers'], 'expressions are those of RE2'),
    'canary-by-cookie': DETAIL(TOKEN, ['match-cookies']),
    'canary-weight': DETAIL(NUMBER, ['split']),
    'canary-weight-total': DETAIL(NUMBER, ['split']),
  },
  write(nginx) {
    if (nginx.flag('canary') === true) nginx.hosts.canary = readCanary(nginx)
    else {
      // CA7
      const idle = Object.keys(CANARY.annotations).find(
        (name) => name.startsWith('canary-') && nginx.text(name) !== undefined,
      )
      if (idle === undefined) return
      nginx.warn(idle, 'it does nothing without canary: "true", as in ingress-nginx', 'add it, or leave this out')
    }
  },
}

function readCanary(nginx: NginxReader): CanaryTerms {
  const total = nginx.number('canary-weight-total') ?? USUAL_TOTAL
  const cookie = nginx.text('canary-by-cookie')
  const header = readHeader(nginx)
  return Object.freeze({
    ...(header && { header }),
    ...(cookie !== undefined && { cookie }),
    weight: Math.max(0, nginx.number('canary-weight') ?? 0),
    ...(nginx.text('affinity-canary-behavior') === 'legacy' && { ignoresSession: true }),
    // CA5
    total: Math.max(USUAL_TOTAL, total),
  })
}

/** CA4: a value goes before an expression, which is looked for in all of the value of the field. */
function readHeader(nginx: NginxReader): CanaryTerms['header'] {
  const name = nginx.text('canary-by-header')
  if (name === undefined) return undefined
  const value = nginx.text('canary-by-header-value')
  const written = nginx.text('canary-by-header-pattern')
  if (value !== undefined || written === undefined) return { name, ...(value !== undefined && { value }) }
  const pattern = `.*(?:${written}).*`
  const fault = findPatternFault(pattern)
  if (fault === undefined) return { name, pattern }
  const help = 'write one of RE2; until then requests with this field stay with the other Ingress'
  nginx.warn('canary-by-header-pattern', `"${written}" is no expression: ${fault}`, help)
  return { name, isBroken: true }
}
