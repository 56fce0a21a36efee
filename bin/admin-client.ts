/** Asks the admin listener of a running gateway on this machine. */
import { request } from 'node:http'
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
const FAULTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ENOENT: 'is not there',
  EACCES: 'is not for this user',
}
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
  const { socket, port, token } = admin
  const host = reachableAddress(admin.address)
  const place = printPlace({ ...admin, address: host })
  const sent = body === undefined ? undefined : JSON.stringify(body)
  const timeoutMs = body === undefined ? TIMEOUT_MS : WRITE_TIMEOUT_MS
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new UnreachableError(`${place} ${reason}`))
    const asked = request(
      {
        ...(socket === '' ? { host, port } : { socketPath: socket }),
        path,
        method: sent === undefined ? 'GET' : 'POST',
        agent: false,
        headers: {
          accept: 'application/json',
          ...(sent !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(sent) }),
          ...(token && { authorization: `Bearer ${token}` }),
        },
      },
      (response) => {
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
      },
    )
    const timer = setTimeout(() => asked.destroy(new Error(`does not answer within ${timeoutMs / 1000} s`)), timeoutMs)
    asked.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      fail(FAULTS[error.code ?? ''] ?? error.message)
    })
    asked.end(sent)
  })
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
