/**
 * Open-loop load over HTTP/1.1: requests are due at a fixed rate whether or not the earlier ones were answered, and a latency
 * counts from when its request was due, so that a stall is seen by every request it delays. `open-loop-client.js JSON`.
 */
import { connect, type Socket } from 'node:net'
import { AnswerReader } from './answer-reader.ts'
import type { LoadResult } from './result.ts'
import { percentile } from './result.ts'

export type OpenLoopLoad = Readonly<{
  port: number
  /** The bytes of one request. */
  request: string
  /** Requests a second. */
  rate: number
  connections: number
  seconds: number
}>

export type OpenLoopResult = LoadResult & Readonly<{ slowestMs: number }>

/** Between two looks at the clock the thread sleeps, so that it leaves the core to the backend. */
const NAP_MS = 0.05
/** Answers may come this long after the last request was due. */
const GRACE_MS = 2_000
const RECONNECT_MS = 20

const load = JSON.parse(process.argv[2] ?? '') as OpenLoopLoad
const total = Math.floor(load.rate * load.seconds)
const latencies = new Float64Array(total)
const bytes = Buffer.from(load.request, 'latin1')
const idle: Connection[] = []
/** When requests were due that no connection was free for. */
const waiting: number[] = []
let waitingFrom = 0
let answered = 0
/** Requests whose connection ended. */
let cut = 0
/** Answers other than 200. */
let refused = 0
let finished = false

class Connection {
  #socket: Socket | undefined
  #dueAt = 0
  #inFlight = false
  #answer = new AnswerReader()

  /** Connects, and again whenever the other side closes, as it may between requests. */
  open(): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(load.port, '127.0.0.1')
      socket.setNoDelay(true)
      socket.on('connect', () => {
        this.#socket = socket
        this.#free()
        resolve()
      })
      socket.on('data', (chunk: Buffer) => this.#read(chunk))
      socket.on('error', () => {})
      socket.on('close', () => {
        const at = idle.indexOf(this)
        if (at >= 0) idle.splice(at, 1)
        if (this.#inFlight) cut++
        this.#inFlight = false
        if (!finished) setTimeout(() => this.open().then(resolve), RECONNECT_MS)
      })
    })
  }

  send(dueAt: number): void {
    this.#dueAt = dueAt
    this.#inFlight = true
    this.#answer = new AnswerReader()
    this.#socket?.write(bytes)
  }

  close(): void {
    this.#socket?.destroy()
  }

  /** When the request in flight was due. */
  get dueAt(): number | undefined {
    return this.#inFlight ? this.#dueAt : undefined
  }

  #free(): void {
    if (waitingFrom < waiting.length) this.send(waiting[waitingFrom++]!)
    else idle.push(this)
  }

  #read(chunk: Buffer): void {
    if (!this.#answer.add(chunk)) return
    if (this.#answer.status !== '200') refused++
    latencies[answered++] = performance.now() - this.#dueAt
    this.#inFlight = false
    this.#free()
  }
}

const connections = Array.from({ length: load.connections }, () => new Connection())
await Promise.all(connections.map((connection) => connection.open()))
const nap = new Int32Array(new SharedArrayBuffer(4))
const start = performance.now()
const end = start + load.seconds * 1000 + GRACE_MS
const gapMs = 1000 / load.rate
let sent = 0

function turn(): void {
  const now = performance.now()
  while (sent < total && start + sent * gapMs <= now) {
    const dueAt = start + sent++ * gapMs
    const connection = idle.pop()
    if (connection === undefined) waiting.push(dueAt)
    else connection.send(dueAt)
  }
  if ((sent === total && answered + cut >= total) || now > end) {
    finish(now)
    return
  }
  const untilDue = sent < total ? start + sent * gapMs - performance.now() : NAP_MS
  if (untilDue > 0) Atomics.wait(nap, 0, 0, Math.min(NAP_MS, untilDue))
  setImmediate(turn)
}

function finish(now: number): void {
  finished = true
  const unanswered = [...connections.map(({ dueAt }) => dueAt ?? now), waiting[waitingFrom] ?? now]
  for (const connection of connections) connection.close()
  const sorted = latencies.subarray(0, answered).sort()
  const result: OpenLoopResult = {
    requests: answered - refused,
    seconds: (now - start) / 1000,
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    failures: total - answered + refused,
    slowestMs: Math.max(sorted.at(-1) ?? 0, ...unanswered.map((dueAt) => now - dueAt)),
  }
  console.log(JSON.stringify(result))
}

turn()
