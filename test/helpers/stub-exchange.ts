/** An exchange without a connection: what the handler does to it is kept, and its client does what a test says. */

import type { GatewayError } from '../../lib/base/errors.ts'
import { readFields } from '../../lib/downstream/fields.ts'
import type { RequestFields } from '../../lib/http1/request-fields.ts'
import { ConnectionInfo } from '../../lib/request/connection-info.ts'
import {
  type AnswerHead,
  type BodySink,
  type Exchange,
  type ExchangeEvents,
  NOBODY,
} from '../../lib/request/exchange.ts'
import type { Settings } from '../../lib/settings/table.ts'

export class StubExchange implements Exchange {
  readonly protocol = 'HTTP/1.1'
  readonly socket = undefined
  readonly canContinue = true
  readonly hasOwnAuthority = false
  readonly needsAuthority = true
  /** As the listener `http` takes it. */
  readonly connection: ConnectionInfo = Object.assign(new ConnectionInfo(undefined, 'http'), { place: 'http' })
  readonly method: string
  readonly target = '/'
  readonly authority = undefined
  readonly hasBody: boolean
  readonly isUnread: boolean = false
  isRequestComplete: boolean
  readonly offer = undefined
  events: ExchangeEvents = NOBODY
  readonly receivedBytes = 0
  /** What `pendingBytes` says: a client that takes nothing has some. */
  pendingBytes = 0
  /** What was done, in order: `head 200`, `flush`, `write 5`, `end`, `abort`, `pause`, `resume`. */
  readonly done: string[] = []
  head: AnswerHead | undefined
  body = ''
  sink: BodySink | undefined
  readonly #headers: readonly string[]
  readonly #sent: readonly string[] | undefined
  #onChange: (() => void)[] = []
  #closed = false

  /** `body`: its chunks, delivered and ended before `readBody` returns; undefined where the test delivers them, or there is none. */
  constructor(
    method: string,
    headers: readonly string[],
    options: { hasBody?: boolean; body?: readonly string[] } = {},
  ) {
    this.method = method
    this.#headers = ['Host', 'gw.test', ...headers]
    this.#sent = options.body
    this.hasBody = options.hasBody ?? options.body !== undefined
    this.isRequestComplete = !this.hasBody
  }

  get isHeadSent(): boolean {
    return this.head !== undefined
  }

  readFields(settings: Settings): RequestFields | GatewayError {
    return readFields(this.#headers, this.protocol, settings)
  }

  readBody(sink: BodySink): void {
    this.sink = sink
    this.#note('read')
    if (!this.#sent) return
    for (const chunk of this.#sent) sink.onBodyData(Buffer.from(chunk))
    this.isRequestComplete = true
    sink.onBodyEnd([])
  }

  pauseBody(): void {
    this.#note('pause')
  }

  resumeBody(): void {
    this.#note('resume')
  }

  sendInterim(status: number): void {
    this.#note(`interim ${status}`)
  }

  sendHead(head: AnswerHead): void {
    this.head = head
    this.#note(`head ${head.status}`)
  }

  flush(): void {
    this.#note('flush')
  }

  write(chunk: Buffer): boolean {
    this.body += chunk.toString('latin1')
    this.#note(`write ${chunk.length}`)
    return true
  }

  end(): void {
    this.#note('end')
    if (this.pendingBytes === 0) this.#close(true)
  }

  abort(): void {
    this.#note('abort')
    this.#close(false)
  }

  /** Waits until something of that name was done. */
  async until(what: string): Promise<void> {
    while (!this.done.some((each) => each.startsWith(what))) {
      await new Promise<void>((resolve) => this.#onChange.push(resolve))
    }
  }

  #note(what: string): void {
    this.done.push(what)
    for (const resolve of this.#onChange.splice(0)) resolve()
  }

  #close(complete: boolean): void {
    if (this.#closed) return
    this.#closed = true
    this.events.onClose(complete)
  }
}
