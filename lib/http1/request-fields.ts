/** The header fields of a request, checked once at the door and summed up for everything behind it; the same for every protocol. HOT */

export type RequestFields = {
  /**
   * The field lines that travel on as they were sent, latin1, `Name: value\r\n` each, in order. Not among them: fields of
   * the hop (RFC 9110 §7.6.1) and those that `Connection` lists, Content-Length, Expect, X-Request-Id, and the claims below.
   */
  lines: string
  host: string | undefined
  /** Undefined: no Content-Length was sent. */
  contentLength: number | undefined
  chunked: boolean
  acceptsTrailers: boolean
  expect: string | undefined
  /** It authenticates its connection, not itself alone: NTLM, Negotiate. */
  authenticatesConnection: boolean
  accept: string | undefined
  userAgent: string | undefined
  requestId: string | undefined
  /** Undefined where none was sent. */
  claims: ForwardingClaims | undefined
}

/** What the peer says about who the client is; believed of trusted proxies alone. */
export type ForwardingClaims = {
  /** All fields of the name joined with `, `; so with `forwarded`. */
  forwardedFor: string | undefined
  forwardedProto: string | undefined
  forwardedHost: string | undefined
  forwardedPort: string | undefined
  realIp: string | undefined
  forwarded: string | undefined
  /** The others, which a trusted proxy's request keeps as they were sent, like `RequestFields.lines`. */
  lines: string
}

/** Fields of a request that sent none; every door begins with these, so that they all have one shape. */
export function createFields(): RequestFields {
  return {
    lines: '',
    host: undefined,
    contentLength: undefined,
    chunked: false,
    acceptsTrailers: false,
    expect: undefined,
    authenticatesConnection: false,
    accept: undefined,
    userAgent: undefined,
    requestId: undefined,
    claims: undefined,
  }
}

/** Claims that say nothing yet. */
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
