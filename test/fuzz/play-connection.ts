/** Plays one planned connection from an address of its own, so that endpoints can tell whose a request is. */
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Ending, Plan } from './connection-plan.ts'

/** No longer than this for an answer between two pieces, milliseconds. */
const ANSWER_MS = 40
/** An answer has ended where nothing came for so long, milliseconds. */
const QUIET_MS = 15
/** Longer than the time limits of the gateway, milliseconds. */
const HOLD_MS = 4_000
/** A worker that has ended accepts nothing, while the kernel still does, milliseconds. */
const CONNECT_MS = 5_000
/** Longest time for all that is not held, milliseconds. */
const WAIT_MS = 400

/** Of 127.0.0.0/8; Linux has all of it. The lowest are for others. */
export function addressOf(number: number): string {
  return `127.${64 + ((number >> 16) & 63)}.${(number >> 8) & 255}.${number & 255}`
}

export type Played = Readonly<{
  /** It came to a connection, with TLS where there is. */
  isConnected: boolean
  /** Bytes that were answered. */
  answered: number
}>

/** TLS sessions, so that most handshakes are short. */
export type Sessions = Map<string, Buffer>

export async function playConnection(plan: Plan, port: number, sessions: Sessions): Promise<Played> {
  const options = { port, host: '127.0.0.1', localAddress: addressOf(plan.number), allowHalfOpen: true }
  const player = new Player(
    plan.transport === 'https' ? openTls(plan, options, sessions) : connectTcp({ ...options, noDelay: true }),
  )
  try {
    if (!(await player.connected(plan.transport === 'https' ? 'secureConnect' : 'connect'))) {
      return { isConnected: false, answered: 0 }
    }
    if (!plan.reads) player.socket.pause()
    for (const { bytes, pause } of plan.pieces) {
      if (player.isClosed) break
      player.socket.write(bytes)
      if (pause === 'turn') await new Promise(setImmediate)
      else if (pause === 'answer') await player.answer(ANSWER_MS)
    }
    await player.end(plan.ending, plan.transport)
    return { isConnected: true, answered: player.answered }
  } finally {
    player.socket.destroy()
  }
}

type Options = { port: number; host: string; localAddress: string; allowHalfOpen: boolean }

function openTls({ number, protocol }: Plan, options: Options, sessions: Sessions): Socket {
  const key = `${options.port} ${protocol}`
  const session = sessions.get(key)
  const socket = connectTls({
    ...options,
    rejectUnauthorized: false,
    ALPNProtocols: [protocol],
    ...(session && number % 8 !== 0 && { session }),
  })
  socket.setNoDelay(true)
  return socket.on('session', (ticket: Buffer) => sessions.set(key, ticket))
}

class Player {
  readonly socket: Socket
  isClosed = false
  answered = 0
  #wake: (() => void) | undefined

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      this.answered += chunk.length
      this.#wake?.()
    })
    socket.on('close', () => {
      this.isClosed = true
      this.#wake?.()
    })
  }

  /** False: it did not come to that. */
  connected(event: 'connect' | 'secureConnect'): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), CONNECT_MS)
      const done = () => {
        clearTimeout(timer)
        resolve(!this.isClosed)
      }
      this.socket.once(event, done)
      this.socket.once('close', done)
    })
  }

  /** Whether something has come before the time was over. */
  async answer(timeoutMs: number): Promise<boolean> {
    if (this.isClosed) return false
    const before = this.answered
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#wake = undefined
    return this.answered > before
  }

  async end(ending: Ending, transport: Plan['transport']): Promise<void> {
    switch (ending) {
      case 'rst':
        // A socket with TLS cannot be told to; the kernel resets it at the next bytes that come.
        if (transport !== 'https') this.socket.resetAndDestroy()
        return
      case 'fin':
        this.socket.end()
        await this.#closed(WAIT_MS)
        return
      case 'wait':
        await this.answer(WAIT_MS)
        while (await this.answer(QUIET_MS));
        return
      case 'hold':
        await this.#closed(HOLD_MS)
    }
  }

  async #closed(timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs
    for (let left = timeoutMs; !this.isClosed && left > 0; left = until - performance.now()) await this.answer(left)
  }
}
