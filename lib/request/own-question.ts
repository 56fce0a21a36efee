/**
 * A question to a URL of the gateway itself. It passes the filters of the route that takes it, as a request does, and goes to that
 * route's upstream: no connection leads back to the gateway.
 */
import type { DeadlineWatch } from '../base/deadline.ts'
import { GatewayError } from '../base/errors.ts'
import { parseAuthority } from '../base/hostname.ts'
import { normalizePath, splitTarget, USUAL_PATHS } from '../base/path.ts'
import { parseParameters } from '../base/query.ts'
import type { FilterChain } from '../filters/chain.ts'
import { Notes } from '../filters/notes.ts'
import {
  type FilterAnswer,
  FilterDraft,
  FilterHead,
  type FilterRequest,
  type Lease,
  type PendingAnswer,
  PendingOutcome,
  type Question,
  QuestionFailure,
  type TlsFacts,
} from '../filters/spec.ts'
import { findRequestField } from '../http1/field-line.ts'
import type { PathMatch } from '../model/route.ts'
import type { RoutedRequest } from '../routing/predicates.ts'
import { findHost } from '../routing/table.ts'
import type { ServedListener, ServedRoute } from '../snapshot/snapshot.ts'
import { type Asker, SideCall } from './side-call.ts'

/** The request beside which the gateway is asked. */
type OwnAsker = Asker &
  Pick<FilterRequest, 'id' | 'scheme' | 'protocol' | 'startedAt' | 'tls' | 'connectionNotes'> &
  Readonly<{ listener: ServedListener | undefined }>

export class OwnQuestion implements FilterRequest, RoutedRequest {
  // FilterRequest
  readonly id: string
  readonly method: string
  readonly scheme: 'http' | 'https'
  readonly clientHostname: string
  readonly clientAuthority: string
  readonly pathname: string
  readonly matchPath: string
  readonly query: string
  readonly target: string
  readonly protocol: string
  readonly startedAt: number
  readonly tls: TlsFacts | undefined
  readonly clientAddress: string
  readonly clientNetwork: string
  readonly lines: string
  readonly notes: Notes = new Notes()
  readonly connectionNotes: Notes
  readonly #asker: OwnAsker
  readonly #question: Question
  readonly #deadlines: DeadlineWatch
  readonly #leases: Lease[] = []
  /** Known once a route takes it. */
  #served: ServedRoute | undefined = undefined
  /** What it waits for. */
  #cancelWait: () => void = () => {}
  #isCancelled = false

  constructor(asker: OwnAsker, question: Question, deadlines: DeadlineWatch) {
    const { method, target, authority, lines, scheme = asker.scheme } = question
    const { path, query } = splitTarget(target)
    const normal = normalizePath(path, asker.listener?.listener.paths ?? USUAL_PATHS)
    this.id = asker.id
    this.method = method
    this.scheme = scheme
    this.clientHostname = parseAuthority(authority)?.hostname ?? ''
    this.clientAuthority = authority
    this.pathname = normal?.path ?? ''
    this.matchPath = normal?.matchPath ?? ''
    this.query = query
    this.target = target
    this.protocol = asker.protocol
    this.startedAt = asker.startedAt
    this.tls = asker.tls
    this.clientAddress = asker.clientAddress
    this.clientNetwork = asker.clientNetwork
    this.lines = lines
    this.connectionNotes = asker.connectionNotes
    this.#asker = asker
    this.#question = question
    this.#deadlines = deadlines
  }

  get match(): PathMatch {
    return this.#served!.match
  }

  get route(): string {
    return this.#served!.labels.route
  }

  header(name: string): string | undefined {
    return findRequestField(this.lines, name)
  }

  parameter(name: string): string | undefined {
    return parseParameters(this.query).get(name)
  }

  holdToEnd(lease: Lease): void {
    this.#leases.push(lease)
  }

  /** One question leads to no other: there could be no end of them. */
  ask(): PendingAnswer {
    const failure = new QuestionFailure('the route that takes it asks a server itself', false)
    return { answer: Promise.reject(failure), cancel: () => {} }
  }

  /** Rejects with a QuestionFailure. */
  async run(): Promise<FilterAnswer> {
    try {
      return await this.#run()
    } finally {
      this.#releaseLeases()
    }
  }

  /** Nobody waits for the answer any more. */
  cancel(): void {
    this.#isCancelled = true
    this.#cancelWait()
    this.#releaseLeases()
  }

  #releaseLeases(): void {
    for (const lease of this.#leases.splice(0)) lease.release()
  }

  async #run(): Promise<FilterAnswer> {
    const table = this.#asker.listener?.table
    if (table === undefined || this.matchPath === '') throw new QuestionFailure('its path is not allowed', false)
    const host = findHost(table, this.clientHostname)
    const early = await this.#pass(host?.host.filters)
    if (early !== undefined) return early
    // A default backend answers whatever it is asked, which says nothing of the request.
    const served = host?.find(this.matchPath, this)
    if (served?.upstream === undefined) throw new QuestionFailure('no route of the gateway takes it', false)
    this.#served = served
    const { filters } = served
    const own = await this.#pass(filters)
    const answer = own ?? (await this.#forward(served.upstream))
    if (filters === undefined) return answer
    const head = new FilterHead(answer.status, own !== undefined, answer.lines)
    filters.changeResponse(head, this)
    return { ...answer, lines: head.lines }
  }

  /** The answer of a filter; undefined: all let the question go on. */
  async #pass(filters: FilterChain | undefined): Promise<FilterAnswer | undefined> {
    for (const { request: ask } of filters?.ofRequest ?? []) {
      let outcome = ask(this)
      if (outcome instanceof PendingOutcome) {
        this.#cancelWait = outcome.cancel
        outcome = await outcome.outcome
      }
      if (this.#isCancelled) return new Promise(() => {})
      if (outcome instanceof GatewayError) throw new QuestionFailure(outcome.message, false, outcome)
      if (outcome !== undefined) return outcome
    }
    return undefined
  }

  #forward(pool: NonNullable<ServedRoute['upstream']>): Promise<FilterAnswer> {
    const { pathname, query, clientAuthority, lines } = this
    const draft = new FilterDraft(pathname + query, clientAuthority, lines)
    this.#served!.filters?.changeRequest(draft, this)
    const { target, authority } = draft
    const question = { ...this.#question, target, authority, lines: draft.addedLines + draft.lines }
    const call = new SideCall(this.#asker, pool, question, this.#deadlines)
    this.#cancelWait = () => call.cancel()
    return call.run()
  }
}
