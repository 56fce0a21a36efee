/** What a choice among endpoints may depend on: of a request, or of a connection that carries no requests. */

export type PickContext = {
  /** IP address of the client. */
  readonly clientAddress: string
  /** Hostname of the request in normal form, without a port; `''` where there is no request. */
  readonly hostname: string
  /** Path and query as sent; `''` where there is no request. */
  readonly target: string
  /** Value of a request's field by lower-case name, where it has one. */
  header(name: string): string | undefined
}
