/** The head of an upstream's response. HOT */

export type ResponseHead = {
  status: number
  /** May be `''`. */
  reason: string
  /**
   * The field lines that travel on as they were sent, latin1, `Name: value\r\n` each, in order. Not among them: fields of
   * the hop (RFC 9110 §7.6.1) and those that `Connection` lists, Content-Length and X-Request-Id.
   */
  lines: string
  /** Of the names in `lines`; see NameTraces. */
  fronts: number
  backs: number
  /** The declared length; after HEAD and in a 304 no such body comes. Never together with `chunked`, 1xx or 204. */
  contentLength: number | undefined
  /** True for a chunked body; only such a body can have trailers. */
  chunked: boolean
  hasDate: boolean
  hasServer: boolean
  /** True if the response asks for authentication of the whole connection: NTLM, Negotiate. */
  authenticatesConnection: boolean
  /** The value of Upgrade, for 101. */
  upgrade: string | undefined
}
