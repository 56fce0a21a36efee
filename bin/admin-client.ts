/** Asks the admin listener of a running gateway on this machine. */
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { isIPv6 } from 'node:net'
import { DiagnosticList } from '../lib/base/diagnostics.ts'
import { printDiagnostic } from '../lib/base/print-diagnostic.ts'
import { readTokenFile } from '../lib/base/token-file.ts'
import { resolveSettings } from '../lib/settings/resolve.ts'
import type { Settings } from '../lib/settings/table.ts'
import type { Typed } from './flag.ts'
import { readOverrides } from './setting-flag.ts'
import { UsageError } from './usage-error.ts'

/** `token` is `''` if there is none, or if it cannot be read: then `tokenFault` gives the reason. */
export type AdminPlace = Readonly<{
  address: string
  port: number
  /** The path of a Unix socket, in place of address and port; `''` if there is none. */
  socket: string
  token: string
  tokenFault: string | undefined
}>
export type AdminAnswer = Readonly<{ status: number; body: string }>

/** Thrown if no running gateway could be asked; `message` gives the reason in half a line. */
export class UnreachableError extends Error {}

const TIMEOUT_MS = 2_000
/** A reload may take this long. */
const WRITE_TIMEOUT_MS = 120_000
/** More than any view of a gateway needs. */
const MAX_BODY_BYTES = 256 * 1024 * 1024

/** Finds the gateway's admin address by flags, environment and settings file. Throws a UsageError for values that cannot be used. */
export async function findAdmin(typed: Typed, environment: NodeJS.ProcessEnv): Promise<AdminPlace> {
  const flags = readOverrides(typed)
  const config = typed.value('config')
  if (config !== undefined) {
    const { loadConfiguration } = await import('../lib/control/configuration.ts')
    return findPlace((await loadConfiguration({ sources: [], config, flags, environment })).settings)
  }
  const diagnostics = new DiagnosticList()
  const { settings } = resolveSettings({ flags, environment }, diagnostics)
  // Only the address is needed: the token may be known to the gateway alone.
  const wrong = diagnostics.items.find(
    ({ severity, message }) => severity === 'error' && !/needs a token|could write|^admin\.tokenFile: /.test(message),
  )
  if (wrong) throw new UsageError(printDiagnostic(wrong))
  return findPlace(settings)
}

/** Health needs no token, so a token file that this user may not read is no failure yet. */
function findPlace({ admin: { address, port, socket, token, tokenFile } }: Settings): AdminPlace {
  const place = { address, port, socket, token, tokenFault: undefined }
  if (tokenFile === '') return place
  try {
    return { ...place, token: readTokenFile(tokenFile) }
  } catch (error) {
    return { ...place, token: '', tokenFault: (error as Error).message }
  }
}

/** GETs one path, or POSTs `body` to it as JSON. Throws an UnreachableError if no answer comes in time. */
export function askAdmin(admin: AdminPlace, path: string, body?: object): Promise<AdminAnswer> {
  const sent = body === undefined ? undefined : JSON.stringify(body)
  const timeoutMs = body === undefined ? TIMEOUT_MS : WRITE_TIMEOUT_MS
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(unreachable(admin, reason))
    const asked = request({ ...composeRequest(admin, 'application/json', sent), path }, (response) => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_BODY_BYTES) asked.destroy(new Error('answers with too much'))
        else chunks.push(chunk)
      })
      response.on('end', () => {
        clearTimeout(timer)
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() })
      })
    })
    const timer = setTimeout(() => asked.destroy(new Error(`does not answer within ${timeoutMs / 1000} s`)), timeoutMs)
    asked.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      fail(explainError(error))
    })
    asked.end(sent)
  })
}

/** What a stream of server-sent events tells. */
export type AdminEvent = Readonly<{ event: string; data: string }>

/** An event is not longer than this, characters. */
const MAX_EVENT = 16 * 1024 * 1024

export type AdminStream = Readonly<{ events: AsyncIterable<AdminEvent>; close: () => void }>

/**
 * Opens a stream of server-sent events; the answer where there is none. Throws an UnreachableError where nothing answers in time, and so do the
 * events where the stream breaks off.
 */
export async function followAdmin(admin: AdminPlace, path: string): Promise<AdminStream | AdminAnswer> {
  const response = await openStream(admin, path)
  response.setEncoding('utf8')
  const close = () => void response.destroy()
  if (response.statusCode === 200) return { events: readEvents(response, admin), close }
  let body = ''
  for await (const chunk of response) body = (body + chunk).slice(0, 500)
  return { status: response.statusCode ?? 0, body }
}

async function* readEvents(response: IncomingMessage, admin: AdminPlace): AsyncGenerator<AdminEvent> {
  let rest = ''
  try {
    for await (const chunk of response) {
      const blocks = (rest + chunk).split('\n\n')
      rest = blocks.pop() ?? ''
      if (rest.length > MAX_EVENT) throw new Error('sends no events')
      for (const block of blocks) {
        const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
        if (event !== undefined && data !== undefined) yield { event, data }
      }
    }
  } catch (error) {
    throw unreachable(admin, explainError(error as NodeJS.ErrnoException))
  }
}

function openStream(admin: AdminPlace, path: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = request({ ...composeRequest(admin, 'text/event-stream'), path }, (response) => {
      clearTimeout(timer)
      resolve(response)
    })
    const late = new Error(`does not answer within ${TIMEOUT_MS / 1000} s`)
    const timer = setTimeout(() => asked.destroy(late), TIMEOUT_MS)
    asked.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(unreachable(admin, explainError(error)))
    })
    asked.end()
  })
}

/** `sent` is what is POSTed; undefined: it is a GET. */
function composeRequest({ address, port, socket, token }: AdminPlace, accept: string, sent?: string): RequestOptions {
  return {
    ...(socket === '' ? { host: reachableAddress(address), port } : { socketPath: socket }),
    method: sent === undefined ? 'GET' : 'POST',
    agent: false,
    headers: {
      accept,
      ...(sent !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
      ...(token !== '' && { authorization: `Bearer ${token}` }),
    },
  }
}

function unreachable(admin: AdminPlace, reason: string): UnreachableError {
  const place = printPlace({ ...admin, address: reachableAddress(admin.address) })
  return new UnreachableError(`${place} ${reason}`)
}

const FAULTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'has closed the connection',
  ENOENT: 'is not there',
  EACCES: 'is not for this user',
}

function explainError({ code, message }: NodeJS.ErrnoException): string {
  return FAULTS[code ?? ''] ?? message
}

/** The address to connect to: loopback for a listener on every address. */
function reachableAddress(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  return address === '::' ? '::1' : address
}

/** `127.0.0.1:9901`, or the path of the socket. */
export function printPlace({ address, port, socket }: Pick<AdminPlace, 'address' | 'port' | 'socket'>): string {
  return socket === '' ? printHostPort(address, port) : socket
}

/** `127.0.0.1:9901`, `[::1]:9901` */
export function printHostPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`
}
