/** Makes the request of a RouteTest to a running gateway. */
import type { X509Certificate } from 'node:crypto'
import { type ClientRequest, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { UsageError } from '../usage-error.ts'
import type { RouteCase } from './file.ts'

export type LiveAnswer = Readonly<{
  status: number
  /** Names in lower case; several fields of one name are joined by commas. */
  headers: Readonly<Record<string, string>>
  /** SHA-256 of the certificate that was shown, in lower-case hex. */
  fingerprint: string | undefined
}>

/** By scheme, where the gateway is. */
export type LivePlaces = Readonly<Partial<Record<'http' | 'https', URL>>>

/** Milliseconds for an answer. */
const TIMEOUT_MS = 30_000

/** From the values of `--live`, one for each scheme. */
export function readPlaces(values: readonly string[]): LivePlaces {
  const places: { http?: URL; https?: URL } = {}
  for (const value of values) {
    const url = URL.canParse(value) ? new URL(value) : undefined
    if (url?.protocol === 'http:') places.http = url
    else if (url?.protocol === 'https:') places.https = url
    else throw new UsageError(`--live ${value} is no URL of http or https`, 'write --live http://127.0.0.1:8080')
  }
  return places
}

/** A test whose client is another cannot be made from here. */
export function canBeLive({ request: { client = '127.0.0.1' } }: RouteCase): boolean {
  return client === '127.0.0.1' || client === '::1'
}

/** SHA-256, in lower-case hex. */
export function fingerprintOf({ fingerprint256 }: X509Certificate): string {
  return fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Rejects with an Error whose message is half a line. */
export function askLive(
  { request: { url, method = 'GET', headers = {} } }: RouteCase,
  places: LivePlaces,
): Promise<LiveAnswer> {
  const [, scheme = '', authority = '', path = ''] = /^(https?):\/\/([^/?#]*)([^#]*)/.exec(url) ?? []
  const place = places[scheme as 'http' | 'https']
  if (!place) return Promise.reject(new Error(`there is no --live ${scheme}://…`))
  const port = place.port || (scheme === 'https' ? '443' : '80')
  const options = {
    host: place.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    method,
    path: path.startsWith('/') ? path : `/${path}`,
    headers: { host: authority, connection: 'close', ...headers },
    agent: false as const,
    timeout: TIMEOUT_MS,
  }
  const servername = authority.replace(/:\d+$/, '')
  return new Promise((resolve, reject) => {
    const asked: ClientRequest =
      scheme === 'https' ? requestHttps({ ...options, servername, rejectUnauthorized: false }) : requestHttp(options)
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)))
    asked.on('error', (error) => reject(new Error(`${place.host}: ${error.message}`)))
    asked.on('response', (response) => {
      const { socket } = response
      const shown = scheme === 'https' ? (socket as TLSSocket).getPeerX509Certificate() : undefined
      const fields = Object.entries(response.headers).map(([name, value]) => [name, [value].flat().join(', ')])
      // Of an answer that never ends the head is enough.
      response.destroy()
      resolve({
        status: response.statusCode ?? 0,
        headers: Object.fromEntries(fields),
        fingerprint: shown && fingerprintOf(shown),
      })
    })
    asked.end()
  })
}
