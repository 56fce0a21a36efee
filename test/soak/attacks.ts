/** What attackers do all along, each at a bounded rate and from an address of its own, so that it has no part in the ordinary traffic's. */
import { setMaxListeners } from 'node:events'
import http2 from 'node:http2'
import { connect as connectTcp, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { makePlan } from '../fuzz/connection-plan.ts'
import { playConnection, type Sessions } from '../fuzz/play-connection.ts'
import { HOST } from './ordinary.ts'

const HEAD = `Host: ${HOST}\r\n`
const PIPELINE = Buffer.from(`GET /short HTTP/1.1\r\n${HEAD}\r\n`.repeat(50))
/** The same for the other door, which odd fields lead to. */
const ODD_PIPELINE = Buffer.from(`GET /short HTTP/1.1\r\n${HEAD}Keep-Alive: 1\r\n\r\n`.repeat(50))
const SLOW_POST = `POST /upload HTTP/1.1\r\n${HEAD}Content-Length: 100000\r\n\r\n`
const SLOW_HEAD = 'GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: '
const WEBSOCKET = `GET /ws HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`

export type AttackPorts = Readonly<{ http: number; https: number; admin: number }>

export class Attacks {
  /** Connections that were opened. */
  opened = 0
  readonly #ports: AttackPorts
  readonly #seed: number
  readonly #loops: Promise<void>[]
  readonly #open = new Set<{ destroy(): void }>()
  readonly #stopping = new AbortController()

  constructor(ports: AttackPorts, seed: number) {
    this.#ports = ports
    this.#seed = seed
    // Each pause listens to it.
    setMaxListeners(0, this.#stopping.signal)
    const { http, admin } = ports
    this.#loops = [
      this.#crowd(60, '127.9.0.1', (address) => this.#drip(this.#tcp(http, address), SLOW_POST)),
      this.#crowd(30, '127.9.0.2', (address) => this.#ignore(this.#tcp(http, address))),
      this.#crowd(10, '127.9.0.3', (address) => this.#ignore(this.#tls(address))),
      this.#crowd(2, '127.9.0.4', (address) => this.#flood(this.#tcp(http, address), PIPELINE)),
      this.#crowd(2, '127.9.0.5', (address) => this.#flood(this.#tcp(http, address), ODD_PIPELINE)),
      this.#crowd(1, '127.9.0.6', (address) => this.#flood(this.#tls(address), PIPELINE)),
      this.#crowd(3, '127.9.0.7', (address) => this.#closeWindows(address)),
      this.#crowd(2, '127.9.0.8', (address) => this.#leave(address)),
      this.#crowd(4, '', () => this.#malformed()),
      this.#crowd(40, '127.9.0.9', (address) => this.#drip(this.#tcp(admin, address), SLOW_HEAD)),
    ]
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const each of this.#open) each.destroy()
    await Promise.all(this.#loops)
  }

  get #isStopping(): boolean {
    return this.#stopping.signal.aborted
  }

  /** So many at once, each begun again when it has ended. */
  async #crowd(count: number, address: string, attack: (address: string) => Promise<void>): Promise<void> {
    const repeat = async (at: number) => {
      await this.#pause(at * 50)
      while (!this.#isStopping) {
        await attack(address)
        await this.#pause(100)
      }
    }
    await Promise.all(Array.from({ length: count }, (_, at) => repeat(at)))
  }

  /** Ends early where all ends. */
  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stopping.signal }).catch(() => {})
  }

  #keep<T extends Socket>(socket: T): T {
    this.opened++
    this.#open.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => this.#open.delete(socket))
    return socket
  }

  #tcp(port: number, localAddress: string): Socket {
    return this.#keep(connectTcp({ port, host: '127.0.0.1', localAddress }))
  }

  #tls(localAddress: string): Socket {
    const options = { port: this.#ports.https, host: '127.0.0.1', localAddress, rejectUnauthorized: false }
    return this.#keep(connectTls(options))
  }

  /** A byte now and then, for half a minute. */
  async #drip(socket: Socket, head: string): Promise<void> {
    socket.write(head)
    for (let left = 15; left > 0 && !socket.destroyed && !this.#isStopping; left--) {
      await this.#pause(2_000)
      if (socket.writable) socket.write('x')
    }
    socket.destroy()
  }

  /** Takes nothing of a large answer, for a quarter of a minute. */
  async #ignore(socket: Socket): Promise<void> {
    socket.pause()
    socket.write(`GET /download HTTP/1.1\r\n${HEAD}\r\n`)
    await this.#pause(15_000)
    socket.destroy()
  }

  /** As much as is taken, in bursts of which answers are read, for a few seconds. */
  async #flood(socket: Socket, bytes: Buffer): Promise<void> {
    socket.resume()
    const until = performance.now() + 5_000
    while (performance.now() < until && !socket.destroyed && !this.#isStopping) {
      if (socket.writableLength < bytes.length * 4) socket.write(bytes)
      await this.#pause(5)
    }
    socket.destroy()
    await this.#pause(2_000)
  }

  /** Streams whose answers can never be sent. */
  async #closeWindows(localAddress: string): Promise<void> {
    const session = http2.connect(`https://127.0.0.1:${this.#ports.https}`, {
      rejectUnauthorized: false,
      localAddress,
      settings: { initialWindowSize: 0 },
    } as http2.SecureClientSessionOptions)
    this.opened++
    this.#open.add(session)
    session.on('error', () => {})
    session.once('close', () => this.#open.delete(session))
    for (let left = 50; left > 0 && !session.destroyed; left--) {
      const stream = session.request({ ':path': '/download', ':authority': HOST })
      stream.on('error', () => {})
      stream.pause()
    }
    await this.#pause(10_000)
    session.destroy()
  }

  /** Goes in the middle of an upload, of a download and of a WebSocket. */
  async #leave(address: string): Promise<void> {
    for (const text of [
      `POST /upload HTTP/1.1\r\n${HEAD}Content-Length: 100000\r\n\r\n${'x'.repeat(20_000)}`,
      `GET /download HTTP/1.1\r\n${HEAD}\r\n`,
      WEBSOCKET,
    ]) {
      const socket = this.#tcp(this.#ports.http, address)
      socket.write(text)
      await this.#pause(30)
      if (this.opened % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
    }
  }

  /** Connections of the gateway fuzzer, which come from addresses of their own. */
  async #malformed(): Promise<void> {
    const sessions: Sessions = new Map()
    const plan = makePlan(this.#seed, this.opened++)
    const transport = plan.transport === 'port' ? 'http' : plan.transport
    await playConnection({ ...plan, transport }, this.#ports[transport], sessions)
  }
}
