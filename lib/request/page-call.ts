/** Asks a Service for the page of an error, with the fields that ingress-nginx sends to a default backend. */
import type { Clock } from '../base/clock.ts'
import { type DeadlineWatch, type Timed, UNWATCHED } from '../base/deadline.ts'
import type { GatewayError } from '../base/errors.ts'
import { findProxyVersion } from '../base/proxy-protocol.ts'
import { PendingOutcome } from '../filters/spec.ts'
import { joinFields } from '../http1/field-line.ts'
import type { ResponseHead } from '../http1/response-head.ts'
import type { UpstreamPool } from '../upstream/choice/pool.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'
import { BODILESS, type UpstreamCall, type UpstreamEvents, type UpstreamRequest } from '../upstream/transport/call.ts'
import { putLines } from './answer.ts'
import { type AttemptSubject, Attempts, type AttemptUser } from './attempts.ts'
import type { RequestContext } from './context.ts'
import { findConnectTimeout } from './draft.ts'
import type { WholeAnswer } from './own-answer.ts'

/** Milliseconds. The client waits for an error meanwhile. */
const LIMIT_MS = 2_000
const MAX_PAGE_BYTES = 262_144

/** The error with its page; undefined where there is none in time. */
export function askForPage(
  context: RequestContext,
  pool: UpstreamPool,
  error: WholeAnswer,
  deadlines: DeadlineWatch,
): PendingOutcome {
  const call = new PageCall(context, pool, error, deadlines)
  return new PendingOutcome(call.run(), () => call.fail())
}

class PageCall implements AttemptUser, UpstreamEvents, Timed {
  deadlineAt: number = -LIMIT_MS
  watchIndex: number = UNWATCHED
  readonly canRepeat: boolean = true
  readonly isIdempotent: boolean = true
  readonly isRepeatable: boolean = true
  readonly #request: UpstreamRequest
  readonly #error: WholeAnswer
  readonly #deadlines: DeadlineWatch
  readonly #attempts: Attempts
  readonly #clock: Clock
  #resolve!: (answer: WholeAnswer | undefined) => void
  #call: UpstreamCall | undefined
  #lines = ''
  readonly #chunks: Buffer[] = []
  #bytes = 0
  #isOver = false

  constructor(context: RequestContext, pool: UpstreamPool, error: WholeAnswer, deadlines: DeadlineWatch) {
    this.#request = composeRequest(context, pool, error.status)
    this.#error = error
    this.#deadlines = deadlines
    const { clock, clientNetwork, clientAddress } = context
    this.#clock = clock
    const subject: AttemptSubject = {
      clock,
      clientNetwork,
      clientAddress,
      header: (name) => context.header(name),
      target: this.#request.target,
      privates: undefined,
      startedMonotonic: clock.monotonic(),
    }
    this.#attempts = new Attempts(subject, this, pool, pool.policy, deadlines)
  }

  run(): Promise<WholeAnswer | undefined> {
    return new Promise((resolve) => {
      this.#resolve = resolve
      this.#deadlines.add(this)
      this.#attempts.begin()
    })
  }

  // AttemptUser

  attempt(endpoint: EndpointState): void {
    this.#call = endpoint.call(this.#request, this)
    this.#call.start()
  }

  dropAttempt(): void {
    this.#call?.abort()
    this.#call = undefined
  }

  stalledFor(): number {
    return 0
  }

  giveWay(): void {
    this.fail()
  }

  fail(): void {
    this.#finish(undefined)
  }

  breakOff(): void {
    this.fail()
  }

  // UpstreamEvents

  onMoved(endpoint: EndpointState): void {
    this.#attempts.moveTo(endpoint)
  }

  onUnreachable(error: GatewayError): void {
    this.#call = undefined
    this.#attempts.failConnect(error)
  }

  givesUp(): boolean {
    return this.#attempts.givesUp()
  }

  onReady(): void {
    this.#call!.end([])
  }

  onStale(): boolean {
    this.#attempts.repeatStale()
    return true
  }

  onInformational(): void {}

  onHead({ status, lines }: ResponseHead): void {
    this.#attempts.settleAnswer(status, this.#clock.monotonic())
    // Another error tells of the Service, and not of the request.
    if (status !== this.#error.status && (status < 200 || status > 299)) {
      this.fail()
      return
    }
    for (const name of ['Content-Type', 'Content-Encoding', 'Content-Language']) {
      const value = joinFields(lines, name.toLowerCase(), ', ')
      if (value !== undefined) this.#lines += `${name}: ${value}\r\n`
    }
  }

  onData(chunk: Buffer): void {
    if (this.#isOver) return
    this.#bytes += chunk.length
    if (this.#bytes > MAX_PAGE_BYTES) this.fail()
    else this.#chunks.push(Buffer.from(chunk))
  }

  onEnd(): void {
    if (this.#isOver) return
    this.#attempts.endpoint?.recordEnd()
    this.#call = undefined
    const { status, lines } = this.#error
    this.#finish({ status, lines: putLines(lines, { lines: this.#lines }), body: Buffer.concat(this.#chunks) })
  }

  onUpgrade(_head: ResponseHead, socket: { destroy(): void }): void {
    socket.destroy()
    this.fail()
  }

  onError(error: GatewayError): void {
    if (this.#isOver) return
    const isRetried = error.code === 'PORTICO_UP_RESET' && !this.#call!.hasAnswered
    this.#call = undefined
    this.#attempts.failAttempt(error, isRetried ? 'reset' : undefined)
  }

  onDrain(): void {}

  // Timed

  onDeadline(): void {
    this.fail()
  }

  #finish(answer: WholeAnswer | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#deadlines.delete(this)
    this.#attempts.end()
    this.#call?.abort()
    this.#call = undefined
    this.#resolve(answer)
  }
}

function composeRequest(context: RequestContext, pool: UpstreamPool, status: number): UpstreamRequest {
  const { policy } = pool
  const { exchange, settings, id, served } = context
  const [namespace = '', ingress = ''] = served!.labels.ingress.split('/')
  const [, service = '', port = ''] = /\/([^:]*):?(.*)$/.exec(served!.action.backend) ?? []
  const fields: readonly (readonly [string, string | undefined])[] = [
    ['Accept', context.header('accept')],
    ['Accept-Language', context.header('accept-language')],
    ['X-Code', String(status)],
    ['X-Format', context.header('accept')],
    ['X-Original-URI', context.target],
    ['X-Namespace', namespace],
    ['X-Ingress-Name', ingress],
    ['X-Service-Name', service],
    ['X-Service-Port', port],
  ]
  return {
    ...BODILESS,
    client: exchange.connection,
    proxyVersion: findProxyVersion(policy.proxyProtocol),
    connectTimeout: findConnectTimeout(policy, settings.timeouts.connect),
    method: 'GET',
    target: '/',
    authority: context.authority,
    hostSetting: policy.host,
    host: undefined,
    lines: fields.map(([name, value]) => (value === undefined ? '' : `${name}: ${value}\r\n`)).join(''),
    addedLines: `X-Request-ID: ${id}\r\n`,
    maxHeaderBytes: policy.headerBytes,
  }
}
