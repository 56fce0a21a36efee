/** Sends plain HTTP of the hosts that have a tls section to HTTPS. HOT */
import { printHttpsUrl } from '../base/hostname.ts'
import { defineFilter } from './spec.ts'

/** The port that clients are sent to; undefined: the one that HTTPS has. */
type Options = Readonly<{ port: number | undefined }>

export const HTTPS_REDIRECT = defineFilter<Options>({
  name: 'https-redirect',
  order: 205,
  isGuard: false,
  annotations: {},
  ofHosts: {
    text: 'The hosts that a `tls` section names, while `https.redirect` is on. `https.redirectPort` says which port they are sent to.',
    read: ({ isSecured, https }) =>
      isSecured && https.enabled && https.redirect ? { port: https.redirectPort || undefined } : undefined,
    redirectsToHttps: true,
  },
  print: ({ port }) =>
    `308 of plain HTTP to https://*${port === undefined ? '' : `:${port}`}, since a tls section names the host`,
  create: ({ port }, { httpsPort }) => ({
    request(request) {
      if (request.scheme === 'https') return undefined
      const location = printHttpsUrl(request.clientHostname, port ?? httpsPort(), request.target)
      return { status: 308, lines: `Location: ${location}\r\n`, body: undefined }
    },
  }),
})
