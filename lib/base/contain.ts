/**
 * A bug may cost one connection and nothing else. Every call from Node that concerns one connection has its exceptions caught,
 * counted and logged, and its request or connection ended. HOT
 */
import { GatewayError } from './errors.ts'

/** The place of a caught exception. It is a label of a metric, so there are few places. */
export type Place =
  /** A connection being accepted, or its PROXY header being read. */
  | 'accept'
  | 'tls'
  | 'lane'
  | 'http1'
  | 'http2'
  /** The beginning of a request, of any door, and the gateway's own answer to it. */
  | 'request'
  /** A connection to an endpoint, from the first attempt on. */
  | 'upstream'
  /** A copy of a request, on its way to a mirror. */
  | 'mirror'
  /** The stream of a filter that a body passes. */
  | 'filter'
  /** A body on its way to a file or from it. */
  | 'buffer'
  /** A time limit. */
  | 'deadline'
  /** The moment when a waiting request gets an endpoint, or its next try. */
  | 'queue'
  /** Traffic at L4: a relayed connection, or datagrams. */
  | 'relay'

/** A request or connection that can be ended alone. */
export type Victim = {
  /** Ends the victim and everything that depends on it. It is called after a bug, so the victim's state may be half changed. */
  breakOff(error: GatewayError): void
}

type Listener = (place: Place, error: unknown) => void

/** One for each `Traffic` of the process. */
const listeners = new Set<Listener>()

/** Reports every exception caught in this process to `listener`, until the returned function is called. */
export function onContained(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Counts and logs a caught exception, and ends its victim. */
export function contain(place: Place, thrown: unknown, victim: Partial<Victim> | undefined): void {
  report(place, thrown)
  try {
    victim?.breakOff?.(explain(thrown))
  } catch (again) {
    report(place, again)
  }
}

/** The same for a victim that is a plain socket or stream. */
export function containAt(place: Place, thrown: unknown, socket: { destroy(): unknown }): void {
  report(place, thrown)
  socket.destroy()
}

/** Wraps `run` so that its exceptions are contained. It is for listeners that are seldom called; hot code catches by itself. */
export function containing<Arguments extends unknown[]>(
  place: Place,
  victim: Victim,
  run: (...given: Arguments) => void,
): (...given: Arguments) => void {
  return (...given) => {
    try {
      run(...given)
    } catch (thrown) {
      contain(place, thrown, victim)
    }
  }
}

/** The same for a listener whose first argument is the socket or stream concerned. */
export function containingAt<Arguments extends [{ destroy(): unknown }, ...unknown[]]>(
  place: Place,
  run: (...given: Arguments) => void,
): (...given: Arguments) => void {
  return (...given) => {
    try {
      run(...given)
    } catch (thrown) {
      containAt(place, thrown, given[0])
    }
  }
}

/** The error of a request whose handling hit a bug. */
export function explain(thrown: unknown): GatewayError {
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return new GatewayError('PORTICO_GW_UNEXPECTED', text, thrown)
}

function report(place: Place, thrown: unknown): void {
  // Without a listener the bug must still be seen.
  if (listeners.size === 0) console.error(thrown)
  for (const listener of listeners) {
    try {
      listener(place, thrown)
    } catch (error) {
      console.error(error)
    }
  }
}
