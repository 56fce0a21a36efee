/** Keeps answers of an auth server for a time, and asks once for all requests with one key that come meanwhile. */
import { createHash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { flattenText } from '../base/flat-text.ts'
import { pickFields, SET_COOKIE } from './auth-server.ts'
import type { FilterAnswer, FilterRequest, PendingAnswer } from './spec.ts'

export type AuthCacheOptions = Readonly<{
  /** `client`, `method`, `path`, `header:NAME` or `cookie:NAME` each; at least one of the last two. */
  key: readonly string[]
  /** Statuses, and for how many milliseconds an answer with one of them is kept. */
  durations: readonly (readonly [status: number, milliseconds: number])[]
}>

const MAX_ANSWERS = 10_000
const MAX_BYTES = 16_777_216
/** What an answer takes beside its own text. */
const OVERHEAD_BYTES = 256

type Kept = Readonly<{ answer: FilterAnswer; bytes: number; until: number }>

/** A question whose answer several requests wait for. */
type Shared = { readonly call: PendingAnswer; waiting: number }

type KeyPart = (request: FilterRequest) => string | undefined

export class AuthCache {
  readonly #durations: ReadonlyMap<number, number>
  readonly #credentials: readonly KeyPart[]
  readonly #others: readonly KeyPart[]
  readonly #knowsAuthorization: boolean
  readonly #knowsCookies: boolean
  readonly #clock: Clock
  /** By key; the oldest first. */
  readonly #kept = new Map<string, Kept>()
  readonly #shared = new Map<string, Shared>()
  #bytes = 0

  constructor({ key, durations }: AuthCacheOptions, clock: Clock) {
    this.#durations = new Map(durations)
    this.#credentials = key.filter((each) => each.includes(':')).map(createCredential)
    this.#others = key.filter((each) => !each.includes(':')).map((each) => OTHERS[each as keyof typeof OTHERS])
    this.#knowsAuthorization = key.some((each) => each.toLowerCase() === 'header:authorization')
    this.#knowsCookies = key.some((each) => each.startsWith('cookie:') || each.toLowerCase() === 'header:cookie')
    this.#clock = clock
  }

  /**
   * A kept answer, or a question that others may wait for as well; `ask` puts it to the server, whose path and query are `target`: what
   * variables write into it is asked about.
   */
  find(request: FilterRequest, target: string, ask: () => PendingAnswer): FilterAnswer | PendingAnswer {
    const key = this.#findKey(request, target)
    if (key === undefined) return ask()
    const kept = this.#kept.get(key)
    if (kept !== undefined) {
      if (kept.until > this.#clock.monotonic()) return kept.answer
      this.#drop(key, kept)
    }
    const shared = this.#shared.get(key)
    return shared === undefined ? this.#begin(key, ask()) : this.#join(key, shared, ask)
  }

  /**
   * Undefined: the answer must not be kept, nor one that was kept be used. That is so where the request has credentials that the key
   * does not name, or none of those that it names: requests with other credentials would be taken for the same.
   */
  #findKey(request: FilterRequest, target: string): string | undefined {
    if (!this.#knowsAuthorization && request.header('authorization') !== undefined) return undefined
    if (!this.#knowsCookies && request.header('cookie') !== undefined) return undefined
    const credentials = this.#credentials.map((find) => find(request))
    if (credentials.every((each) => each === undefined)) return undefined
    const parts = [request.clientHostname, target, ...credentials, ...this.#others.map((find) => find(request))]
    // Clients do not decide how long a key is, and credentials are not kept.
    return createHash('sha256')
      .update(JSON.stringify(parts.map((each) => each ?? null)))
      .digest('base64')
  }

  #begin(key: string, call: PendingAnswer): PendingAnswer {
    const shared: Shared = { call, waiting: 1 }
    this.#shared.set(key, shared)
    const end = () => {
      if (this.#shared.get(key) === shared) this.#shared.delete(key)
    }
    const answer = call.answer.then(
      (answer) => {
        end()
        this.#keep(key, answer)
        return answer
      },
      (thrown) => {
        end()
        throw thrown
      },
    )
    return { answer, cancel: () => this.#leave(key, shared) }
  }

  #join(key: string, shared: Shared, ask: () => PendingAnswer): PendingAnswer {
    let own: PendingAnswer | undefined
    let hasLeft = false
    shared.waiting++
    const answer = shared.call.answer.then((answer) => {
      if (hasLeft || isShareable(answer)) return answer
      own = ask()
      return own.answer
    })
    const cancel = () => {
      hasLeft = true
      own?.cancel()
      this.#leave(key, shared)
    }
    return { answer, cancel }
  }

  #leave(key: string, shared: Shared): void {
    if (--shared.waiting > 0) return
    if (this.#shared.get(key) === shared) this.#shared.delete(key)
    shared.call.cancel()
  }

  #keep(key: string, answer: FilterAnswer): void {
    const duration = this.#durations.get(answer.status)
    if (duration === undefined || !isShareable(answer)) return
    const bytes = OVERHEAD_BYTES + answer.lines.length + (answer.body?.length ?? 0)
    const before = this.#kept.get(key)
    if (before !== undefined) this.#drop(key, before)
    const own = { ...answer, lines: flattenText(answer.lines) }
    this.#kept.set(key, { answer: own, bytes, until: this.#clock.monotonic() + duration })
    this.#bytes += bytes
    for (const [oldest, kept] of this.#kept) {
      if (this.#kept.size <= MAX_ANSWERS && this.#bytes <= MAX_BYTES) break
      this.#drop(oldest, kept)
    }
  }

  #drop(key: string, { bytes }: Kept): void {
    this.#kept.delete(key)
    this.#bytes -= bytes
  }
}

const OTHERS = {
  client: ({ clientAddress }: FilterRequest) => clientAddress,
  method: ({ method }: FilterRequest) => method,
  path: ({ pathname, query }: FilterRequest) => pathname + query,
}

function createCredential(part: string): KeyPart {
  const colon = part.indexOf(':')
  const name = part.slice(colon + 1)
  if (part.startsWith('cookie:')) return (request) => joinCookies(request.header('cookie'), name)
  const lowerName = name.toLowerCase()
  return (request) => request.header(lowerName)
}

/** All cookies of the name as they are written: of several, servers differ in which one they believe. Undefined: there is none. */
function joinCookies(field: string | undefined, name: string): string | undefined {
  const pairs = field?.split(';').filter((pair) => pair.slice(0, pair.indexOf('=')).trim() === name)
  return pairs === undefined || pairs.length === 0 ? undefined : pairs.map((pair) => pair.trim()).join(';')
}

/** A cookie is for the client that asked, and a server may say that its answer is for one request alone. */
function isShareable({ lines }: FilterAnswer): boolean {
  return pickFields(lines, SET_COOKIE) === '' && !/\bno-store\b/i.test(pickFields(lines, CACHE_CONTROL))
}

const CACHE_CONTROL: ReadonlySet<string> = new Set(['cache-control'])
