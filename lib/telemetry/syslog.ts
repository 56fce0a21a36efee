/**
 * Lines as messages of syslog (RFC 5424): over UDP, a message a datagram (RFC 5426), or over a Unix stream socket, a message a line
 * (RFC 6587 §3.4.2). Node has no Unix datagram sockets, as /dev/log often is one.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram'
import { connect, isIPv6, type Socket } from 'node:net'
import { hostname } from 'node:os'
import { FACILITIES } from '../base/syslog-facility.ts'
import type { LineSink } from './line-sink.ts'
import { isoTime } from './line-time.ts'
import { Trouble } from './trouble.ts'

const INFORMATIONAL = 6
const DEFAULT_PORT = 514
/** Milliseconds until a receiver that cannot be reached is tried again. */
const RETRY = 1_000
/** Most bytes, or datagrams, that wait to be sent. */
const MAX_PENDING = 8 * 1024 * 1024
const MAX_DATAGRAMS = 8_192

export type SyslogOptions = Readonly<{
  /** `udp://host:port` or `unix:/path`. */
  to: string
  facility: (typeof FACILITIES)[number]
  /** The receiver cannot be reached; told once, until it can. */
  onTrouble: (reason: string) => void
}>

type Transport = {
  readonly dropped: number
  /** Without a line feed. */
  send(message: string): void
  flush(done: () => void): void
  reopen(): void
  close(): void
}

export class Syslog implements LineSink {
  readonly #transport: Transport
  readonly #priority: number
  /** Behind the time. */
  readonly #head: string

  constructor({ to, facility, onTrouble }: SyslogOptions) {
    this.#priority = FACILITIES.indexOf(facility) * 8 + INFORMATIONAL
    const host = hostname().replaceAll(/[^\x21-\x7e]/g, '') || '-'
    this.#head = `${host.slice(0, 255)} portico ${process.pid} access -`
    this.#transport = to.startsWith('unix:')
      ? new StreamTransport(to.slice('unix:'.length), onTrouble)
      : new DatagramTransport(to, onTrouble)
  }

  get dropped(): number {
    return this.#transport.dropped
  }

  write(lines: readonly string[]): void {
    const start = `<${this.#priority}>1 ${isoTime(Date.now())} ${this.#head} `
    for (const line of lines) this.#transport.send(start + line.slice(0, -1))
  }

  flush(done: () => void): void {
    this.#transport.flush(done)
  }

  reopen(): void {
    this.#transport.reopen()
  }

  close(): void {
    this.#transport.close()
  }
}

/** Counts messages that are being sent, and hears when none is any more. */
class Sending {
  count = 0
  #waiting: (() => void)[] = []

  begin(): void {
    this.count++
  }

  end(): void {
    this.count--
    if (this.count === 0) for (const done of this.#waiting.splice(0)) done()
  }

  flush(done: () => void): void {
    if (this.count > 0) this.#waiting.push(done)
    else done()
  }
}

class DatagramTransport implements Transport {
  dropped = 0
  readonly #host: string
  readonly #port: number
  readonly #trouble: Trouble
  #socket: DatagramSocket | undefined
  /** False until the name of the receiver is known. */
  #isReady = false
  readonly #sending = new Sending()
  #timer: NodeJS.Timeout | undefined

  constructor(to: string, onTrouble: (reason: string) => void) {
    const [, bracketed, plain = '', port] = /^udp:\/\/(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(to) ?? []
    this.#host = bracketed ?? plain
    this.#port = Number(port ?? DEFAULT_PORT)
    this.#trouble = new Trouble(onTrouble)
    this.reopen()
  }

  send(message: string): void {
    if (!this.#isReady || this.#sending.count >= MAX_DATAGRAMS) {
      this.dropped++
      return
    }
    this.#sending.begin()
    this.#socket!.send(message, (error) => {
      if (error) {
        this.dropped++
        this.#trouble.meet(error)
      } else this.#trouble.end()
      this.#sending.end()
    })
  }

  flush(done: () => void): void {
    this.#sending.flush(done)
  }

  reopen(): void {
    this.close()
    const socket = createSocket(isIPv6(this.#host) ? 'udp6' : 'udp4')
    this.#socket = socket
    // A receiver that is not there tells so by ICMP: the next may be heard again.
    socket.on('error', (error) => this.#trouble.meet(error))
    socket.unref()
    socket.connect(this.#port, this.#host, (error?: Error) => {
      if (socket !== this.#socket) return
      this.#isReady = error === undefined
      if (error === undefined) return
      this.#trouble.meet(error)
      this.#timer = setTimeout(() => this.reopen(), RETRY).unref()
    })
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#isReady = false
    const socket = this.#socket
    this.#socket = undefined
    // Datagrams that were given to it go out first.
    if (socket) this.flush(() => socket.close())
  }
}

class StreamTransport implements Transport {
  dropped = 0
  readonly #path: string
  readonly #trouble: Trouble
  #socket: Socket | undefined
  readonly #sending = new Sending()
  #timer: NodeJS.Timeout | undefined

  constructor(path: string, onTrouble: (reason: string) => void) {
    this.#path = path
    this.#trouble = new Trouble(onTrouble)
    this.reopen()
  }

  send(message: string): void {
    const socket = this.#socket
    if (!socket || socket.writableLength > MAX_PENDING) {
      this.dropped++
      return
    }
    this.#sending.begin()
    socket.write(`${message}\n`, (error) => {
      if (error) this.dropped++
      this.#sending.end()
    })
  }

  flush(done: () => void): void {
    this.#sending.flush(done)
  }

  reopen(): void {
    this.close()
    const socket = connect(this.#path)
    this.#socket = socket
    socket.unref()
    socket.on('connect', () => this.#trouble.end())
    socket.on('error', (error) => this.#trouble.meet(error))
    socket.resume()
    socket.on('close', () => {
      if (socket !== this.#socket) return
      this.#socket = undefined
      this.#timer = setTimeout(() => this.reopen(), RETRY).unref()
    })
  }

  close(): void {
    clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = undefined
    socket?.end()
  }
}
