/** Passwords and auth servers (BA, EA). */
import { splitVariable } from '../../../filters/field-template.ts'
import { CONFIG_MAP, writeConfigMap } from './config-map.ts'
import {
  FLAG,
  type NginxAnnotation,
  type NginxFeature,
  type NginxForm,
  type NginxReader,
  TEXT,
  WRITTEN,
} from './feature.ts'
import { writeUrl } from './variable.ts'

const TYPE: NginxForm = {
  pattern: /^(?:basic|digest)$/,
  fault: 'is neither basic nor digest',
  help: 'write "basic"',
}
const SECRET: NginxForm = {
  pattern: /^(?:[a-z0-9.-]{1,63}\/)?[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/,
  fault: 'names no Secret',
  help: 'write the name of a Secret in the namespace of the Ingress',
  isSecret: true,
}
const SECRET_TYPE: NginxForm = {
  pattern: /^auth-(?:file|map)$/,
  fault: 'is neither auth-file nor auth-map',
  help: 'write "auth-file" or "auth-map"',
}
const REALM: NginxForm = {
  pattern: /^[\x21-\x7e][\x20-\x7e]{0,199}$/,
  fault: 'is no realm',
  help: 'write up to 200 characters of ASCII',
}

export const BASIC_AUTH: NginxFeature = {
  scope: 'location',
  annotations: {
    'auth-type': {
      form: TYPE,
      onFault: 'refused',
      options: ['basic-auth-secret'],
      differs: '`digest` closes the routes; too many wrong passwords of a client are answered 429',
    },
    'auth-secret': {
      form: SECRET,
      onFault: 'closed',
      options: ['basic-auth-secret'],
      differs: 'without `auth-type` it closes the routes, and does nothing in ingress-nginx',
    },
    'auth-secret-type': { form: SECRET_TYPE, onFault: 'closed', options: ['basic-auth-secret-type'] },
    'auth-realm': {
      form: REALM,
      onFault: 'default',
      options: ['basic-auth-realm'],
      differs: 'without it the realm is `Restricted`',
      alike: WRITTEN,
    },
  },
  write(nginx) {
    const type = nginx.text('auth-type')
    const secret = nginx.text('auth-secret')
    if (type === undefined) {
      closeIdle(nginx, ['auth-secret', 'auth-secret-type'], 'auth-type', 'add auth-type: basic')
      return
    }
    // BA6: the nginx of ingress-nginx has no module for it.
    if (type === 'digest') {
      nginx.close('auth-type', 'digest authentication is not there, nor in ingress-nginx', 'write "basic"')
    } else if (secret === undefined) {
      nginx.close('auth-type', 'auth-secret does not name the users', 'add auth-secret with the name of a Secret')
    } else writeUsers(nginx, secret)
  },
}

function writeUsers(nginx: NginxReader, secret: string): void {
  const [name = '', namespace = nginx.namespace] = secret.split('/').reverse()
  // BA3: allow-cross-namespace-resources is off.
  if (namespace !== nginx.namespace) {
    const help = `copy the Secret to the namespace ${nginx.namespace}`
    nginx.close('auth-secret', 'a Secret of another namespace is not read', help)
    return
  }
  nginx.set('basic-auth-secret', name, 'auth-secret')
  nginx.copy('auth-secret-type', 'basic-auth-secret-type')
  nginx.copy('auth-realm', 'basic-auth-realm')
}

/** Letters, digits and `-._~/:,?&=`, and `$` for variables (G5). */
const URL_FORM: NginxForm = {
  pattern: /^[-\w.~/:,?&=$]{1,2040}$/,
  fault: 'is no URL',
  help: 'write http:// or https:// with a host and a path; letters, digits and -._~/:,?&=$ may stand in it',
  isSecret: true,
}
const NAMES: NginxForm = {
  pattern: /^[-\w]+(?:\s*,\s*[-\w]+)*$/,
  fault: 'names no fields',
  help: 'write names of fields with commas between',
}
const METHOD: NginxForm = {
  pattern: /^(?:GET|HEAD|POST|PUT|PATCH|DELETE|CONNECT|OPTIONS|TRACE)$/,
  fault: 'is no method',
  help: 'write a method in capitals, as in "GET"',
}
const PARAMETER: NginxForm = {
  pattern: /^[\w.~-]{1,64}$/,
  fault: 'is no name of a parameter',
  help: 'write letters, digits, "-", "." and "_"',
}
const DURATIONS: NginxForm = {
  pattern: /^(?:[2-4]\d\d\s+)+\d+[smh](?:\s*,\s*(?:[2-4]\d\d\s+)+\d+[smh])*$/,
  fault: 'names no statuses with a time',
  help: 'write statuses and a time behind them, as in "200 202 5m, 401 10s"',
}

const SAME = (name: string, form: NginxForm, onFault: NginxAnnotation['onFault'], differs?: string) =>
  ({ form, onFault, options: [name], ...(differs && { differs }) }) satisfies NginxAnnotation

/** Options of the same names that do the same. */
const COPIED = [
  'auth-always-set-cookie',
  'auth-method',
  'auth-request-redirect',
  'auth-response-headers',
  'auth-signin',
  'auth-signin-redirect-param',
] as const

export const EXTERNAL_AUTH: NginxFeature = {
  scope: 'location',
  annotations: {
    'auth-url': SAME(
      'auth-url',
      URL_FORM,
      'refused',
      'an answer other than 2xx goes to the client as it is, where ingress-nginx answers 500 unless it is 401 or 403; no answer is 503',
    ),
    'auth-proxy-set-headers': { form: CONFIG_MAP, onFault: 'closed', options: ['auth-request-headers-from'] },
    'auth-method': SAME('auth-method', METHOD, 'closed'),
    'auth-request-redirect': SAME('auth-request-redirect', URL_FORM, 'default'),
    'auth-signin': SAME('auth-signin', URL_FORM, 'default'),
    'auth-signin-redirect-param': SAME('auth-signin-redirect-param', PARAMETER, 'default'),
    'auth-response-headers': SAME('auth-response-headers', NAMES, 'closed'),
    'auth-always-set-cookie': SAME('auth-always-set-cookie', FLAG, 'default'),
    'auth-cache-key': SAME(
      'auth-cache-key',
      TEXT,
      'default',
      'nothing is kept where the key names no credentials, or has a variable that is not `$cookie_…`, `$http_…`, `$remote_addr`, `$request_method`, `$request_uri`, `$uri`, `$host`, `$http_host` or `$scheme`',
    ),
    'auth-cache-duration': SAME('auth-cache-duration', DURATIONS, 'refused'),
  },
  write(nginx) {
    const url = nginx.text('auth-url')
    if (url === undefined) {
      closeIdle(nginx, ['auth-signin', 'auth-response-headers', 'auth-method'], 'auth-url', 'add auth-url')
      return
    }
    writeUrl(nginx, 'auth-url', url, 'auth-url')
    for (const name of COPIED) {
      const text = nginx.text(name)
      if (text === undefined) continue
      if (name === 'auth-signin' || name === 'auth-request-redirect') writeUrl(nginx, name, text, name)
      else if (name === 'auth-always-set-cookie') nginx.set(name, String(nginx.flag(name)), name)
      else if (name !== 'auth-signin-redirect-param' || nginx.text('auth-signin') !== undefined)
        nginx.set(name, text, name)
    }
    const fields = nginx.text('auth-proxy-set-headers')
    if (fields !== undefined) writeConfigMap(nginx, 'auth-request-headers-from', fields, 'auth-proxy-set-headers')
    writeCache(nginx)
  },
}

/** Variables of nginx that a key may be made of, where they are not names of cookies or fields. Each host has answers of its own. */
const KEY_PARTS: Readonly<Record<string, string>> = {
  remote_addr: 'client',
  request_method: 'method',
  request_uri: 'path',
  uri: 'path',
  host: '',
  http_host: '',
  scheme: '',
}

function writeCache(nginx: NginxReader): void {
  const key = nginx.text('auth-cache-key')
  if (key === undefined) return
  const parts = new Set<string>()
  for (const [variable, name = ''] of key.matchAll(/\$\{?(\w+)\}?/g)) {
    const part = readKeyPart(name)
    if (part === undefined) {
      nginx.warn('auth-cache-key', `${variable} stands in it`, 'no answer is kept; write $cookie_NAME or $http_NAME')
      return
    }
    if (part !== '') parts.add(part)
  }
  if (![...parts].some((part) => part.includes(':'))) {
    nginx.warn('auth-cache-key', 'it names no credentials', 'no answer is kept; write $cookie_NAME or $http_NAME')
    return
  }
  nginx.set('auth-cache-key', [...parts].join(', '), 'auth-cache-key')
  nginx.copy('auth-cache-duration', 'auth-cache-duration')
}

function readKeyPart(name: string): string | undefined {
  if (Object.hasOwn(KEY_PARTS, name)) return KEY_PARTS[name]
  const part = splitVariable(name)
  return part === undefined || part.kind === 'parameter' ? undefined : `${part.kind}:${part.name}`
}

/** Closes the routes where a part of a guard stands without the guard, not even an empty one: what was meant to be guarded would be open. */
function closeIdle(nginx: NginxReader, names: readonly string[], guard: string, help: string): void {
  const name = nginx.isWritten(guard) ? undefined : names.find((one) => nginx.text(one) !== undefined)
  if (name !== undefined) nginx.close(name, `it says nothing without ${guard}`, help)
}
