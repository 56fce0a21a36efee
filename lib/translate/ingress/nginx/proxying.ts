/** How endpoints are asked: sizes, time limits, tries, buffers, the host; and the pages of errors (BS, TO, NU, UV, CE). */

import { CONFIG_MAP, writeConfigMap } from './config-map.ts'
import { FLAG, type NginxFeature, type NginxForm, NUMBER, printSize, SECONDS, SIZE, SWITCH } from './feature.ts'
import { writeUrl } from './variable.ts'

/** The most that `tries` takes. */
export const MOST_TRIES = 100
/** Seconds: the longest time that settings take. */
const LONGEST = 2_147_483
/** Seconds: nginx has no longer time for a connection. */
const LONGEST_CONNECT = 75

export const BODY_SIZE: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-body-size': {
      form: SIZE,
      onFault: 'default',
      options: ['body-limit'],
    },
  },
  write(nginx) {
    const size = nginx.text('proxy-body-size')
    if (size === undefined) return
    // BS1: 0 is no limit.
    nginx.set('body-limit', Number.parseInt(size, 10) > 0 ? printSize(size) : 'unlimited', 'proxy-body-size')
  },
}

export const TIMEOUTS: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-connect-timeout': { form: SECONDS, onFault: 'default', options: ['timeouts-connect'] },
    'proxy-read-timeout': {
      form: SECONDS,
      onFault: 'default',
      options: ['timeouts-response-headers', 'timeouts-response-idle', 'timeouts-tunnel-idle'],
    },
    'proxy-send-timeout': {
      form: SECONDS,
      onFault: 'default',
      options: ['`timeouts.writeStall` of the settings'],
      differs: 'the setting holds for all routes',
    },
  },
  write(nginx) {
    const connect = nginx.text('proxy-connect-timeout')
    const seconds = Math.min(Number(connect ?? 0), LONGEST_CONNECT)
    if (seconds > 0) nginx.set('timeouts-connect', `${seconds}s`, 'proxy-connect-timeout')
    const read = Math.min(Number(nginx.text('proxy-read-timeout') ?? 0), LONGEST)
    if (read === 0) return
    // TO3: a WebSocket too is closed after this time without traffic.
    for (const option of TIMEOUTS.annotations['proxy-read-timeout']!.options) {
      nginx.set(option, `${read}s`, 'proxy-read-timeout')
    }
  },
}

/** NU1: what a failure is called here. */
const CONDITIONS: Readonly<Record<string, readonly string[]>> = {
  error: ['connect-failure', 'reset'],
  timeout: ['connect-failure', 'timeout'],
  invalid_header: ['bad-answer'],
  http_500: ['500'],
  http_502: ['502'],
  http_503: ['503'],
  http_504: ['504'],
  http_403: ['403'],
  http_404: ['404'],
  http_429: ['429'],
  non_idempotent: [],
  off: [],
}

export const FAILURES: NginxForm = {
  pattern: new RegExp(`^(?:${Object.keys(CONDITIONS).join('|')})(?:\\s+(?:${Object.keys(CONDITIONS).join('|')}))*$`),
  fault: 'names no failures',
  help: `write some of ${Object.keys(CONDITIONS).join(' ')}`,
}

/** What the failures are called here, each once. */
export function readConditions(failures: readonly string[]): readonly string[] {
  return [...new Set(failures.flatMap((failure) => CONDITIONS[failure]!))]
}

export const NEXT_UPSTREAM: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-next-upstream': {
      form: FAILURES,
      onFault: 'default',
      options: ['retry-conditions', 'retry-methods', 'retry-try-timeout', 'tries'],
      differs:
        'after `timeout`, an endpoint that was connected to is given up for another one only with `proxy-read-timeout`',
      alike: /^(?!.*\btimeout\b)./,
    },
    'proxy-next-upstream-tries': {
      form: NUMBER,
      onFault: 'default',
      options: ['tries'],
      differs: '`0` asks each endpoint once',
      alike: /^[1-9]\d?$/,
    },
    'proxy-next-upstream-timeout': { form: NUMBER, onFault: 'default', options: ['retry-within'] },
  },
  write(nginx) {
    const failures = nginx.text('proxy-next-upstream')?.split(/\s+/)
    const tries = nginx.number('proxy-next-upstream-tries')
    if (failures?.includes('off')) {
      nginx.set('tries', '1', 'proxy-next-upstream')
      return
    }
    if (failures !== undefined) {
      const conditions = readConditions(failures)
      if (conditions.length > 0) nginx.set('retry-conditions', conditions.join(', '), 'proxy-next-upstream')
      // TO2: the time until the answer begins is that of one try.
      const seconds = Number(nginx.text('proxy-read-timeout') ?? 0)
      if (failures.includes('timeout') && seconds > 0) {
        nginx.set('retry-try-timeout', `${seconds}s`, 'proxy-next-upstream')
      }
      // NU3
      if (failures.includes('non_idempotent')) nginx.set('retry-methods', 'POST, LOCK, PATCH', 'proxy-next-upstream')
    }
    if (tries !== undefined && tries >= 0) {
      nginx.set('tries', String(Math.min(tries, MOST_TRIES)), 'proxy-next-upstream-tries')
    }
    const within = nginx.number('proxy-next-upstream-timeout') ?? 0
    if (within > 0) nginx.set('retry-within', `${Math.min(within, LONGEST)}s`, 'proxy-next-upstream-timeout')
  },
}

export const BUFFERING: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-buffering': { form: SWITCH, onFault: 'default', options: ['response-buffering'] },
    'proxy-request-buffering': { form: SWITCH, onFault: 'default', options: ['request-buffering'] },
  },
  write(nginx) {
    const answers = nginx.text('proxy-buffering')
    const requests = nginx.text('proxy-request-buffering')
    if (answers !== undefined) nginx.set('response-buffering', answers === 'on' ? 'all' : 'short', 'proxy-buffering')
    if (requests !== undefined) {
      nginx.set('request-buffering', requests === 'on' ? 'all' : 'none', 'proxy-request-buffering')
    }
  },
}

const HOST = 'write a host, or host:port, without variables'
const PLAIN_HOST = /^[A-Za-z0-9.:-]+$/

export const UPSTREAM_HOST: NginxFeature = {
  scope: 'location',
  annotations: {
    'upstream-vhost': {
      form: {
        pattern: /^[-\w.~/:^$[\](){}*+?|&=\\]{1,255}$/,
        fault: 'is no host',
        help: HOST,
      },
      onFault: 'default',
      options: ['rewrite-host'],
      differs: 'variables are not replaced: endpoints are asked for the host of the client',
      alike: PLAIN_HOST,
    },
  },
  write(nginx) {
    const host = nginx.text('upstream-vhost')
    if (host === undefined || PLAIN_HOST.test(host)) nginx.copy('upstream-vhost', 'rewrite-host')
    else
      nginx.warn(
        'upstream-vhost',
        `"${host}" is no host`,
        `${HOST}; until then endpoints are asked for the host of the client`,
      )
  },
}

export const ERROR_PAGES: NginxFeature = {
  scope: 'location',
  annotations: {
    'custom-http-errors': {
      form: {
        pattern: /^[45]\d\d(?:\s*,\s*[45]\d\d)*$/,
        fault: 'names no errors',
        help: 'write statuses from 400 to 599 with commas between, as in "404,503"',
      },
      onFault: 'default',
      options: ['error-pages', 'error-pages-service', 'error-pages-status'],
      differs:
        'without `default-backend` there are no pages; where the Service does not answer within 2 s, the error goes out as it was',
    },
    'default-backend': {
      form: {
        pattern: /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/,
        fault: 'names no Service',
        help: 'write the name of a Service in the namespace of the Ingress',
      },
      onFault: 'default',
      options: ['error-pages-service'],
      differs:
        'where a path has no endpoints, its page is that of 503, if `custom-http-errors` is missing or names 503',
    },
    'disable-proxy-intercept-errors': { form: FLAG, onFault: 'default', options: ['error-pages-for'] },
  },
  write(nginx) {
    const service = nginx.text('default-backend')
    const errors = nginx.text('custom-http-errors')
    if (service === undefined) {
      if (errors === undefined) return
      const help = 'name a Service that has pages in default-backend'
      nginx.warn('custom-http-errors', 'there is no Service that has pages: errors keep their bodies', help)
      return
    }
    // CE2: a path without endpoints has its page of it.
    nginx.set('error-pages', errors ?? '503', errors === undefined ? 'default-backend' : 'custom-http-errors')
    nginx.set('error-pages-service', service, 'default-backend')
    // CE1: the client gets the status that the Service answers with.
    nginx.set('error-pages-status', 'page', 'default-backend')
    const isOwnAlone = errors === undefined || nginx.flag('disable-proxy-intercept-errors') === true
    if (isOwnAlone)
      nginx.set(
        'error-pages-for',
        'gateway',
        errors === undefined ? 'default-backend' : 'disable-proxy-intercept-errors',
      )
  },
}

/** `from to`, or `off`. */
const PAIR: NginxForm = {
  pattern: /^(?:off|[^\s\x00-\x1f\x7f;"'{}]{1,500}\s+[^\x00-\x1f\x7f'{}]{1,500})$/,
  fault: 'is no pair',
  help: 'write what is replaced and what takes its place, as in "app.internal shop.example.com", or "off"',
}

export const COOKIES: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-cookie-domain': {
      form: PAIR,
      onFault: 'default',
      options: ['cookie-domain'],
      differs: 'regular expressions and variables are not read',
      alike: /^[^~$]+$/,
    },
    'proxy-cookie-path': {
      form: PAIR,
      onFault: 'default',
      options: ['cookie-path'],
      differs: 'regular expressions and variables are not read',
      alike: /^[^~$]+$/,
    },
  },
  write(nginx) {
    for (const [name, option] of [
      ['proxy-cookie-domain', 'cookie-domain'],
      ['proxy-cookie-path', 'cookie-path'],
    ] as const) {
      const pair = nginx.text(name)
      if (pair === undefined || pair === 'off') continue
      if (/^~|\$/.test(pair)) {
        nginx.warn(name, 'regular expressions and variables are not read: cookies stay as they are', PAIR.help)
      } else nginx.set(option, pair.replaceAll('"', '').replace(/\s+/, ' '), name)
    }
  },
}

const BEGINNING: NginxForm = {
  pattern: /^[-\w.~/:$]{1,1000}$/,
  fault: 'is no URL and no path',
  help: 'write a URL, or the beginning of one, as in "http://app.internal/", or "off"',
}

export const LOCATION: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-redirect-from': {
      form: BEGINNING,
      onFault: 'default',
      options: ['location-from'],
      differs: '`default` leaves Location as it is',
      alike: /^(?!default$)./,
    },
    'proxy-redirect-to': { form: BEGINNING, onFault: 'default', options: ['location-to'] },
  },
  write(nginx) {
    const from = nginx.text('proxy-redirect-from')
    const to = nginx.text('proxy-redirect-to')
    if (from === undefined || from === 'off') return
    if (to === undefined || from === 'default') {
      const message = from === 'default' ? '"default" says nothing here' : 'proxy-redirect-to is missing'
      nginx.warn('proxy-redirect-from', message, 'write both, with the beginnings of URLs')
      return
    }
    writeUrl(nginx, 'location-from', from, 'proxy-redirect-from')
    writeUrl(nginx, 'location-to', to, 'proxy-redirect-to')
  },
}

export const CUSTOM_HEADERS: NginxFeature = {
  scope: 'location',
  annotations: {
    'custom-headers': {
      form: CONFIG_MAP,
      onFault: 'closed',
      options: ['response-headers-from'],
      differs: 'all names of fields are allowed; without the ConfigMap the routes are served without the fields',
    },
  },
  write(nginx) {
    const reference = nginx.text('custom-headers')
    if (reference !== undefined) writeConfigMap(nginx, 'response-headers-from', reference, 'custom-headers')
  },
}

/** MI: copies of requests, whose answers are dropped. */
export const MIRROR: NginxFeature = {
  scope: 'location',
  annotations: {
    'mirror-target': {
      form: {
        pattern: /^[-\w.~/:,?&=${}%]{1,2040}$/,
        fault: 'is no URL',
        help: 'write http:// or https:// with a host, as in "https://mirror.example.com$request_uri"',
      },
      onFault: 'default',
      options: ['mirror-url'],
      differs: 'variables stand behind the host alone; a slow mirror never holds a client up',
    },
    'mirror-host': {
      form: { pattern: /^[A-Za-z0-9.:-]{1,255}$/, fault: 'is no host', help: 'write a host, or host:port' },
      onFault: 'default',
      options: ['mirror-host'],
    },
    'mirror-request-body': { form: SWITCH, onFault: 'default', options: ['mirror-body'] },
  },
  write(nginx) {
    const target = nginx.text('mirror-target')
    if (target === undefined) return
    writeUrl(nginx, 'mirror-url', target, 'mirror-target')
    nginx.copy('mirror-host', 'mirror-host')
    if (nginx.text('mirror-request-body') === 'off') nginx.set('mirror-body', 'false', 'mirror-request-body')
  },
}

export const ACCESS_LOG: NginxFeature = {
  scope: 'location',
  annotations: { 'enable-access-log': { form: FLAG, onFault: 'default', options: ['access-log'] } },
  write(nginx) {
    if (nginx.flag('enable-access-log') === false) nginx.set('access-log', 'false', 'enable-access-log')
  },
}
