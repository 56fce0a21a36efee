/** How endpoints are asked: sizes, time limits, tries, buffers, the host; and the pages of errors (BS, TO, NU, UV, CE). */
import { FLAG, type NginxFeature, type NginxForm, NUMBER, printSize, SECONDS, SIZE, SWITCH } from './feature.ts'

/** The most that `tries` takes. */
const MOST_TRIES = 10
/** Seconds: nginx has no longer time for a connection. */
const LONGEST_CONNECT = 75

export const BODY_SIZE: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-body-size': {
      form: SIZE,
      onFault: 'default',
      options: ['body-limit'],
      differs: '`0` leaves it to `limits.bodyBytes` of the settings, which is no limit by default',
    },
  },
  write(nginx) {
    const size = nginx.text('proxy-body-size')
    if (size !== undefined && Number.parseInt(size, 10) > 0) nginx.set('body-limit', printSize(size), 'proxy-body-size')
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
    const read = Number(nginx.text('proxy-read-timeout') ?? 0)
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
  invalid_header: ['reset'],
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

const FAILURES: NginxForm = {
  pattern: new RegExp(`^(?:${Object.keys(CONDITIONS).join('|')})(?:\\s+(?:${Object.keys(CONDITIONS).join('|')}))*$`),
  fault: 'names no failures',
  help: `write some of ${Object.keys(CONDITIONS).join(' ')}`,
}

export const NEXT_UPSTREAM: NginxFeature = {
  scope: 'location',
  annotations: {
    'proxy-next-upstream': {
      form: FAILURES,
      onFault: 'default',
      options: ['retry-conditions', 'retry-methods', 'tries'],
      differs:
        'an endpoint that is connected to and does not answer in time is tried again only with `retry-try-timeout`',
    },
    'proxy-next-upstream-tries': {
      form: NUMBER,
      onFault: 'default',
      options: ['tries'],
      differs: '10 at most; `0`, which is no limit in ingress-nginx, is 10',
    },
    'proxy-next-upstream-timeout': {
      form: NUMBER,
      onFault: 'default',
      options: ['tries'],
      differs: 'the number of tries is the only limit',
    },
  },
  write(nginx) {
    const failures = nginx.text('proxy-next-upstream')?.split(/\s+/)
    const tries = nginx.number('proxy-next-upstream-tries')
    if (failures?.includes('off')) {
      nginx.set('tries', '1', 'proxy-next-upstream')
      return
    }
    if (failures !== undefined) {
      const conditions = new Set(failures.flatMap((failure) => CONDITIONS[failure]!))
      if (conditions.size > 0) nginx.set('retry-conditions', [...conditions].join(', '), 'proxy-next-upstream')
      // NU3
      if (failures.includes('non_idempotent')) nginx.set('retry-methods', 'POST, LOCK, PATCH', 'proxy-next-upstream')
    }
    if (tries === undefined || tries < 0) return
    const most = tries === 0 ? MOST_TRIES : Math.min(tries, MOST_TRIES)
    nginx.set('tries', String(most), 'proxy-next-upstream-tries')
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

export const UPSTREAM_HOST: NginxFeature = {
  scope: 'location',
  annotations: {
    'upstream-vhost': {
      form: {
        pattern: /^[A-Za-z0-9.:-]{1,255}$/,
        fault: 'is no host',
        help: 'write a host, or host:port, without variables',
      },
      onFault: 'default',
      options: ['rewrite-host'],
      differs: 'variables are not replaced',
    },
  },
  write(nginx) {
    const host = nginx.text('upstream-vhost')
    if (host !== undefined) nginx.set('rewrite-host', host, 'upstream-vhost')
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
      options: ['error-pages', 'error-pages-service'],
      differs: 'the client gets the status of the error with the page; without `default-backend` there are no pages',
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
    const isOwnAlone = errors === undefined || nginx.flag('disable-proxy-intercept-errors') === true
    if (isOwnAlone)
      nginx.set(
        'error-pages-for',
        'gateway',
        errors === undefined ? 'default-backend' : 'disable-proxy-intercept-errors',
      )
  },
}
