/** Sends clients elsewhere: another scheme, host, port or path, with the query kept. */
import { findUsualPort, parseAuthority } from '../base/hostname.ts'
import { readPathOf } from './path-annotation.ts'
import { replacePrefix } from './path-prefix.ts'
import { type AnnotationReader, defineFilter, type FilterRequest } from './spec.ts'

type Options = Readonly<{
  code: number
  scheme: 'http' | 'https' | undefined
  host: string | undefined
  port: number | undefined
  /** The whole path, or what takes the place of the part that the route matched. */
  path: Readonly<{ type: 'whole' | 'prefix'; value: string }> | undefined
}>

const CODES = new Set(['301', '302', '303', '307', '308'])
const DEFAULT_CODE = 302

export const REDIRECT = defineFilter<Options>({
  name: 'redirect',
  order: 210,
  isGuard: false,
  annotations: {
    'redirect-scheme': 'http or https',
    'redirect-host': 'the host that clients are sent to',
    'redirect-port': 'the port; left out, the usual one where scheme or host are given, else the client keeps its own',
    'redirect-path': 'the whole path',
    'redirect-prefix': 'takes the place of the part of the path that the route matches',
    'redirect-code': '301, 302, 303, 307 or 308; 302 where it is left out',
  },
  read(annotations) {
    const written = annotations.text('redirect-code')
    if (written !== undefined && !CODES.has(written)) {
      annotations.refuse('redirect-code', `"${written}" is no code of a redirect`, 'write 301, 302, 303, 307 or 308')
    }
    const target = {
      scheme: readScheme(annotations),
      host: readHost(annotations),
      port: readPort(annotations),
      path: readPath(annotations),
    }
    if (Object.values(target).some((each) => each !== undefined)) {
      return { code: Number(written ?? DEFAULT_CODE), ...target }
    }
    const isAlone = !['scheme', 'host', 'port', 'path', 'prefix'].some((name) => annotations.text(`redirect-${name}`))
    if (written !== undefined && isAlone) {
      annotations.refuse('redirect-code', 'nothing says where to', 'add portico.dev/redirect-host, -path or another')
    }
    return undefined
  },
  print: ({ code, scheme, host, port, path }) =>
    `${code} to ${scheme ?? '*'}://${host ?? '*'}${port === undefined ? '' : `:${port}`}${path === undefined ? '' : path.type === 'whole' ? path.value : `${path.value}/…`}`,
  create: (options, { httpsPort }) => ({
    request(request) {
      const location = composeLocation(options, request, httpsPort)
      // A client that is where it would be sent to would go round and round.
      if (location === undefined) return undefined
      return { status: options.code, lines: `Location: ${location}\r\n`, body: undefined }
    },
  }),
})

/** Undefined where the request asks for that very URL. */
function composeLocation(options: Options, request: FilterRequest, httpsPort: () => number): string | undefined {
  const { scheme, clientHostname, pathname, query } = request
  const own = parseAuthority(request.clientAuthority)
  const newScheme = options.scheme ?? scheme
  const newHost = options.host ?? clientHostname
  const isElsewhere = options.scheme !== undefined || options.host !== undefined
  const usual = newScheme === 'https' && options.host === undefined ? httpsPort() : findUsualPort(newScheme)
  const oldPort = own?.port ?? (scheme === 'https' ? httpsPort() : findUsualPort('http'))
  const newPort = options.port ?? (isElsewhere ? usual : oldPort)
  const newPath = choosePath(options.path, request)
  if (newScheme === scheme && newHost === clientHostname && newPort === oldPort && newPath === pathname)
    return undefined
  // A client of HTTP/1.0 may name no host; it stays where it is.
  if (newHost === '') return newPath + query
  const port = newPort === findUsualPort(newScheme) ? '' : `:${newPort}`
  return `${newScheme}://${newHost.includes(':') ? `[${newHost}]` : newHost}${port}${newPath}${query}`
}

function choosePath(path: Options['path'], request: FilterRequest): string {
  if (path === undefined) return request.pathname
  return path.type === 'whole' ? path.value : replacePrefix(request, path.value)
}

function readScheme(annotations: AnnotationReader): Options['scheme'] {
  const scheme = annotations.text('redirect-scheme')
  if (scheme === undefined || scheme === 'http' || scheme === 'https') return scheme
  annotations.refuse('redirect-scheme', `"${scheme}" is neither http nor https`, 'write http or https')
  return undefined
}

function readHost(annotations: AnnotationReader): string | undefined {
  const host = annotations.text('redirect-host')
  const parsed = host === undefined ? undefined : parseAuthority(host)
  if (host === undefined || (parsed && parsed.port === undefined)) return parsed?.hostname
  annotations.refuse('redirect-host', `"${host}" is no host`, 'write a host without scheme, port and path')
  return undefined
}

function readPort(annotations: AnnotationReader): number | undefined {
  const port = annotations.text('redirect-port')
  if (port === undefined) return undefined
  if (/^[1-9]\d{0,4}$/.test(port) && Number(port) < 65_536) return Number(port)
  annotations.refuse('redirect-port', `"${port}" is no port`, 'write a number from 1 to 65535')
  return undefined
}

function readPath(annotations: AnnotationReader): Options['path'] {
  const whole = readPathOf(annotations, 'redirect-path')
  const prefix = readPathOf(annotations, 'redirect-prefix')
  if (whole !== undefined && prefix !== undefined) {
    annotations.refuse('redirect-prefix', 'redirect-path says the whole path already', 'leave one of them out')
  }
  if (whole !== undefined) return { type: 'whole', value: whole }
  return prefix === undefined ? undefined : { type: 'prefix', value: prefix }
}
