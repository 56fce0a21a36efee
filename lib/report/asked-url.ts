/** Splits a URL that somebody asks about. A URL parser would resolve and decode the very parts that the question is about. */

/** The parts of a URL, with every byte of the path unchanged. */
export type AskedUrl = Readonly<{ scheme: 'http' | 'https'; host: string; path: string }>

export type UrlFault = Readonly<{ fault: string; help: string }>

const SCHEMES: Readonly<Record<string, 'http' | 'https'>> = { http: 'http', https: 'https', ws: 'http', wss: 'https' }

export function splitAskedUrl(word: string): AskedUrl | UrlFault {
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/?#]*)([^#]*)/i.exec(word)
  const [, scheme = 'http', host = '', target = ''] = match ?? []
  const served = SCHEMES[scheme.toLowerCase()]
  if (!served) return { fault: `${scheme}:// is not served`, help: 'write http:// or https://' }
  if (host === '') return { fault: `"${word}" names no host`, help: 'write https://shop.localhost/path' }
  return { scheme: served, host, path: target.startsWith('/') ? target : `/${target}` }
}
