/** Clients that do what clients do, each again and again; what it came to, and how long the short requests took. */
import { once } from 'node:events'
import http, { type RequestOptions } from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { DOWNLOAD_BYTES, EVENTS } from './endpoint.ts'

export const HOST = 'soak.localhost'
const PAUSE_MS = 10
const UPLOAD = Buffer.alloc(2 ** 20, 'u')
const MESSAGES = 20
/** An ordinary client waits no longer, milliseconds. */
const PATIENCE_MS = 30_000

export class OrdinaryTraffic {
  ok = 0
  failed = 0
  /** Of the short requests since the last `takeLatencies`, milliseconds. */
  #latencies: number[] = []
  /** What the first failures were. */
  readonly failures: string[] = []
  #isStopping = false
  readonly #http: string
  readonly #https: string
  readonly #loops: Promise<void>[] = []
  readonly #agents: (http.Agent | https.Agent)[] = []

  constructor(ports: { http: number; https: number }) {
    this.#http = `http://127.0.0.1:${ports.http}`
    this.#https = `https://127.0.0.1:${ports.https}`
    const plain = this.#agent(new http.Agent({ keepAlive: true }))
    const tls = this.#agent(new https.Agent({ keepAlive: true, rejectUnauthorized: false }))
    for (let at = 0; at < 6; at++) this.#repeat('GET', () => this.#short(plain, at % 3 === 0 ? 'POST' : 'GET'))
    for (let at = 0; at < 3; at++) this.#repeat('GET over TLS', () => this.#short(tls, at === 0 ? 'POST' : 'GET'))
    for (let at = 0; at < 2; at++) this.#repeat('a new TLS connection', () => this.#fresh())
    for (let at = 0; at < 2; at++) this.#repeat('HTTP/2', () => this.#http2())
    for (const url of [this.#http, this.#https]) this.#repeat('a WebSocket', () => this.#websocket(url))
    this.#repeat('events', async () => {
      const body = await this.#ask(plain, { path: '/events' })
      if (body.toString().split('\n\n').length !== EVENTS + 1) throw new Error('events are missing')
    })
    for (const agent of [plain, tls]) {
      this.#repeat('a download', async () => {
        const { length } = await this.#ask(agent, { path: '/download' })
        if (length !== DOWNLOAD_BYTES) throw new Error(`${length} bytes`)
        await sleep(100)
      })
      this.#repeat('an upload', async () => {
        const body = await this.#ask(agent, { path: '/upload', method: 'POST' }, UPLOAD)
        if (body.toString() !== `POST /upload ${UPLOAD.length}`) throw new Error(body.toString())
        await sleep(100)
      })
    }
  }

  takeLatencies(): number[] {
    return this.#latencies.splice(0)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await Promise.all(this.#loops)
    for (const agent of this.#agents) agent.destroy()
  }

  #agent<A extends http.Agent | https.Agent>(agent: A): A {
    this.#agents.push(agent)
    return agent
  }

  #repeat(name: string, work: () => Promise<void>): void {
    const run = async () => {
      while (!this.#isStopping) {
        try {
          await work()
          this.ok++
        } catch (error) {
          this.failed++
          if (this.failures.length < 20) this.failures.push(`${name}: ${error}`)
        }
        await sleep(PAUSE_MS)
      }
    }
    this.#loops.push(run())
  }

  async #short(agent: http.Agent | https.Agent, method: string): Promise<void> {
    const startedAt = performance.now()
    const body = await this.#ask(
      agent,
      { path: '/short', method },
      method === 'POST' ? Buffer.alloc(1000, 'p') : undefined,
    )
    this.#latencies.push(performance.now() - startedAt)
    if (body.toString() !== `${method} /short ${method === 'POST' ? 1000 : 0}`) throw new Error(body.toString())
  }

  async #fresh(): Promise<void> {
    const agent = new https.Agent({ rejectUnauthorized: false })
    try {
      await this.#short(agent, 'GET')
    } finally {
      agent.destroy()
    }
    await sleep(50)
  }

  async #ask(agent: http.Agent | https.Agent, options: RequestOptions, body?: Buffer): Promise<Buffer> {
    const isTls = agent instanceof https.Agent
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const request = (isTls ? https : http).request(isTls ? this.#https : this.#http, {
      ...options,
      agent,
      signal,
      headers: { Host: HOST },
    })
    request.end(body)
    const [response] = await once(request, 'response')
    const content = await buffer(response)
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${content.toString()}`)
    return content
  }

  async #http2(): Promise<void> {
    const session = http2.connect(this.#https, { rejectUnauthorized: false })
    session.on('error', () => {})
    try {
      for (let at = 0; at < 10; at++) {
        const startedAt = performance.now()
        const stream = session.request(
          { ':path': '/short', ':authority': HOST },
          { signal: AbortSignal.timeout(PATIENCE_MS) },
        )
        const content = (await buffer(stream)).toString()
        this.#latencies.push(performance.now() - startedAt)
        if (content !== 'GET /short 0') throw new Error(content)
        await sleep(PAUSE_MS)
      }
    } finally {
      session.destroy()
    }
  }

  async #websocket(url: string): Promise<void> {
    const websocket = new WebSocket(url.replace('http', 'ws'), { rejectUnauthorized: false, headers: { Host: HOST } })
    const signal = AbortSignal.timeout(PATIENCE_MS)
    try {
      await once(websocket, 'open', { signal })
      for (let at = 0; at < MESSAGES; at++) {
        const answer = once(websocket, 'message', { signal })
        websocket.send(`message ${at}`)
        if (String((await answer)[0]) !== `message ${at}`) throw new Error('another message')
        await sleep(PAUSE_MS)
      }
    } finally {
      websocket.on('error', () => {})
      websocket.terminate()
    }
  }
}
