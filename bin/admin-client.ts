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
export type AdminPlace = Readonly<{ address: string; port: number; token: string; tokenFault: string | undefined }>
export type AdminAnswer = Readonly<{ status: number; body: string }>

/** Thrown if no running gateway could be asked; `message` gives the reason in half a line. */
export class UnreachableError extends Error {}

const TIMEOUT_MS = 2_000
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
    ({ severity, message }) => severity === 'error' && !/needs a token|^admin\.tokenFile: /.test(message),
  )
  if (wrong) throw new UsageError(printDiagnostic(wrong))
  return findPlace(settings)
}

/** Health needs no token, so a token file that this user may not read is no failure yet. */
function findPlace({ admin: { address, port, token, tokenFile } }: Settings): AdminPlace {
  if (tokenFile === '') return { address, port, token, tokenFault: undefined }
  try {
    return { address, port, token: readTokenFile(tokenFile), tokenFault: undefined }
  } catch (error) {
    return { address, port, token: '', tokenFault: (error as Error).message }
  }
}

/** GETs one path. Throws an UnreachableError if no answer comes in time. */
export function askAdmin(admin: AdminPlace, path: string): Promise<AdminAnswer> {
  const host = reachableAddress(admin.address)
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => reject(new UnreachableError(`${printHostPort(host, admin.port)} ${reason}`))
    const asked = request(
      {
        host,
        port: admin.port,
        path,
        agent: false,
        headers: { accept: 'application/json', ...(admin.token && { authorization: `Bearer ${admin.token}` }) },
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
    const timer = setTimeout(
      () => asked.destroy(new Error(`does not answer within ${TIMEOUT_MS / 1000} s`)),
      TIMEOUT_MS,
    )
    asked.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      fail(error.code === 'ECONNREFUSED' ? 'refused the connection' : error.message)
    })
    asked.end()
  })
}

/** The address to connect to: loopback for a listener on every address. */
function reachableAddress(address: string): string {
  if (address === '0.0.0.0') return '127.0.0.1'
  return address === '::' ? '::1' : address
}

/** `127.0.0.1:9901`, `[::1]:9901` */
export function printHostPort(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`
}
