/** Whether endpoints saw of a connection what llhttp reads of it, and nothing else. */
import { normalizePath, splitTarget, USUAL_PATHS } from '../../lib/base/path.ts'
import type { Sighting } from './connection-endpoints.ts'
import type { Plan } from './connection-plan.ts'
import { type BegunRequest, RequestJudge } from './llhttp.ts'
import { print } from './target.ts'

/** `upstream.tries`; each may find that the endpoint has closed the kept connection, and ask it on a new one. */
const TRIES = 2 * 2

export class ConnectionJudge {
  readonly #judge = new RequestJudge(200_000)

  /** What is wrong with `seen`; HTTP/2 has no two ways to be read. */
  async findFault({ protocol, pieces }: Plan, seen: readonly Sighting[]): Promise<string | undefined> {
    if (protocol === 'h2' || seen.length === 0) return undefined
    const sent = await this.#judge.readSome(Buffer.concat(pieces.map(({ bytes }) => bytes)))
    return matchSightings(sent, seen)
  }
}

/**
 * Each sighting must be of a request that was sent, and of none more often than it may be tried. Their order says nothing:
 * what a client has left behind may still be on its way to an endpoint when the next one is there.
 */
export function matchSightings(sent: readonly BegunRequest[], seen: readonly Sighting[]): string | undefined {
  const tries = sent.map(() => 0)
  for (const sighting of seen) {
    const at = sent.findIndex((each, index) => tries[index]! < TRIES && isSame(each, sighting))
    if (at < 0) return `an endpoint saw ${print(sighting)} of ${print(seen)}, llhttp reads ${print(sent)}`
    tries[at]!++
  }
  return undefined
}

function isSame(sent: BegunRequest, { method, target, body }: Sighting): boolean {
  if (sent.method !== method || forwardedForm(sent.target) !== target) return false
  return body === undefined || (sent.body === undefined ? sent.isWhole : body.equals(sent.body))
}

/** What stands behind the authority of an absolute target (RFC 9112 §3.2.2), its dot segments resolved. */
function forwardedForm(target: string): string {
  const rest = /^https?:\/\/[^/?]*(.*)$/i.exec(target)?.[1] ?? target
  const { path, query } = splitTarget(rest)
  return (normalizePath(path || '/', USUAL_PATHS)?.path ?? path) + query
}
