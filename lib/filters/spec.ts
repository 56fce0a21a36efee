/** What a filter is: one feature in one file, with one line in the registry. HOT */
import type { Duplex } from 'node:stream'
import type { Clock } from '../base/clock.ts'
import type { GatewayError } from '../base/errors.ts'
import type { NameTraces } from '../http1/name-traces.ts'
import type { FilterConfig } from '../model/filter.ts'
import type { PathMatch } from '../model/route.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import type { Settings } from '../settings/table.ts'
import type { AnnotationForm } from './annotation-form.ts'
import { type Field, FieldLines, type FieldNames } from './field-lines.ts'
import type { Notes } from './notes.ts'

/** What a connection over TLS came to. */
export type TlsFacts = Readonly<{
  /** As OpenSSL names it: `TLSv1.3`. */
  version: string
  cipher: string
  /** The host of SNI as the client sent it; `''` where it sent none. */
  serverName: string
}>

/** A request as filters see it; nothing of it can be changed here. */
export type FilterRequest = {
  readonly id: string
  readonly method: string
  /** As the client knows it: a trusted proxy's word counts. */
  readonly scheme: 'http' | 'https'
  /** The host that the client asked for, in normal form, without a port. */
  readonly clientHostname: string
  /** The same as it was sent, with a port where it has one. */
  readonly clientAuthority: string
  /** The path in the form in which it is forwarded: dot segments resolved, slashes as the policy of the listener has them. */
  readonly pathname: string
  /** The same in the form that routes are matched by (base/path): encodings of plain characters decoded besides. */
  readonly matchPath: string
  /** `''` or `?…`, as sent. */
  readonly query: string
  /** Path and query as sent. */
  readonly target: string
  /** What the route matched it by; unknown to the filters of a host, which act before a route is found. */
  readonly match: PathMatch
  /** `HTTP/1.1`, as the log names it. */
  readonly protocol: string
  /** When it came, in milliseconds since the epoch. */
  readonly startedAt: number
  /** Of the client's own connection; undefined where that is plain. */
  readonly tls: TlsFacts | undefined
  /** Names the route over reloads, with its host: `shop.example.com/cart`; unknown to the filters of a host. */
  readonly route: string
  readonly clientAddress: string
  /** The network that limits for each client count it under. */
  readonly clientNetwork: string
  /** Field lines of the client, as they are forwarded where no filter changes them. */
  readonly lines: string
  /** The value of a field, by its lower-case name. */
  header(name: string): string | undefined
  /** The value of a parameter of the query, decoded. */
  parameter(name: string): string | undefined
  readonly notes: Notes
  /** The same for all requests of its connection, until the connection is closed. */
  readonly connectionNotes: Notes
  /** Releases the lease once the request has ended, however it ends: answered, refused, broken off, or when its tunnel is closed. */
  holdToEnd(lease: Lease): void
  /** Asks an upstream that `AnnotationReader` has found something beside the request. */
  ask(question: Question): PendingAnswer
}

/** What an upstream is asked beside a request; it has no body. */
export type Question = Readonly<{
  /** Undefined: the gateway itself, which takes the question as a request to `authority`. */
  upstream: UpstreamKey | undefined
  /** That the gateway itself is asked by; left out: that of the request. */
  scheme?: FilterRequest['scheme']
  method: string
  /** Path and query. */
  target: string
  /** The authority that is asked for, unless the Service has a host of its own. */
  authority: string
  /** Field lines, without Host. */
  lines: string
  /** Milliseconds until all of the answer has to be there. */
  timeout: number
  /** The longest body that the answer may have. */
  maxBytes: number
}>

/** An answer on its way; it rejects with a QuestionFailure. */
export type PendingAnswer = Readonly<{
  answer: Promise<FilterAnswer>
  /** Nothing waits for the answer any more. */
  cancel: () => void
}>

/** A question has no answer that can be used. */
export class QuestionFailure extends Error {
  /** The upstream was tried, and no answer began; false: one did, or the gateway kept the question back. */
  readonly isUnreached: boolean

  constructor(message: string, isUnreached: boolean, cause?: unknown) {
    super(message, { cause })
    this.isUnreached = isUnreached
  }
}

/** Something that a request holds while it is under way. */
export type Lease = { release(): void }

/**
 * The request as it is to reach an endpoint. Filters may change all of it. Its field lines are the lines that the client sent and the
 * lines in which a trusted proxy describes the client; each is latin1, `Name: value\r\n`.
 */
export class FilterDraft extends FieldLines {
  /** Path and query, as they stand in the request line. */
  target: string
  /** The authority that the endpoint is asked for, unless its Service has a host of its own. */
  authority: string
  /** Field lines in which the gateway says who the client is: X-Request-Id, and those that `isClientField` names. */
  addedLines: string

  constructor(target: string, authority: string, lines: string, addedLines: string = '', traces?: NameTraces) {
    super(lines, traces)
    this.target = target
    this.authority = authority
    this.addedLines = addedLines
  }
}

/**
 * The head of an answer, an endpoint's or the gateway's own. Filters may change its field lines, latin1; none of them is of the framing
 * or the hop.
 */
export class FilterHead extends FieldLines {
  readonly status: number
  /** The gateway or a filter made the answer, and no endpoint. */
  readonly isOwn: boolean
  /** Bytes of the body as it comes; undefined: not known. */
  readonly contentLength: number | undefined

  constructor(status: number, isOwn: boolean, lines: string, contentLength?: number, traces?: NameTraces) {
    super(lines, traces)
    this.status = status
    this.isOwn = isOwn
    this.contentLength = contentLength
  }
}

/** Takes the place of the body of an answer that is an error. */
export type ErrorPage = Readonly<{
  /** Field lines that describe the body; those of the answer that do so are dropped. */
  lines: string
  body: Buffer
}>

/** A Service that is asked for the page; `isWhole`: its answer takes the place of the error, with its status and all fields. */
export type AskedPage = Readonly<{ upstream: UpstreamKey; isWhole: boolean }>

/** Where a copy of a request goes, and how it differs from the request. */
export type Mirror = Readonly<{
  upstream: UpstreamKey
  /** Path and query; undefined: those of the request. */
  target: string | undefined
  /** Undefined: that of the request. */
  authority: string | undefined
  /** False: the copy goes without the body. */
  hasBody: boolean
}>

/** Makes the stream that one body passes. It is called once, and the stream is destroyed when the body is through or the request ends. */
export type StreamMaker = () => Duplex

/** What becomes of a body. */
export type BodyChange = Readonly<{
  stream: StreamMaker
  /** As many bytes come out as go in, so that an answer keeps its Content-Length. */
  keepsLength?: boolean
  /** The same without a stream, for the body of an answer that no other filter changes. */
  coder?: () => BodyCoder
}>

/**
 * Milliseconds for which bytes that have come may be held back, in a stream or a coder: what an endpoint sends piece by piece, a client
 * gets piece by piece.
 */
export const FLUSH_AFTER = 20

/** Converts one body at once, in the thread that serves requests. What is given is lent for the time of the call. */
export type BodyCoder = {
  write(chunk: Buffer, give: (lent: Buffer) => void): void
  /** Gives what is held back. */
  flush(give: (lent: Buffer) => void): void
  /** Converts the last chunk, or nothing where that has come before, and gives all that is left. */
  end(chunk: Buffer | undefined, give: (lent: Buffer) => void): void
  /** Called once, when the body is through or the request ends. */
  close(): void
}

/** Answers the request in an endpoint's place. */
export type FilterAnswer = Readonly<{ status: number; lines: string; body: Buffer | undefined }>

/** Undefined lets the request go on. */
export type FilterOutcome = FilterAnswer | GatewayError | undefined

/** An outcome that is not known yet. */
export class PendingOutcome {
  readonly outcome: Promise<FilterOutcome>
  /** The client has gone: nothing waits for the outcome any more. */
  readonly cancel: () => void

  constructor(outcome: Promise<FilterOutcome>, cancel: () => void) {
    this.outcome = outcome
    this.cancel = cancel
  }
}

/** A filter as it acts on the requests of a route. Functions that are missing cost nothing. */
export type Filter = {
  /** Before an endpoint is chosen; of a filter of hosts: before a route is found. Filters of hosts have no other function. */
  request?(request: FilterRequest): FilterOutcome | PendingOutcome
  /**
   * The same, after `request`, of a filter that asks who the client is. Where a filter of the same object joins the checks, the
   * first that lets the request go on is enough, and the others are not asked.
   */
  check?(request: FilterRequest): FilterOutcome | PendingOutcome
  /** One check of the same object is enough. */
  joinsChecks?: boolean
  /** The requests are not logged. */
  isUnlogged?: boolean
  /** Fields that the filter answers for: the client's trailers may not say them. */
  requestNames?: FieldNames
  /** The same of an endpoint's trailers. */
  responseNames?: FieldNames
  /** Before the request goes to an endpoint; once, however many attempts are made. */
  upstreamRequest?(draft: FilterDraft, request: FilterRequest): void
  /**
   * What gets a copy of the request as an endpoint gets it; undefined: nothing does. It is asked once for each request, and not for
   * requests that ask to switch protocols.
   */
  mirror?(request: FilterRequest): Mirror | undefined
  /**
   * The page for an answer from 400 to 599, an endpoint's or an error of the gateway itself (`isOwn`); undefined: its body is left as it
   * is. The status is kept. Answers of other filters are what was asked for, and have no page. All `response` functions follow.
   */
  errorPage?(status: number, isOwn: boolean, request: FilterRequest): ErrorPage | AskedPage | undefined
  /** Before an answer goes to the client. */
  response?(head: FilterHead, request: FilterRequest): void
  /**
   * For each request that has a body, after `upstreamRequest`: undefined leaves the body as it is. Else the filter has made the
   * field lines agree with what the body becomes. The body passes once, however many attempts are made, and goes on in chunks.
   */
  requestBody?(draft: FilterDraft, request: FilterRequest): BodyChange | undefined
  /**
   * The same of an answer, after `response`. It is asked for HEAD too, so that the fields are those of GET, and no stream is made
   * then; it is not asked where there is no body: 204, 304, or a length of 0.
   */
  responseBody?(head: FilterHead, request: FilterRequest): BodyChange | undefined
}

/** What a filter is made in. */
export type FilterEnvironment = Readonly<{
  clock: Clock
  /** Processes that carry traffic: each takes its part of a limit that is for all together. */
  processes: number
  /** The port of HTTPS as clients know it. */
  httpsPort: () => number
  /** Tells in the log what operators should know; the same text once a minute. */
  warn: (message: string) => void
  /** State that outlives reloads, for as long as the same owner has this filter. */
  shared: <T extends object>(make: () => T) => T
}>

/** A text that an annotation refers to and that stands in an object of its own. */
export type Content = Readonly<{
  /** For people: `pages/sorry.html`, the object and the key in it. */
  source: string
  /** One character a byte (latin1), 1 MiB at most. */
  bytes: string
}>

/** A secret that an annotation refers to. What it holds goes to workers, in options of a filter, and is shown nowhere. */
export type SecretContent = Readonly<{
  /** For people: `Secret users`, `file /etc/portico/users`, `variable USERS`. */
  source: string
  /** Of a Secret its values by key, of a file or a variable all of it; one character a byte (latin1). */
  content: string | Readonly<Record<string, string>>
}>

/** Reads the annotations of one object, by their names without the domain. */
export type AnnotationReader = {
  /** Without white space around it; undefined where there is none. */
  text(name: string): string | undefined
  /**
   * What the annotation refers to, or `reference`, which is a part of it (`name/key`); undefined where there is none, or where it is
   * not there, which is refused then.
   */
  content(name: string, reference?: string): Content | undefined
  /** The keys and texts of the ConfigMap that the annotation names, white space around the texts cut; undefined as above. */
  entries(name: string): readonly Field[] | undefined
  /**
   * The upstream of the Service that the annotation names, as `name` for its first port or `name:port`; undefined where there is none,
   * or where it is not there, which is refused then. `outcome` says for people what holds as long as the Service cannot be asked, as in
   * "no copies are made".
   */
  upstream(name: string, outcome: string): UpstreamKey | undefined
  /**
   * The upstream of the server that the URL names, which stands in the annotation: of a Service, where its host is the name that the
   * Service has in a cluster, or of the URL itself. Undefined where it names a Service that is not there, which is refused then. `outcome`
   * is as above.
   */
  server(name: string, url: URL, outcome: string): UpstreamKey | undefined
  /** The Secret that the annotation names, or the file or variable that stands in its place; undefined as above. */
  secret(name: string): SecretContent | undefined
  /** Says why an annotation cannot be used; the filter is left out, or closes its routes where it guards. */
  refuse(name: string, message: string, help: string): void
}

/** An annotation of a filter. */
export type AnnotationSpec = Readonly<{
  /** For people: what it says. */
  about: string
  /** Undefined: any text. */
  form?: AnnotationForm
  /** The name of the annotation beside which alone it says something; undefined: it says something by itself. */
  needs?: string
}>

/** What is known of a host when its filters are read. */
export type HostFacts = Readonly<{
  /** A tls section names it. */
  isSecured: boolean
  https: Pick<Settings['https'], 'enabled' | 'redirect' | 'redirectPort'>
}>

export type FilterSpec<Options extends Readonly<Record<string, unknown>> = Readonly<Record<string, unknown>>> =
  Readonly<{
    name: string
    /** Filters act in ascending order: 1xx refuse, 2xx redirect, 3xx answer, 4xx change. */
    order: number
    /** It promises to refuse requests: where it cannot be used, its routes are closed. */
    isGuard: boolean
    /** By their names without the domain. */
    annotations: Readonly<Record<string, AnnotationSpec>>
    /**
     * Undefined if the object has no annotation of this filter. Values have their forms (readFilter). A filter without annotations
     * has no such function.
     */
    read?: (annotations: AnnotationReader) => Options | undefined
    /** It acts on whole hosts. */
    ofHosts?: HostFilterSpec<Options>
    /**
     * For people: what decides, beside the request and the options, as in "the answer of its auth server". `portico explain` does
     * not play such a filter. Undefined: nothing else decides, and `request` never waits.
     */
    dependsOn?: string
    /** What the manifests must have for a redirect of an Ingress with this host to act as it is meant to; undefined: nothing. */
    findNeeds?: (options: Options, host: string) => FilterNeeds | undefined
    /** What is wrong with it on a route that has it; undefined: nothing. */
    checkRoute?: (options: Options, route: RouteFacts) => FilterMisfit | undefined
    /** For people: what it does, in a few words. */
    print: (options: Options) => string
    /** What of the options must not be shown, in one text: reports say that it has changed. Undefined: nothing. */
    secret?: (options: Options) => string
    /** Does all that can be done once. */
    create: (options: Options, environment: FilterEnvironment) => Filter
  }>

/** What is known of a route once all routes of its host are. */
export type RouteFacts = Readonly<{
  host: string
  match: PathMatch
  /** The filters of the route of the same host that takes the path; undefined: none does. */
  find: (path: string) => readonly FilterConfig[] | undefined
}>

export type FilterMisfit = Readonly<{ annotation: string; message: string; help: string }>

export type FilterNeeds = Readonly<{
  /** The filter sends clients of one host to the other. */
  hosts?: Readonly<{ from: string; to: string }>
  /** Other paths than this one pass. */
  path?: string
}>

export type HostFilterSpec<Options> = Readonly<{
  /** For people: which hosts have it. */
  text: string
  /** Undefined where the host is not to have the filter. */
  read: (host: HostFacts) => Options | undefined
  /** Reports say of its hosts that plain HTTP is sent to HTTPS. */
  redirectsToHttps: boolean
  /** True for options of a route that does without the filter of its host; undefined: no route does. */
  isOff?: (options: Options) => boolean
}>

/** Infers the type of the options. */
export function defineFilter<Options extends Readonly<Record<string, unknown>>>(spec: FilterSpec<Options>): FilterSpec {
  return spec as unknown as FilterSpec
}

/** The options of a filter; undefined if it has no annotation, or one that cannot be used, which is refused then. */
export function readFilter(
  spec: FilterSpec,
  annotations: AnnotationReader,
): Readonly<Record<string, unknown>> | undefined {
  if (spec.read === undefined) return undefined
  let isRefused = false
  const refuse = (name: string, message: string, help: string): void => {
    isRefused = true
    annotations.refuse(name, message, help)
  }
  for (const [name, { form, needs }] of Object.entries(spec.annotations)) {
    const text = annotations.text(name)
    if (text !== undefined && needs !== undefined && annotations.text(needs) === undefined) {
      refuse(name, `it says nothing without ${needs}`, `add portico.dev/${needs}, or leave it out`)
    }
    if (form !== undefined && text !== undefined && !form.pattern.test(text)) {
      refuse(name, form.describeFault(text), form.help)
    }
  }
  if (isRefused) return undefined
  /** What is not there has been refused. */
  const keep = <T>(found: T | undefined, name: string): T | undefined => {
    isRefused ||= found === undefined && annotations.text(name) !== undefined
    return found
  }
  const options = spec.read({
    text: (name) => annotations.text(name),
    content: (name, reference) => keep(annotations.content(name, reference), name),
    entries: (name) => keep(annotations.entries(name), name),
    upstream: (name, outcome) => keep(annotations.upstream(name, outcome), name),
    server: (name, url, outcome) => keep(annotations.server(name, url, outcome), name),
    secret: (name) => keep(annotations.secret(name), name),
    refuse,
  })
  // A filter that is half understood might do what nobody meant.
  return isRefused ? undefined : options
}
