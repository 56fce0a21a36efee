/** Sends clients elsewhere: another scheme, host, port or path, with the query kept. */
import { findUsualPort, parseAuthority } from '../base/hostname.ts'
import { AUTHORITY, matching, oneOf, PATH } from './annotation-form.ts'
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

const CODES = ['301', '302', '303', '307', '308']
const DEFAULT_CODE = 302
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
      about: 'the port; left out, the usual one where scheme or host are given, else the client keeps its own',
      form: matching(PORT, 'is no port', 'write a number from 1 to 65535'),
    },
    'redirect-path': { about: 'the whole path', form: PATH },
    'redirect-prefix': { about: 'takes the place of the part of the path that the route matches', form: PATH },
    'redirect-code': {
      about: '301, 302, 303, 307 or 308; 302 where it is left out',
      form: oneOf(CODES, 'is no code of a redirect'),
    },
  },
  read(annotations) {
    const code = annotations.text('redirect-code')
    const port = annotations.text('redirect-port')
    const target = {
      scheme: annotations.text('redirect-scheme') as Options['scheme'],
      host: readHost(annotations),
      port: port === undefined ? undefined : Number(port),
      path: readPath(annotations),
    }
    if (Object.values(target).some((each) => each !== undefined)) {
      return { code: Number(code ?? DEFAULT_CODE), ...target }
    }
    if (code !== undefined && annotations.text('redirect-host') === undefined) {
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

function readHost(annotations: AnnotationReader): string | undefined {
  const host = annotations.text('redirect-host')
  const parsed = host === undefined ? undefined : parseAuthority(host)
  if (host === undefined || (parsed && parsed.port === undefined)) return parsed?.hostname
  annotations.refuse('redirect-host', `"${host}" is no host`, 'write a host without scheme, port and path')
  return undefined
}

function readPath(annotations: AnnotationReader): Options['path'] {
  const whole = annotations.text('redirect-path')
  const prefix = annotations.text('redirect-prefix')
  if (whole !== undefined && prefix !== undefined) {
    annotations.refuse('redirect-prefix', 'redirect-path says the whole path already', 'leave one of them out')
  }
  if (whole !== undefined) return { type: 'whole', value: whole }
  return prefix === undefined ? undefined : { type: 'prefix', value: prefix }
}
