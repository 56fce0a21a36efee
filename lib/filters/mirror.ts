/** Sends copies of requests to another Service or server; their answers are dropped. HOT */
import { EvenSpread } from '../base/even-spread.ts'
import { parseAuthority } from '../base/hostname.ts'
import { isNormalPath, splitTarget } from '../base/path.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { AUTHORITY, matching, oneOf, SERVICE_PORT } from './annotation-form.ts'
import { compileTemplate } from './field-template.ts'
import { type AnnotationReader, defineFilter, type FilterRequest, type Mirror } from './spec.ts'
import { findUrlFault, splitUrl, urlForm } from './url-template.ts'

type Options = Readonly<{
  upstream: UpstreamKey
  /** The path and query of copies, with variables; undefined: those of the request. */
  target: string | undefined
  /** The authority of copies; undefined: that of the request. */
  authority: string | undefined
  hasBody: boolean
  /** Of the requests, in percent: more than 0. */
  share: number
}>

/** As long as the mirror cannot be asked. */
const OUTCOME = 'no copies are made'
/** Copies have it: where a mirror leads back to the gateway, a copy of a copy would be made without end. */
const COPY = 'x-portico-copy'

const ALL = 100

const NO_URL = 'no URL of a mirror'
const URL_FORM = urlForm('URLs', NO_URL)
/** What says something beside a mirror alone. */
const PARTS = ['mirror-share', 'mirror-host', 'mirror-body']

export const MIRROR = defineFilter<Options>({
  name: 'mirror',
  order: 495,
  isGuard: false,
  annotations: {
    mirror: {
      about:
        'the Service, in the namespace of the Ingress, that gets copies of the requests: `name` for its first port, or `name:port`. Its answers are dropped',
      form: SERVICE_PORT,
    },
    'mirror-url': {
      about: `the URL of a server that gets the copies in place of a Service, as in \`http://mirror.example.com\${request.target}\`. Variables may stand behind its host; without a path, copies have the path and query of the request`,
      form: URL_FORM,
    },
    'mirror-host': {
      about:
        'the host, or host:port, that copies ask for; where it is left out, copies ask for the host of mirror-url, or of the request',
      form: AUTHORITY,
    },
    'mirror-body': {
      about: '`"false"`: copies go without the bodies of the requests (`"true"`)',
      form: oneOf(['true', 'false']),
    },
    'mirror-share': {
      about: 'the part of the requests that is copied, in percent (`100%`), as in `10%` or `0.5%`; `0%`: none',
      form: matching(
        /^(?:100(?:\.0{1,4})?|\d{1,2}(?:\.\d{1,4})?)%$/,
        'is no part of the requests',
        'write a percentage from 0% to 100%, as in "10%"',
      ),
    },
  },
  read(annotations) {
    const url = readUrl(annotations)
    const upstream = url === undefined ? annotations.upstream('mirror', OUTCOME) : url.upstream
    const part = PARTS.find((name) => annotations.text(name) !== undefined)
    if (part !== undefined && (annotations.text('mirror') ?? annotations.text('mirror-url')) === undefined) {
      annotations.refuse(part, 'it says nothing without mirror', 'add portico.dev/mirror or portico.dev/mirror-url')
    }
    const host = annotations.text('mirror-host')
    if (host !== undefined && !parseAuthority(host)) {
      annotations.refuse('mirror-host', `"${host}" is no host`, 'write a host, or host:port')
    }
    const share = Number.parseFloat(annotations.text('mirror-share') ?? `${ALL}%`)
    if (upstream === undefined || share === 0) return undefined
    const hasBody = annotations.text('mirror-body') !== 'false'
    return { upstream, share, hasBody, target: url?.target, authority: host ?? url?.authority }
  },
  print: ({ upstream, share, target, authority, hasBody }) =>
    [
      `copies of ${share === ALL ? 'all requests' : `${share}% of the requests`} to ${upstream}`,
      // A query may hold a secret.
      ...(target === undefined ? [] : [`as ${splitTarget(target).path}`]),
      ...(authority === undefined ? [] : [`with the host ${authority}`]),
      ...(hasBody ? [] : ['without bodies']),
    ].join(', '),
  create({ upstream, share, target, authority, hasBody }) {
    const spread = share === ALL ? undefined : new EvenSpread()
    const part = share / ALL
    const template = target === undefined ? undefined : compileTemplate(target)
    const fixed = { upstream, target: undefined, authority, hasBody }
    const find = typeof template === 'function' ? createFinder(fixed, template) : { ...fixed, target: template }
    return {
      mirror: (request) => {
        if (request.header(COPY) !== undefined) return undefined
        if (spread !== undefined && spread.next() >= part) return undefined
        return typeof find === 'function' ? find(request) : find
      },
    }
  },
})

/** What a client sends leads to no other path of the mirror: a request whose variables make no path has no copy. */
function createFinder(
  fixed: Mirror,
  write: (request: FilterRequest) => string,
): (request: FilterRequest) => Mirror | undefined {
  return (request) => {
    const target = write(request)
    return isNormalPath(splitTarget(target).path) ? { ...fixed, target } : undefined
  }
}

/** Undefined: there is no URL. */
function readUrl(
  annotations: AnnotationReader,
): Readonly<{ upstream: UpstreamKey | undefined; authority: string; target: string | undefined }> | undefined {
  const text = annotations.text('mirror-url')
  if (text === undefined) return undefined
  const { scheme, authority, target, hasTarget } = splitUrl(text)
  const fault =
    findUrlFault(text, NO_URL) ??
    (`${scheme}${authority}`.includes('$') ? 'its scheme and its host are the same for all requests' : undefined)
  if (fault !== undefined) annotations.refuse('mirror-url', fault, URL_FORM.help)
  if (annotations.text('mirror') !== undefined) {
    annotations.refuse('mirror-url', 'mirror names a Service already', 'leave one of them out')
  }
  const upstream =
    fault === undefined ? annotations.server('mirror-url', new URL(`${scheme}://${authority}`), OUTCOME) : undefined
  return { upstream, authority, target: hasTarget ? target : undefined }
}
