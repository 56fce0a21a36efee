/** Changes where endpoints send clients, where clients know the endpoints by another URL. HOT */
import { compileTemplate, writeTemplate } from './field-template.ts'
import { type AnnotationReader, defineFilter, type FilterRequest } from './spec.ts'
import { findUrlFault, urlForm } from './url-template.ts'

/** Beginnings of URLs, with variables. */
type Options = Readonly<{ from: string; to: string }>

const NO_URL = 'no URL and no path'
const FORM = urlForm('URLs and paths', NO_URL)

export const LOCATION = defineFilter<Options>({
  name: 'location',
  order: 435,
  isGuard: false,
  annotations: {
    'location-from': {
      about:
        'the beginning, up to a `/` or the end, of the URLs or paths to which endpoints redirect clients (Location and Refresh), as in `http://app.internal:8080/`. Variables may stand in it',
      form: FORM,
      needs: 'location-to',
    },
    'location-to': {
      about: `what takes its place, as in \`https://\${request.authority}/shop/\`. Variables may stand in it`,
      form: FORM,
      needs: 'location-from',
    },
  },
  read(annotations) {
    const from = readUrl(annotations, 'location-from')
    const to = readUrl(annotations, 'location-to')
    return from === undefined || to === undefined ? undefined : { from, to }
  },
  print: ({ from, to }) => `${from} → ${to}`,
  create(options) {
    const from = compileTemplate(options.from)
    const to = compileTemplate(options.to)
    const move = (url: string, request: FilterRequest): string => {
      const beginning = writeTemplate(from, request)
      if (!begins(url, beginning)) return url
      const target = writeTemplate(to, request)
      const rest = url.slice(beginning.length)
      // Browsers pass over tabs, and take two slashes for the beginning of a host.
      return target + (target.endsWith('/') ? rest.replace(SLASHES, '') : rest)
    }
    return {
      response(head, request) {
        if (head.isOwn || !REDIRECTS.test(head.lines)) return
        head.replace(EACH_URL, (_, name = '', url = '') => name + move(url, request))
      },
    }
  },
})

const REDIRECTS = /^(?:location|refresh):/im
/** Refresh has the URL behind a number of seconds. */
const EACH_URL = /^(location:[ \t]*|refresh:[ \t]*\d+[ \t]*[;,][ \t]*url[ \t]*=[ \t]*["']?)([^\r\n]*)/gim
const SLASHES = /^[/\\\t ]+/

/** True if the URL goes on after the beginning with another element, or not at all. */
function begins(url: string, beginning: string): boolean {
  if (!url.startsWith(beginning)) return false
  return beginning.endsWith('/') || url.length === beginning.length || '/?#'.includes(url[beginning.length]!)
}

function readUrl(annotations: AnnotationReader, name: string): string | undefined {
  const url = annotations.text(name)
  const fault = url === undefined ? undefined : findUrlFault(url, NO_URL)
  if (fault !== undefined) annotations.refuse(name, fault, FORM.help)
  return url
}
