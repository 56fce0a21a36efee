/** The method of a request of node:http, which knows some methods alone: RequestGate gives it another in place of the rest. HOT */
import type { IncomingMessage } from 'node:http'

const METHOD: unique symbol = Symbol('method')
type NamedMessage = IncomingMessage & { [METHOD]?: string }

/** What the client sent, where node:http was given another method in its place. */
export function setMethod(request: IncomingMessage, method: string): void {
  const own: NamedMessage = request
  own[METHOD] = method
}

/** As the client sent it. */
export function findMethod(request: IncomingMessage): string {
  return (request as NamedMessage)[METHOD] ?? request.method!
}
