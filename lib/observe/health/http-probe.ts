/** A GET on a connection of its own, judged by the status, as the kubelet judges it. */
import { type IncomingMessage, request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIPv6 } from 'node:net'
import { findUsualPort } from '../../base/hostname.ts'
import { includesStatus } from '../../base/status-ranges.ts'
import { Authorities } from '../../upstream/transport/authorities.ts'
import type { HttpProbe, ProbeResult } from './question.ts'

/** As the kubelet: more redirects are a failure, and no more of a body is read. */
const MAX_REDIRECTS = 10
const MAX_BODY_BYTES = 10_240
const MAX_HEAD_BYTES = 16_384
const authorities = new Authorities()

/** Forgets the authorities of all other files, and Secrets with other digests, each of which costs memory. */
export function retainAuthorities(files: ReadonlySet<string>, secrets: ReadonlySet<string>): void {
  authorities.retain(files, secrets)
}

/** Rejects with Node's error, or the reason of `signal`. */
export async function askHttp(probe: HttpProbe, signal: AbortSignal): Promise<ProbeResult> {
  let target = targetOf(probe)
  for (let redirects = 0; ; redirects++) {
    const { status, location } = await get(probe, target, signal)
    const next = probe.followsRedirects ? follow(target, status, location) : undefined
    if (next === undefined) {
      return { isOk: includesStatus(probe.statuses, status), detail: `GET ${probe.path}: ${status}` }
    }
    if (redirects >= MAX_REDIRECTS) return { isOk: false, detail: `GET ${probe.path}: ${MAX_REDIRECTS} redirects` }
    target = next
  }
}

function targetOf({ address, port, path, tls }: HttpProbe): URL {
  const target = new URL(`${tls ? 'https' : 'http'}://${isIPv6(address) ? `[${address}]` : address}:${port}`)
  // Not resolved: a path that begins with two slashes names no host.
  const [plain = '', ...query] = (path.startsWith('/') ? path : `/${path}`).split('?')
  target.pathname = plain
  target.search = query.join('?')
  return target
}

/** Where a redirect leads, where that is the same host. */
function follow(from: URL, status: number, location: string | undefined): URL | undefined {
  if (location === undefined || ![301, 302, 303, 307, 308].includes(status)) return undefined
  if (!URL.canParse(location, from.href)) return undefined
  const next = new URL(location, from.href)
  return /^https?:$/.test(next.protocol) && next.hostname === from.hostname ? next : undefined
}

type Answer = Readonly<{ status: number; location: string | undefined }>

function get(probe: HttpProbe, target: URL, signal: AbortSignal): Promise<Answer> {
  const isSecure = target.protocol === 'https:'
  const tls = probe.tls ?? { serverName: '', verify: false, caFile: '', secret: undefined }
  authorities.look(tls.caFile)
  return new Promise((resolve, reject) => {
    const options = {
      // Not `target`: Node would take the brackets of an IPv6 address for a part of its name.
      host: target.hostname.replace(/^\[|\]$/g, ''),
      port: target.port === '' ? findUsualPort(isSecure ? 'https' : 'http') : Number(target.port),
      path: target.pathname + target.search,
      headers: composeHeaders(probe, target),
      agent: false,
      signal,
      maxHeaderSize: MAX_HEAD_BYTES,
      ...(isSecure && {
        servername: tls.serverName,
        rejectUnauthorized: tls.verify,
        secureContext: authorities.context(tls.caFile, tls.secret),
      }),
    } as const
    const request = (isSecure ? requestHttps : requestHttp)(options, (response) => {
      const answer = { status: response.statusCode ?? 0, location: response.headers.location }
      skipBody(response, (error) => {
        request.destroy()
        if (error) reject(error)
        else resolve(answer)
      })
    })
    // Node tells of a 101 by this event alone, and drops it where it has no listener.
    request.on('upgrade', ({ statusCode = 0 }, socket) => {
      socket.destroy()
      resolve({ status: statusCode, location: undefined })
    })
    request.on('error', reject)
    request.end()
  })
}

/** Names are compared without case; the Host that is given counts. */
function composeHeaders({ headers }: HttpProbe, target: URL): Record<string, string | string[]> {
  const lines: Record<string, string[]> = Object.create(null)
  for (const [name, value] of headers) {
    const key = name.toLowerCase()
    lines[key] = [...(lines[key] ?? []), value]
  }
  const host = lines.host?.[0] ?? target.host
  return { 'user-agent': 'portico-health', accept: '*/*', ...lines, host, connection: 'close' }
}

/** Reads on, so that the endpoint need not see a reset; `then` is called once. */
function skipBody(response: IncomingMessage, then: (error?: Error) => void): void {
  let bytes = 0
  let isOver = false
  const finish = (error?: Error): void => {
    if (isOver) return
    isOver = true
    then(error)
  }
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) finish()
  })
  response.on('end', () => finish())
  response.on('error', finish)
}
