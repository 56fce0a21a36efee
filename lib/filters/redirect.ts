/** Sends clients elsewhere: another scheme, host, port or path, or another URL as a whole. HOT */
import { isIPv4 } from 'node:net'
import { GatewayError } from '../base/errors.ts'
import { findUsualPort, parseAuthority } from '../base/hostname.ts'
import { isNormalPath } from '../base/path.ts'
import { AUTHORITY, matching, oneOf, PATH } from './annotation-form.ts'
import { compileTemplate, writeTemplate } from './field-template.ts'
import { replacePrefix } from './path-prefix.ts'
import { type AnnotationReader, defineFilter, type Filter, type FilterRequest } from './spec.ts'
import { findUrlFault, urlForm } from './url-template.ts'

type Options = Change | Readonly<{ code: number; url: string }>

/** What of the URL of a request changes. */
type Change = Readonly<{
  code: number
  scheme: 'http' | 'https' | undefined
  host: string | undefined
  /** In place of a host: the one that clients ask for, without `www.` or with it. */
  www: 'to-apex' | 'to-www' | undefined
  port: number | undefined
  /** The whole path, what takes the place of the part that the route matched, or what takes the place of `/` alone. */
  path: Readonly<{ type: 'whole' | 'prefix' | 'root'; value: string }> | undefined
  keepsQuery: boolean
}>

const CODES = Array.from({ length: 9 }, (_, at) => String(300 + at))
const DEFAULT_CODE = 302
/** The annotations that say a part of the URL. */
const PARTS = [
  'redirect-scheme',
  'redirect-host',
  'redirect-port',
  'redirect-path',
  'redirect-prefix',
  'redirect-www',
  'app-root',
  'redirect-query',
]
const WWW = 'www.'
const NO_URL = 'no URL and no path'
const URL_FORM = urlForm('URLs and paths', NO_URL)
/** From 1 to 65535. */
const PORT = /^(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/

export const REDIRECT = defineFilter<Options>({
  name: 'redirect',
  order: 210,
  isGuard: false,
  annotations: {
    'redirect-scheme': { about: 'http or https', form: oneOf(['http', 'https']) },
    'redirect-host': { about: 'the host that clients are sent to', form: AUTHORITY },
    'redirect-port': {
      about:
        'the port. Where it is left out, clients keep the port that they asked for, unless redirect-scheme changes the scheme or stands beside redirect-host: then it is 443 or 80, and for https without redirect-host the port that HTTPS has here',
      form: matching(PORT, 'is no port', 'write a number from 1 to 65535'),
    },
    'redirect-path': { about: 'the whole path', form: PATH },
    'redirect-prefix': {
      about: 'takes the place of the part of the path that the route matches; `/` strips that part',
      form: PATH,
    },
    'redirect-www': {
      about:
        '`to-apex` sends clients of `www.example.com` to `example.com`, `to-www` the other way round; clients of the other host pass. Both hosts need a rule, and for HTTPS a certificate',
      form: oneOf(['to-apex', 'to-www']),
    },
    'app-root': { about: 'the path to which clients that ask for `/` are redirected; other paths pass', form: PATH },
    'redirect-query': {
      about: '`keep` or `drop`: what becomes of the query; `keep` where it is left out',
      form: oneOf(['keep', 'drop']),
    },
    'redirect-url': {
      about: `the whole URL, or a path, in place of all of these. Variables may stand in it, and nothing else of the request does: \`https://new.example.com\${request.target}\``,
      form: URL_FORM,
    },
    'redirect-code': {
      about: 'a status from 300 to 308; 302 where it is left out. Browsers follow 301, 302, 303, 307 and 308 alone',
      form: { ...oneOf(CODES, 'is no code of a redirect'), help: 'write 301, 302, 303, 307 or 308' },
    },
  },
  read(annotations) {
    const code = annotations.text('redirect-code')
    const url = annotations.text('redirect-url')
    if (url !== undefined) return readUrl(annotations, url, Number(code ?? DEFAULT_CODE))
    const port = annotations.text('redirect-port')
    const target = {
      scheme: annotations.text('redirect-scheme') as Change['scheme'],
      host: readHost(annotations),
      www: annotations.text('redirect-www') as Change['www'],
      port: port === undefined ? undefined : Number(port),
      path: readPath(annotations),
    }
    if (target.host !== undefined && target.www !== undefined) {
      annotations.refuse('redirect-www', 'redirect-host says the whole host already', 'leave one of them out')
    }
    const query = annotations.text('redirect-query')
    if (Object.values(target).some((each) => each !== undefined)) {
      return { code: Number(code ?? DEFAULT_CODE), ...target, keepsQuery: query !== 'drop' }
    }
    const idle = code !== undefined ? 'redirect-code' : query !== undefined ? 'redirect-query' : undefined
    if (idle !== undefined && annotations.text('redirect-host') === undefined) {
      annotations.refuse(idle, 'nothing says where to', 'add portico.dev/redirect-host, -path, -url or another')
    }
    return undefined
  },
  print: (options) =>
    'url' in options
      ? `${options.code} to ${options.url}`
      : `${options.code} ${printSource(options)}to ${printOrigin(options)}${printPath(options)}`,
  findNeeds(options, host) {
    if ('url' in options) return undefined
    const { www, path } = options
    if (www === undefined && path?.type !== 'root') return undefined
    return { ...(www && { hosts: pairHosts(www, host) }), ...(path?.type === 'root' && { path: '/' }) }
  },
  create: (options, { httpsPort }) =>
    'url' in options ? createUrlRedirect(options) : createRedirect(options, httpsPort),
})

function createUrlRedirect({ code, url }: Readonly<{ code: number; url: string }>): Filter {
  const template = compileTemplate(url)
  return {
    request(request) {
      const location = writeTemplate(template, request)
      const { scheme, clientAuthority, pathname, query } = request
      const own = pathname + query
      const isThere = location === (location.startsWith('/') ? own : `${scheme}://${clientAuthority}${own}`)
      return isThere ? undefined : { status: code, lines: `Location: ${location}\r\n`, body: undefined }
    },
  }
}

function createRedirect(options: Change, httpsPort: () => number): Filter {
  return {
    request(request) {
      const newPath = choosePath(options.path, request)
      // Where an expression ends inside an element, the rest of it may become a dot segment.
      if (options.path?.type === 'prefix' && !isNormalPath(newPath)) {
        return new GatewayError('PORTICO_REQ_BAD_PATH', 'what the redirect made of the path is no path')
      }
      const location = composeLocation(options, request, newPath, httpsPort)
      // A client that is where it would be sent to would go round and round.
      if (location === undefined) return undefined
      return { status: options.code, lines: `Location: ${location}\r\n`, body: undefined }
    },
  }
}

/** Undefined where the request asks for that very URL. */
function composeLocation(
  options: Change,
  request: FilterRequest,
  newPath: string,
  httpsPort: () => number,
): string | undefined {
  const { scheme, clientHostname, pathname } = request
  const query = options.keepsQuery ? request.query : ''
  const own = parseAuthority(request.clientAuthority)
  const newScheme = options.scheme ?? scheme
  const newHost = options.host ?? (options.www ? changeWww(options.www, clientHostname) : clientHostname)
  const oldPort = own?.port ?? findUsualPort(scheme)
  const newPort = options.port ?? choosePort(options, scheme, oldPort, httpsPort)
  if (newScheme === scheme && newHost === clientHostname && newPort === oldPort && newPath === pathname)
    return undefined
  // A client of HTTP/1.0 may name no host; it stays where it is.
  if (newHost === '') return newPath + query
  const port = newPort === findUsualPort(newScheme) ? '' : `:${newPort}`
  return `${newScheme}://${newHost.includes(':') ? `[${newHost}]` : newHost}${port}${newPath}${query}`
}

/** As in Gateway API (HTTPRequestRedirectFilter, `port`), where the port of HTTPS on this very host is known besides. */
function choosePort(
  { scheme, host }: Change,
  oldScheme: FilterRequest['scheme'],
  oldPort: number,
  httpsPort: () => number,
): number {
  if (scheme === undefined || (scheme === oldScheme && host === undefined)) return oldPort
  return scheme === 'https' && host === undefined ? httpsPort() : findUsualPort(scheme)
}

function choosePath(path: Change['path'], request: FilterRequest): string {
  if (path === undefined || (path.type === 'root' && request.pathname !== '/')) return request.pathname
  return path.type === 'prefix' ? replacePrefix(request, path.value) : path.value
}

/** A host with nothing behind `www.`, and an address, stay as they are. */
function changeWww(www: 'to-apex' | 'to-www', host: string): string {
  if (host.startsWith(WWW)) return www === 'to-apex' && host.length > WWW.length ? host.slice(WWW.length) : host
  const isName = host !== '' && !host.includes(':') && !isIPv4(host)
  return www === 'to-www' && isName ? WWW + host : host
}

/** The two hosts of which one leads to the other, where a rule has one of them. */
function pairHosts(www: 'to-apex' | 'to-www', host: string): Readonly<{ from: string; to: string }> {
  const apex = changeWww('to-apex', host)
  return www === 'to-apex' ? { from: WWW + apex, to: apex } : { from: apex, to: WWW + apex }
}

function readUrl(annotations: AnnotationReader, url: string, code: number): Options {
  const fault = findUrlFault(url, NO_URL)
  if (fault !== undefined) annotations.refuse('redirect-url', fault, URL_FORM.help)
  const other = PARTS.find((name) => annotations.text(name) !== undefined)
  if (other !== undefined) annotations.refuse(other, 'redirect-url says the whole URL already', 'leave one of them out')
  return { code, url }
}

function readHost(annotations: AnnotationReader): string | undefined {
  const host = annotations.text('redirect-host')
  const parsed = host === undefined ? undefined : parseAuthority(host)
  if (host === undefined || (parsed && parsed.port === undefined)) return parsed?.hostname
  annotations.refuse('redirect-host', `"${host}" is no host`, 'write a host without scheme, port and path')
  return undefined
}

function readPath(annotations: AnnotationReader): Change['path'] {
  const whole = annotations.text('redirect-path')
  const prefix = annotations.text('redirect-prefix')
  const root = annotations.text('app-root')
  if (whole !== undefined && prefix !== undefined) {
    annotations.refuse('redirect-prefix', 'redirect-path says the whole path already', 'leave one of them out')
  }
  if (root !== undefined && (whole ?? prefix) !== undefined) {
    const name = whole === undefined ? 'redirect-prefix' : 'redirect-path'
    annotations.refuse('app-root', `${name} redirects every path already`, 'leave one of them out')
  }
  if (root === '/') annotations.refuse('app-root', 'it leads from / to /', 'write another path')
  if (whole !== undefined) return { type: 'whole', value: whole }
  if (prefix !== undefined) return { type: 'prefix', value: prefix }
  return root === undefined ? undefined : { type: 'root', value: root }
}

/** The requests that are redirected, unless all are. `HOST` is the host without `www.`. */
function printSource({ www, path }: Change): string {
  const host = www === 'to-apex' ? 'www.HOST' : www === 'to-www' ? 'HOST' : ''
  if (path?.type !== 'root') return host === '' ? '' : `of ${host} `
  return host === '' ? 'of / ' : `of ${host} and / `
}

/** What changes of scheme, host and port; `*` stands for a part that stays as it is. */
function printOrigin({ scheme, host, www, port }: Change): string {
  const ownHost = www === 'to-apex' ? 'HOST' : www === 'to-www' ? 'www.HOST' : host
  if (scheme === undefined && host === undefined && port === undefined) return ownHost ?? ''
  return `${scheme ?? '*'}://${ownHost ?? '*'}${port === undefined ? '' : `:${port}`}`
}

function printPath({ path }: Change): string {
  if (path === undefined) return ''
  return path.type === 'prefix' ? `${path.value}/…` : path.value
}
