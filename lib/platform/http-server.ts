/** What a server of node:http does only for connections that it has accepted itself, for one that is given its connections. HOT */
import { createServer, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** Lets a client shut down its side alone. Where Node does not know how, such a client gets no answer. */
export function allowHalfOpen(server: Server): void {
  if ('httpAllowHalfOpen' in server) server.httpAllowHalfOpen = true
}

/** Node starts the check of head and keep-alive times when a server listens. */
export function startTimeChecks(server: Server): void {
  server.emit('listening')
}

/** The listeners by which node:http reads a connection, taken from it. */
export type ParserListeners = Readonly<{ parse: (bytes: Buffer) => void; end: () => void }>

let isConfined: boolean | undefined

/**
 * From here on node:http reads of the connection what it is given, and nothing by itself. To be called on 'connection', behind
 * node:http's own listener. Undefined: this Node reads in another way, and goes on doing so.
 */
export function takeParserListeners(socket: Socket): ParserListeners | undefined {
  isConfined ??= readsByListeners()
  const [data, end] = [socket.listeners('data').at(-1), socket.listeners('end').at(-1)] as (typeof ignore | undefined)[]
  if (!isConfined || !data || !end) return undefined
  socket.off('data', data).off('end', end)
  return { parse: data.bind(socket), end: end.bind(socket) }
}

/** True if node:http adds one listener for what a connection brings, and one for its end. */
function readsByListeners(): boolean {
  const probe = new Duplex({ read: ignore, write: ignore })
  createServer().emit('connection', probe)
  const counts = [probe.listenerCount('data'), probe.listenerCount('end')]
  probe.destroy()
  return counts.every((count) => count === 1)
}

function ignore(): void {}
