/**
 * More requests than can be served, from many clients: they are due at a fixed rate, and one that finds no connection free opens
 * another, as clients do that know nothing of each other. Without a rate each connection asks again once it was answered, which
 * tells what can be served. `overload-client.js JSON`.
 */
import { connect, type Socket } from 'node:net'
import { AnswerReader } from './answer-reader.ts'
import { percentile } from './result.ts'

export type OverloadLoad = Readonly<{
  port: number
  /** The bytes of one request; its answer has a Content-Length. */
  request: string
  /** Requests a second; 0 where each waits for the one before. */
  rate: number
  /** Open from the start. */
  connections: number
  seconds: number
}>

export type OverloadResult = Readonly<{
  seconds: number
  /** Of these, those that `answered` and `good` count. */
  countedSeconds: number
  /** Requests that were due. */
  offered: number
  /** 2xx that came after the first second, and those of them that came within a second. */
  answered: number
  good: number
  /** Other statuses. */
  refused: number
  /** Cut, not answered in time, or without a connection. */
  failed: number
  /** Sent so late that this client, not the one it asks, is what was slow. */
  late: number
  p50Ms: number
  p99Ms: number
}>

/** The clients: whoever limits what one address may have shall not take them for one. */
const ADDRESSES = Array.from({ length: 64 }, (_, at) => `127.0.1.${at + 1}`)
const GOOD_MS = 1_000
const PATIENCE_MS = 5_000
const LATE_MS = 50
/** At once, of what this process and a machine's ports bear. */
const MOST_CONNECTIONS = 8_000
/** Between two looks at the clock the thread sleeps, so that it leaves the core to the backend. */
const NAP_MS = 0.05
const SWEEP_MS = 100

const load = JSON.parse(process.argv[2] ?? '') as OverloadLoad
const bytes = Buffer.from(load.request, 'latin1')
const isOpenLoop = load.rate > 0
const idle: Connection[] = []
const open = new Set<Connection>()
const latencies: number[] = []
let opened = 0
let offered = 0
let refused = 0
let failed = 0
let late = 0
let isOver = false

class Connection {
  readonly #socket: Socket
  #dueAt: number
  #isAsking = false
  readonly #answer = new AnswerReader()

  /** The first request goes out as soon as the connection is up; none where `dueAt` is left out. */
  constructor(dueAt?: number) {
    open.add(this)
    this.#dueAt = dueAt ?? 0
    this.#isAsking = dueAt !== undefined
    const localAddress = ADDRESSES[opened++ % ADDRESSES.length]!
    this.#socket = connect({ port: load.port, host: '127.0.0.1', localAddress, noDelay: true })
    this.#socket.on('connect', () => {
      if (this.#isAsking) this.#socket.write(bytes)
      else this.#next()
    })
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => this.#closed())
  }

  ask(dueAt: number): void {
    this.#dueAt = dueAt
    this.#isAsking = true
    this.#socket.write(bytes)
  }

  /** Goes away where it was not answered for too long. */
  sweep(now: number): void {
    if (this.#isAsking && now - this.#dueAt > PATIENCE_MS) this.#socket.destroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #closed(): void {
    open.delete(this)
    const at = idle.indexOf(this)
    if (at >= 0) idle.splice(at, 1)
    if (isOver) return
    if (this.#isAsking) failed++
    if (!isOpenLoop) new Connection()
  }

  #next(): void {
    if (isOpenLoop || isOver) idle.push(this)
    else {
      offered++
      this.ask(performance.now())
    }
  }

  #read(chunk: Buffer): void {
    if (!this.#answer.add(chunk)) return
    this.#isAsking = false
    const now = performance.now()
    if (!this.#answer.status.startsWith('2')) refused++
    else if (now >= countFrom) latencies.push(now - this.#dueAt)
    if (this.#answer.closes) this.#socket.destroy()
    else this.#next()
  }
}

for (let at = 0; at < load.connections; at++) new Connection()
const nap = new Int32Array(new SharedArrayBuffer(4))
const start = performance.now()
const end = start + load.seconds * 1000
/** What comes is counted, not what was due: before the first second is over, answers that take so long cannot come. */
const countFrom = start + GOOD_MS
let sweptAt = start

function turn(): void {
  const now = performance.now()
  for (; isOpenLoop; offered++) {
    const dueAt = start + offered * (1000 / load.rate)
    if (dueAt > now || dueAt >= end) break
    if (now - dueAt > LATE_MS) late++
    const connection = idle.pop()
    if (connection !== undefined) connection.ask(dueAt)
    else if (open.size < MOST_CONNECTIONS) new Connection(dueAt)
    else failed++
  }
  if (now - sweptAt > SWEEP_MS) {
    sweptAt = now
    for (const connection of open) connection.sweep(now)
  }
  if (now > end) {
    finish(now)
    return
  }
  if (idle.length > 0 || open.size === 0) Atomics.wait(nap, 0, 0, NAP_MS)
  setImmediate(turn)
}

function finish(now: number): void {
  isOver = true
  for (const connection of open) connection.destroy()
  const sorted = Float64Array.from(latencies).sort()
  const result: OverloadResult = {
    seconds: (now - start) / 1000,
    countedSeconds: (now - countFrom) / 1000,
    offered,
    answered: sorted.length,
    good: sorted.filter((ms) => ms <= GOOD_MS).length,
    refused,
    failed,
    late,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
  }
  process.stdout.write(JSON.stringify(result), () => process.exit())
}

turn()
