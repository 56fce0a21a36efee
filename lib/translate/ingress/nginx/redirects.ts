/** Redirects and rewritings (SSL, RD, AR, R, XP). */
import { FLAG, type NginxFeature, type NginxForm, type NginxReader, NUMBER, OFF } from './feature.ts'
import { translateGroups, writeUrl } from './variable.ts'

const REDIRECT_TARGET: NginxForm = {
  pattern: /^[-\w.~/:,?&=${}%#]{1,2040}$/,
  fault: 'is no URL',
  help: 'write http:// or https:// with a host and a path; letters, digits and -._~/:,?&=$ may stand in it',
}

const AFTER_GUARDS = 'addresses, passwords and limits are asked for first, and plain HTTP is sent to HTTPS first'

/** RD: the URL as it is; path and query of the request do not follow it. */
export const REDIRECTS: NginxFeature = {
  scope: 'location',
  annotations: {
    'temporal-redirect': {
      form: REDIRECT_TARGET,
      onFault: 'refused',
      options: ['redirect-url'],
      differs: AFTER_GUARDS,
    },
    'temporal-redirect-code': { form: NUMBER, onFault: 'default', options: ['redirect-code'] },
    'permanent-redirect': {
      form: REDIRECT_TARGET,
      onFault: 'refused',
      options: ['redirect-url'],
      differs: AFTER_GUARDS,
    },
    'permanent-redirect-code': { form: NUMBER, onFault: 'default', options: ['redirect-code'] },
    'app-root': {
      form: {
        pattern: /^\/[-\w.~!$&'()*+,;=:@%/]*$/,
        fault: 'is no path',
        help: 'write a path that begins with "/", as in "/app"',
      },
      onFault: 'default',
      options: ['app-root'],
      differs: `a path of the Ingress must take \`/\`; it does nothing beside a redirect of all paths; ${AFTER_GUARDS}`,
    },
  },
  write(nginx) {
    // RD3: the temporal one goes before the permanent one.
    const isDone =
      writeRedirect(nginx, 'temporal-redirect', 302, 307) || writeRedirect(nginx, 'permanent-redirect', 301, 308)
    const root = nginx.text('app-root')
    if (root === undefined) return
    if (isDone) {
      nginx.warn('app-root', 'all paths are redirected already', 'leave it out')
      return
    }
    // AR1: of the request's URL nothing but its scheme, host and port stays.
    nginx.set('app-root', root, 'app-root')
    nginx.set('redirect-query', 'drop', 'app-root')
  },
}

/** False: there is none. RD2: a code that is not from 300 to `most` counts as `usual`. */
function writeRedirect(nginx: NginxReader, name: string, usual: number, most: number): boolean {
  const url = nginx.text(name)
  if (url === undefined) return false
  // RD4
  if (name === 'temporal-redirect' && !/^(?:https?:\/\/|\$)/.test(url)) {
    nginx.warn(name, `"${url}" is no URL of http or https, and nothing is redirected`, REDIRECT_TARGET.help)
    return false
  }
  const code = nginx.number(`${name}-code`) ?? usual
  const isGood = code >= 300 && code <= most
  if (!isGood)
    nginx.warn(`${name}-code`, `${code} is not from 300 to ${most}`, `until then it is ${usual}, as in ingress-nginx`)
  writeUrl(nginx, 'redirect-url', url, name)
  nginx.set(
    'redirect-code',
    String(isGood ? code : usual),
    isGood && nginx.text(`${name}-code`) !== undefined ? `${name}-code` : name,
  )
  return true
}

const TO_HTTPS =
  'a slash at the end of the URL is kept; paths of ACME challenges are redirected too; a port of HTTPS other than 443 is named'

export const HTTPS: NginxFeature = {
  scope: 'location',
  annotations: {
    'ssl-redirect': {
      form: FLAG,
      onFault: 'default',
      options: ['https-redirect'],
      differs: TO_HTTPS,
      alike: OFF,
    },
    'force-ssl-redirect': {
      form: FLAG,
      onFault: 'default',
      options: ['https-redirect'],
      differs: TO_HTTPS,
      alike: OFF,
    },
  },
  write(nginx) {
    // SSL2, SSL5: by itself a host is redirected where a tls section names it.
    if (nginx.flag('force-ssl-redirect') === true) nginx.set('https-redirect', 'true', 'force-ssl-redirect')
    else if (nginx.flag('ssl-redirect') === false) nginx.set('https-redirect', 'false', 'ssl-redirect')
  },
}

/** R7: letters, digits, `-._~/:` and `$1` to `$9`; with `?` at its end the query is left out (R5). */
const TARGET: NginxForm = {
  pattern: /^[-\w.~/:$]{1,1000}\??$/,
  fault: 'is no path',
  help: 'write a path that begins with "/", with $1 for the first group of the path of the rule',
}

export const REWRITE: NginxFeature = {
  scope: 'location',
  annotations: {
    'rewrite-target': {
      form: TARGET,
      onFault: 'default',
      options: ['rewrite-target', 'path-type'],
      differs:
        'expressions are those of RE2, without look-around; the path is what the expression takes from the beginning of the path on',
    },
    'x-forwarded-prefix': {
      form: {
        pattern: /^[-\w.~/:$]{1,1000}$/,
        fault: 'is no path',
        help: 'write a path, as in "/app"',
      },
      onFault: 'default',
      options: ['request-headers-set'],
    },
    'use-regex': {
      form: FLAG,
      onFault: 'default',
      options: ['path-type'],
      differs: 'expressions are those of RE2, without look-around and back-references',
      alike: OFF,
    },
  },
  write(nginx) {
    const target = nginx.text('rewrite-target')
    // R6: what is rewritten to itself is not rewritten.
    const isRewritten = target !== undefined && nginx.paths.some((path) => path !== target)
    if (isRewritten) writeTarget(nginx, target)
    // R2: either makes expressions of all paths of the host.
    if (nginx.flag('use-regex') === true) nginx.set('path-type', 'host-regex', 'use-regex')
    else if (isRewritten) nginx.set('path-type', 'host-regex', 'rewrite-target')
    const prefix = nginx.text('x-forwarded-prefix')
    if (prefix === undefined) return
    // XP1
    if (target === undefined) {
      nginx.warn('x-forwarded-prefix', 'it does nothing without rewrite-target, as in ingress-nginx', 'leave it out')
    } else {
      nginx.set('request-headers-set', `X-Forwarded-Prefix: ${translateGroups(prefix)}`, 'x-forwarded-prefix')
    }
  },
}

function writeTarget(nginx: NginxReader, target: string): void {
  // R5: of a whole URL nginx makes a redirect.
  if (/^(?:https?:\/\/|\$scheme)/.test(target)) {
    writeUrl(nginx, 'redirect-url', target, 'rewrite-target')
    nginx.set('redirect-code', '302', 'rewrite-target')
  } else
    nginx.set(
      'rewrite-target',
      target.startsWith('/') || target.startsWith('$') ? target : `/${target}`,
      'rewrite-target',
    )
}
