/** The HTTP or the HTTPS port: accepts connections for the doors behind it, with drain and close. */

import { createServer, type Socket } from 'node:net'
import { systemClock } from '../base/clock.ts'
import { containingAt } from '../base/contain.ts'
import { findPeerAddress } from '../request/origin.ts'
import type { Settings } from '../settings/table.ts'
import { LogThrottle } from '../telemetry/log-throttle.ts'
import type { ConnectionResult } from '../telemetry/request-counts.ts'
import type { Admission } from './admission.ts'
import { ConnectionSet } from './connection-set.ts'
import { createHttpFront, type HttpFrontOptions } from './http-front.ts'
import { type BoundAddress, listenOn } from './listen.ts'
import { receiveProxyHeader } from './proxy-header.ts'

export type ListenerOptions = HttpFrontOptions & {
  name: 'http' | 'https'
  /** Of all listeners of the process. */
  admission: Admission
  onResult: (listener: string, result: ConnectionResult) => void
  /** The settings in force; left out, those of the start. */
  current?: () => Settings
  /** A bound TCP handle to listen on, in place of address and port: another process holds the port. */
  handle?: object
}

export type Listener = {
  readonly name: 'http' | 'https'
  /** Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  listen(): Promise<BoundAddress>
  /** Takes no more connections, closes those that carry no request, and lets the others finish. */
  drain(): void
  /** Cuts what is left; resolves when all is closed. */
  close(): Promise<void>
  readonly connections: number
}

/** Throws when the default certificate cannot be used. */
export function createListener(options: ListenerOptions): Listener {
  const { name, settings, current = () => settings, admission, log } = options
  const connections = new ConnectionSet()
  const throttle = new LogThrottle(options.clock ?? systemClock)
  const front = createHttpFront(name, options)
  admission.addSource(front)

  const accept = containingAt('accept', (socket: Socket) => {
    connections.add(socket)
    const inForce = current()
    if (!admission.enter(socket, name, inForce)) return
    if (inForce[name].proxyProtocol === 'none') front.accept(socket)
    else {
      receiveProxyHeader(socket, {
        place: undefined,
        settings: inForce,
        onHeader: () => {
          if (!admission.enterClient(socket, name, inForce)) return
          front.accept(socket)
          socket.resume()
        },
        onRefused: (reason) => {
          options.onResult(name, 'refused_header')
          reportRefused(socket, reason)
        },
      })
    }
  })
  // Half open: a client that sends FIN after its request still gets its answer (SL-08).
  const server = createServer({ allowHalfOpen: true, noDelay: true, keepAlive: true }, accept)
  server.on('error', (error) => {
    // Before that, whoever called `listen` is told.
    if (server.listening) admission.onAcceptError(error, name)
  })

  function reportRefused(socket: Socket, reason: string): void {
    if (!throttle.admit(reason)) return
    log.warn(
      { listener: name, peer: findPeerAddress(socket), reason },
      'connections refused: a PROXY header is required',
    )
  }

  let isDraining = false
  const drain = () => {
    if (isDraining) return
    isDraining = true
    server.close()
    front.drain()
  }

  return {
    name,
    listen: async () => {
      await front.ready()
      const { address, port } = settings[name]
      return listenOn(server, options.handle ?? { address, port })
    },
    drain,
    close: async () => {
      drain()
      connections.destroy()
      await front.close()
    },
    get connections() {
      return connections.size
    },
  }
}
