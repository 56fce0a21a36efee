/** Sends plain HTTP to HTTPS: of the hosts that have a tls section, and of routes that say so. HOT */
import { printHttpsUrl } from '../base/hostname.ts'
import { oneOf } from './annotation-form.ts'
import { defineFilter, type Filter } from './spec.ts'

type Options =
  /** Of a host: the port that clients are sent to; undefined: the one that HTTPS has. */
  | Readonly<{ port: number | undefined }>
  /** Of routes: false where they serve plain HTTP though a tls section names their host. */
  | Readonly<{ redirects: boolean }>

const PASSES: Filter = { request: () => undefined }

export const HTTPS_REDIRECT = defineFilter<Options>({
  name: 'https-redirect',
  // Before anybody is asked for a password: it would go over the wire as it is.
  order: 102,
  isGuard: false,
  annotations: {
    'https-redirect': {
      about:
        '`"true"`: plain HTTP is redirected to HTTPS (308), even if no tls section names the host; `"false"`: plain HTTP is served, even if one does. Where it is left out, the host decides',
      form: oneOf(['true', 'false']),
    },
  },
  read(annotations) {
    const text = annotations.text('https-redirect')
    return text === undefined ? undefined : { redirects: text === 'true' }
  },
  ofHosts: {
    text: 'The hosts of rules that a `tls` section names, while `https.redirect` is on; of a rule for `*.example.com`, a section that names `*.example.com`. `https.redirectPort` says which port they are sent to. If a route of the host has `https-redirect: "false"`, it is a filter of all the other routes of the host: a request that no route takes is not redirected then.',
    read: ({ isSecured, https }) =>
      isSecured && https.enabled && https.redirect ? { port: https.redirectPort || undefined } : undefined,
    redirectsToHttps: true,
    isOff: (options) => 'redirects' in options && !options.redirects,
  },
  print(options) {
    if ('redirects' in options) return options.redirects ? '308 of plain HTTP' : 'serves plain HTTP'
    const port = options.port === undefined ? '' : `:${options.port}`
    return `308 of plain HTTP to https://*${port}, since a tls section names the host`
  },
  create(options, { httpsPort }) {
    if ('redirects' in options && !options.redirects) return PASSES
    const port = 'port' in options ? options.port : undefined
    return {
      request(request) {
        if (request.scheme === 'https') return undefined
        const location = printHttpsUrl(request.clientHostname, port ?? httpsPort(), request.target)
        return { status: 308, lines: `Location: ${location}\r\n`, body: undefined }
      },
    }
  },
})
