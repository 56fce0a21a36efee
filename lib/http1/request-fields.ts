/** The header fields of a request, checked and digested once at the door, in the same form for every protocol. HOT */

export type RequestFields = {
  /**
   * The field lines that travel on as they were sent, latin1, `Name: value\r\n` each, in order. Not among them: fields of
   * the hop (RFC 9110 §7.6.1) and those that `Connection` lists, Content-Length, Expect, X-Request-Id, X-Portico-Explain, and the claims below.
   */
  lines: string
  /** Of the names in `lines`; see NameTraces. */
  fronts: number
  backs: number
  host: string | undefined
  /** Undefined: no Content-Length was sent. */
  contentLength: number | undefined
  chunked: boolean
  acceptsTrailers: boolean
  expect: string | undefined
  /** True for credentials that authenticate the whole connection: NTLM, Negotiate. */
  authenticatesConnection: boolean
  accept: string | undefined
  userAgent: string | undefined
  /** Of the lines that travel on, so that filters need not look for them. */
  origin: string | undefined
  authorization: string | undefined
  requestId: string | undefined
  /** Of X-Portico-Explain: a token, which does not travel on. */
  explain: string | undefined
  /** Undefined if none was sent. */
  claims: ForwardingClaims | undefined
}

/** The peer's statements about who the client is; only trusted proxies are believed. */
export type ForwardingClaims = {
  /** All fields of the name joined with `, `, as in `forwarded`. */
  forwardedFor: string | undefined
  forwardedProto: string | undefined
  forwardedHost: string | undefined
  forwardedPort: string | undefined
  realIp: string | undefined
  forwarded: string | undefined
  /** The lines of the other claims, which pass unchanged if a trusted proxy sent them; like `RequestFields.lines`. */
  lines: string
}

/** The fields of a request without any. Every door starts with these, so that all objects have one shape. */
export function createFields(): RequestFields {
  return {
    lines: '',
    fronts: 0,
    backs: 0,
    host: undefined,
    contentLength: undefined,
    chunked: false,
    acceptsTrailers: false,
    expect: undefined,
    authenticatesConnection: false,
    accept: undefined,
    userAgent: undefined,
    origin: undefined,
    authorization: undefined,
    requestId: undefined,
    explain: undefined,
    claims: undefined,
  }
}

/** Claims without any value. */
export function createClaims(): ForwardingClaims {
  return {
    forwardedFor: undefined,
    forwardedProto: undefined,
    forwardedHost: undefined,
    forwardedPort: undefined,
    realIp: undefined,
    forwarded: undefined,
    lines: '',
  }
}
