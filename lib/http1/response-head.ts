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
  /** As declared: for HEAD and 304 of a body that does not come. Never together with `chunked`, nor with 1xx and 204. */
  contentLength: number | undefined
  /** Only then can trailers follow. */
  chunked: boolean
  hasDate: boolean
  hasServer: boolean
  /** It asks for authentication that holds for the connection, not for one request: NTLM, Negotiate. */
  authenticatesConnection: boolean
  /** The value of Upgrade, for 101. */
  upgrade: string | undefined
}
