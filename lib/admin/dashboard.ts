/** The pages of the dashboard, which Vite builds into the folder beside this module (`npm run build`). */
import { readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { chooseCoding } from '../filters/content-coding.ts'

const FOLDER = join(import.meta.dirname, 'dashboard')

/** Where the dashboard is. */
export const DASHBOARD_PATH = '/dashboard/'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** Nothing from elsewhere, nothing inline, and in no frame of another page. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

const HEADERS = {
  'content-security-policy': POLICY,
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
}

type Page = Readonly<{ type: string; plain: Buffer; zipped: Buffer }>

let pages: ReadonlyMap<string, Page> | undefined

/** Read once, when somebody first looks. */
function readPages(): ReadonlyMap<string, Page> {
  pages ??= new Map(
    listFiles().map((name) => {
      const plain = readFileSync(join(FOLDER, name))
      return [name, { type: TYPES[extname(name)]!, plain, zipped: gzipSync(plain) }]
    }),
  )
  return pages
}

function listFiles(): readonly string[] {
  try {
    return readdirSync(FOLDER).filter((name) => extname(name) in TYPES)
  } catch {
    return [] // Not built.
  }
}

/** True for the pages themselves, which say nothing of the gateway: a browser cannot send a token for them. */
export function isDashboardPath(path: string): boolean {
  return path.startsWith(DASHBOARD_PATH)
}

export function serveDashboard(app: FastifyInstance): void {
  app.get(DASHBOARD_PATH, (request, reply) => send(reply, 'index.html', request.headers['accept-encoding']))
  app.get<{ Params: { name: string } }>(`${DASHBOARD_PATH}:name`, (request, reply) =>
    send(reply, request.params.name, request.headers['accept-encoding']),
  )
}

function send(reply: FastifyReply, name: string, accepted: string | string[] | undefined): FastifyReply {
  const page = readPages().get(name)
  if (page === undefined) {
    return reply.code(404).send({ message: 'Not found. The dashboard is built by: npm run build' })
  }
  reply.headers(HEADERS).type(page.type).header('vary', 'Accept-Encoding')
  return chooseCoding(String(accepted ?? ''), ['gzip'])
    ? reply.header('content-encoding', 'gzip').send(page.zipped)
    : reply.send(page.plain)
}
