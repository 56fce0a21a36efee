/** Puts pages in the place of the bodies of errors, by their status. HOT */
import type { UpstreamKey } from '../model/upstream.ts'
import { CONTENT_REFERENCE, matching, oneOf, SERVICE_PORT, spaced } from './annotation-form.ts'
import { findMediaType, PLAIN, printBody, toBytes } from './content-body.ts'
import { splitNames, VALUE } from './field-lines.ts'
import { type AnnotationReader, type AskedPage, type Content, defineFilter, type ErrorPage } from './spec.ts'

/** A page for statuses from one to another; without a body it is the Service's. */
type PageOption = Readonly<{ from: number; to: number; body: string | Content | undefined; type: string }>

type Options = Readonly<{
  pages: readonly PageOption[]
  /** The upstream of the Service that is asked for pages; undefined: none is asked. */
  upstream: UpstreamKey | undefined
  /** The answer of the Service takes the place of the error, with its status and all fields. */
  isWhole: boolean
  /** Answers of endpoints are left as they are. */
  isOwnAlone: boolean
}>

const MAX_ITEMS = 50

const STATUSES = '(?:[45]\\d\\d(?:-[45]\\d\\d)?|[45]xx)'
const ITEM = `${STATUSES}(?:=${CONTENT_REFERENCE})?`
const HELP =
  'write errors (404, 502-504 or 5xx), each with a ConfigMap and a key of it, as in "404=pages/404.html, 5xx=pages/down.html"'

export const ERROR_PAGES = defineFilter<Options>({
  name: 'error-pages',
  order: 490,
  isGuard: false,
  annotations: {
    'error-pages': {
      about:
        'the errors that have pages, separated by commas: a status (`404`), a range (`502-504`) or a class (`5xx`), each with the ConfigMap, in the namespace of the Ingress, and the key of its page, as in `404=pages/404.html, 5xx=pages/down.html`. What names fewer statuses goes first. The status of the answer is kept',
      form: {
        ...matching(spaced(ITEM), 'is no list of pages', HELP),
        structure: 'list',
      },
    },
    'error-pages-body': {
      about: 'the page of the errors that `error-pages` gives none of their own, as in `error-pages: 404,5xx`',
      needs: 'error-pages',
    },
    'error-pages-content-type': {
      about: `what error-pages-body is (\`${PLAIN}\`); the ending of its key says what a page of a ConfigMap is`,
      form: matching(VALUE, 'is no media type', 'write one as in "text/html; charset=utf-8"'),
      needs: 'error-pages-body',
    },
    'error-pages-service': {
      about:
        'the Service that is asked for these pages in place of error-pages-body, `name` for its first port or `name:port`, as ingress-nginx does: `GET /` with `X-Code`, `X-Format`, `X-Original-URI`, `X-Namespace`, `X-Ingress-Name`, `X-Service-Name`, `X-Service-Port` and `X-Request-ID`',
      form: SERVICE_PORT,
      needs: 'error-pages',
    },
    'error-pages-status': {
      about:
        '`error`: clients get the status and the fields of the error with the page of the Service; `page`: the whole answer of the Service, with its status and its fields (`error`)',
      form: oneOf(['error', 'page']),
      needs: 'error-pages-service',
    },
    'error-pages-for': {
      about:
        '`all`: errors of endpoints and of the gateway itself have pages; `gateway`: errors of the gateway alone have them (`all`). An answer of `respond`, of `maintenance` or of an auth server has none',
      form: oneOf(['all', 'gateway']),
      needs: 'error-pages',
    },
  },
  read(annotations) {
    const text = annotations.text('error-pages')
    if (text === undefined) return undefined
    const items = splitNames(text)
    if (items.length > MAX_ITEMS) {
      annotations.refuse('error-pages', `it has ${items.length} items, and ${MAX_ITEMS} are allowed`, 'leave some out')
      return undefined
    }
    const pages = items.flatMap((item) => readPage(annotations, item) ?? [])
    const upstream = annotations.upstream('error-pages-service', 'errors have no page of it')
    const [one, other] = ['error-pages-body', 'error-pages-service'].filter(
      (each) => annotations.text(each) !== undefined,
    )
    if (other !== undefined) annotations.refuse(other, `${one} has the page already`, 'leave one of them out')
    if (one !== undefined && items.every((item) => item.includes('='))) {
      const fault = 'each error has a page in error-pages already'
      annotations.refuse(one, fault, 'leave it out, or name a status without "=" in error-pages')
    }
    const isWhole = annotations.text('error-pages-status') === 'page'
    return { pages, upstream, isWhole, isOwnAlone: annotations.text('error-pages-for') === 'gateway' }
  },
  print: ({ pages, upstream, isWhole, isOwnAlone }) =>
    [
      ...pages.map((page) => printPage(page, upstream)),
      ...(isWhole ? ['with the status of the page'] : []),
      ...(isOwnAlone ? ['for errors of the gateway'] : []),
    ].join(', '),
  create({ pages, upstream, isWhole, isOwnAlone }) {
    const byStatus = new Map<number, ErrorPage | AskedPage>()
    const asked = upstream && { upstream, isWhole }
    // What names fewer statuses is written over what names more; of equal ones the first stays.
    for (const { from, to, body, type } of [...pages].reverse().sort((a, b) => b.to - b.from - (a.to - a.from))) {
      const page = body === undefined ? asked : { lines: `Content-Type: ${type}\r\n`, body: toBytes(body) }
      if (page !== undefined) for (let status = from; status <= to; status++) byStatus.set(status, page)
    }
    return {
      errorPage: (status, isOwn) => (isOwn || !isOwnAlone ? byStatus.get(status) : undefined),
    }
  },
})

/** Undefined where the item has no page, which is refused then. */
function readPage(annotations: AnnotationReader, item: string): PageOption | undefined {
  const [statuses = '', reference] = item.split('=')
  const [from, to] = readStatuses(statuses)
  if (to < from) {
    annotations.refuse('error-pages', `"${statuses}" ends before it begins`, HELP)
    return undefined
  }
  if (reference !== undefined) {
    const body = annotations.content('error-pages', reference)
    return body && { from, to, body, type: findMediaType(body) ?? PLAIN }
  }
  const body = annotations.text('error-pages-body')
  if (body === undefined && annotations.text('error-pages-service') === undefined) {
    const help = `write ${statuses}=pages/sorry.html for a ConfigMap and its key, the page in portico.dev/error-pages-body, or a Service that is asked in portico.dev/error-pages-service`
    annotations.refuse('error-pages', `"${statuses}" has no page`, help)
    return undefined
  }
  return { from, to, body, type: annotations.text('error-pages-content-type') ?? PLAIN }
}

/** The first and the last status. */
function readStatuses(text: string): readonly [number, number] {
  if (text.endsWith('xx')) return [Number(`${text[0]}00`), Number(`${text[0]}99`)]
  const [from, to = from] = text.split('-').map(Number)
  return [from!, to!]
}

function printPage({ from, to, body }: PageOption, upstream: UpstreamKey | undefined): string {
  const isClass = from % 100 === 0 && to === from + 99
  const statuses = isClass ? `${from / 100}xx` : from === to ? String(from) : `${from}-${to}`
  if (body === undefined) return `${statuses} from ${upstream}`
  return `${statuses} ${printBody(body)}`
}
