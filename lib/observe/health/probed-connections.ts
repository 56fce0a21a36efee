/**
 * The connections of a port where health is asked for. There is always room for a new one, since it may bring a probe: the oldest
 * that has no request, or does not take its answer, makes way for it.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { findClientNetwork } from '../../base/client-network.ts'
import type { Clock } from '../../base/clock.ts'
import { findDescriptorLimit } from '../../platform/descriptors.ts'

/** Most connections at once, of all clients and of one client. */
const MOST = 256
const MOST_OF_CLIENT = 64
/** Answers at once, probes left out: each may be large, and is held until it is taken. */
const MOST_ANSWERS = 32
/** Only beyond this, times MOST, a connection goes whose request could not be read yet. The kernel may hold that many and give all at once. */
const HARD_FACTOR = 4
/** A connection that is older and has no request is slow, milliseconds. */
const YOUNG_MS = 1_000
/** An answer that is under way for this time is being taken slowly, or not at all, milliseconds. */
const SLOW_MS = 1_000
/** And after this it is cut. */
const ANSWER_MS = 30_000

type Held = {
  readonly socket: Socket
  readonly client: string
  /** When it was accepted; then when its request came. */
  since: number
  /** `new`: what it has sent may not have been read yet. `streaming`: its answer goes on for as long as its client likes. */
  state: 'new' | 'waiting' | 'answering' | 'probing' | 'streaming'
  timer: NodeJS.Timeout | undefined
}

export class ProbedConnections {
  readonly #clock: Clock
  readonly #isProbe: (request: IncomingMessage) => boolean
  readonly #most = Math.min(MOST, Math.floor((findDescriptorLimit() ?? Number.POSITIVE_INFINITY) / 8))
  /** The oldest first. */
  readonly #held = new Map<Socket, Held>()

  constructor(server: Server, clock: Clock, isProbe: (request: IncomingMessage) => boolean) {
    this.#clock = clock
    this.#isProbe = isProbe
    // None stays open for another: it would have to be told apart from those that hold on.
    server.maxRequestsPerSocket = 1
    server.prependListener('connection', (socket: Socket) => this.#add(socket))
    server.prependListener('request', (request, response) => this.#noteRequest(request, response))
    server.on('dropRequest', (_request, socket: Socket) => socket.destroy())
  }

  /** True if another answer may begin; the oldest answer that is taken slowly is cut for it. */
  hasRoomForAnswer(): boolean {
    const answering = [...this.#held.values()].filter(({ state }) => state === 'answering')
    if (answering.length <= MOST_ANSWERS) return true
    const now = this.#clock.monotonic()
    const slow = answering.find(({ since }) => now - since >= SLOW_MS)
    if (slow) this.#drop(slow)
    return slow !== undefined
  }

  /** From now on the answer on this connection may take as long as it takes, and makes way for none. How many there are is the caller's affair. */
  letStream(socket: Socket): void {
    const held = this.#held.get(socket)
    if (!held) return
    clearTimeout(held.timer)
    held.state = 'streaming'
  }

  #add(socket: Socket): void {
    const held: Held = {
      socket,
      client: findClientNetwork(socket.remoteAddress ?? ''),
      since: this.#clock.monotonic(),
      state: 'new',
      timer: undefined,
    }
    this.#held.set(socket, held)
    // In the turn after this one what it has sent so far is read, however long this one takes.
    setImmediate(() => setImmediate(ripen, held))
    socket.once('close', () => this.#held.delete(socket))
    let ofClient = 0
    for (const { client } of this.#held.values()) if (client === held.client) ofClient++
    if (ofClient > MOST_OF_CLIENT) this.#makeRoom((other) => other !== held && other.client === held.client)
    else if (this.#held.size > this.#most) this.#makeRoom((other) => other !== held)
  }

  #noteRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    const held = this.#held.get(socket)
    if (!held) return
    held.state = this.#isProbe(request) ? 'probing' : 'answering'
    held.since = this.#clock.monotonic()
    held.timer = setTimeout(() => socket.destroy(), ANSWER_MS).unref()
    response.once('close', () => clearTimeout(held.timer))
  }

  #makeRoom(mayGo: (held: Held) => boolean): void {
    const now = this.#clock.monotonic()
    let slow: Held | undefined
    let young: Held | undefined
    for (const held of this.#held.values()) {
      if (held.state === 'probing' || held.state === 'streaming' || !mayGo(held)) continue
      if (held.state === 'new' || held.state === 'waiting') {
        if (held.state === 'waiting' && now - held.since >= YOUNG_MS) {
          this.#drop(held)
          return
        }
        young ??= held
      } else if (now - held.since >= SLOW_MS) slow ??= held
    }
    const last = slow ?? (this.#held.size > HARD_FACTOR * this.#most ? young : undefined)
    if (last) this.#drop(last)
  }

  #drop({ socket }: Held): void {
    // At once: 'close' comes later, and others may come before.
    this.#held.delete(socket)
    socket.destroy()
  }
}

function ripen(held: Held): void {
  if (held.state === 'new') held.state = 'waiting'
}
