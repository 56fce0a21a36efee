/** What an attacker has: the place it attacks, connections from an address of its own, and a count of what came of them. */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** Attackers and honest clients have addresses of their own, as they have elsewhere. */
export const ATTACKER = '127.0.0.2'
export const HONEST = '127.0.0.3'
/** An honest client that is not answered within this time goes away. */
export const PATIENCE_MS = 5_000

const OPENED_AT_ONCE = 64
const OPENED_EVERY_MS = 50
const RETURN_MS = 1_000

export type Target = Readonly<{
  http: number
  https: number
  admin: number
  /** The Host of every request. */
  host: string
}>

/** What came of an attack, as its process prints it. */
export type Outcome = {
  /** Connections that were opened, and those that could not be. */
  opened: number
  failed: number
  /** Those that the other side ended before the attack was over. */
  cut: number
  bytesSent: number
  bytesRead: number
}

/** Makes the attack; it ends with `stop`, and all its connections with it. */
export type Attack = (target: Target, swarm: Swarm, options: AttackOptions) => void

/** What the attacks of one kind differ in. */
export type AttackOptions = Readonly<Record<string, string | number | boolean>>

/** The connections of one attacker. */
export class Swarm {
  readonly outcome: Outcome = { opened: 0, failed: 0, cut: 0, bytesSent: 0, bytesRead: 0 }
  readonly #open = new Set<Socket>()
  readonly #timers = new Set<NodeJS.Timeout>()
  isOver = false
  /** How a connection ends with the attack. */
  leave: (socket: Socket) => void = (socket) => socket.destroy()

  /** A connection, over TLS where a protocol is named; it ends with the attack. */
  connect(port: number, protocol: 'plain' | 'http/1.1' | 'h2', onOpen: (socket: Socket) => void): Socket {
    const isSecure = protocol !== 'plain'
    const where = { port, host: '127.0.0.1', localAddress: ATTACKER, noDelay: true }
    const socket = isSecure
      ? connectTls({ ...where, servername: 'localhost', rejectUnauthorized: false, ALPNProtocols: [protocol] })
      : connectTcp(where)
    let isOpen = false
    this.#open.add(socket)
    socket.once(isSecure ? 'secureConnect' : 'connect', () => {
      isOpen = true
      this.outcome.opened++
      onOpen(socket)
    })
    socket.on('error', () => {})
    socket.once('close', () => {
      this.outcome.bytesSent += socket.bytesWritten
      this.outcome.bytesRead += socket.bytesRead
      if (this.isOver || !this.#open.delete(socket)) return
      if (isOpen) this.outcome.cut++
      else this.outcome.failed++
    })
    return socket
  }

  /** Ends a connection before the attack is over. */
  drop(socket: Socket): void {
    this.#open.delete(socket)
    socket.destroy()
  }

  /** Opens connections by `open`, no more of them in a moment than any backlog takes. */
  openMany(count: number, open: () => Socket): void {
    let left = count
    const timer = setInterval(() => {
      for (let now = Math.min(left, OPENED_AT_ONCE); now > 0; now--, left--) open()
      if (left === 0) clearInterval(timer)
    }, OPENED_EVERY_MS)
    this.#timers.add(timer)
  }

  /** The same, and another one a second after one has ended, until the attack is over. */
  keepMany(count: number, open: () => Socket): void {
    const keep = (): Socket => {
      const socket = open()
      socket.once('close', () => {
        if (!this.isOver) setTimeout(() => !this.isOver && keep(), RETURN_MS)
      })
      return socket
    }
    this.openMany(count, keep)
  }

  /** Calls at once and then every `ms` until the attack is over. */
  repeat(ms: number, call: () => void): void {
    call()
    const timer = setInterval(call, ms)
    this.#timers.add(timer)
  }

  stop(): void {
    this.isOver = true
    for (const timer of this.#timers) clearInterval(timer)
    for (const socket of this.#open) this.leave(socket)
  }
}
