/**
 * A bug may cost one connection and nothing else. Wherever Node calls this program for one connection, an exception is caught,
 * counted and logged, and the request or the connection that the call was for is ended. HOT
 */
import { GatewayError } from './errors.ts'

/** Where something was thrown: a label of a metric, so there are few. */
export type Place =
  /** A connection being accepted, or its PROXY header being read. */
  | 'accept'
  | 'tls'
  | 'lane'
  | 'http1'
  | 'http2'
  /** The beginning of a request, of any door. */
  | 'request'
  /** A connection to an endpoint, from the first attempt on. */
  | 'upstream'
  /** A time limit. */
  | 'deadline'
  /** The turn of a request that waits for an endpoint, or for its next try. */
  | 'queue'
  /** A connection, or datagrams, that nobody reads. */
  | 'relay'

/** What can be ended by itself. */
export type Victim = {
  /** Ends it, and what depends on it. It is called after a bug, so the state of the victim may be half changed. */
  breakOff(error: GatewayError): void
}

type Listener = (place: Place, error: unknown) => void

/** One for each `Traffic` of the process. */
const listeners = new Set<Listener>()

/** Hears of all that is caught in this process, until what it returns is called. */
export function onContained(listener: Listener): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** To be called with what was caught. */
export function contain(place: Place, thrown: unknown, victim: Partial<Victim> | undefined): void {
  report(place, thrown)
  try {
    victim?.breakOff?.(explain(thrown))
  } catch (again) {
    report(place, again)
  }
}

/** For what is nothing but a socket or a stream. */
export function containAt(place: Place, thrown: unknown, socket: { destroy(): unknown }): void {
  report(place, thrown)
  socket.destroy()
}

/** `run`, with what it throws contained: for listeners that are not called often. The others catch for themselves. */
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

/** The same for what is called with the socket, or the stream, that it is about. */
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

/** What a request says of a bug in its handling. */
export function explain(thrown: unknown): GatewayError {
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
  return new GatewayError('PORTICO_GW_UNEXPECTED', text, thrown)
}

function report(place: Place, thrown: unknown): void {
  // A bug may not pass in silence where nobody counts.
  if (listeners.size === 0) console.error(thrown)
  for (const listener of listeners) {
    try {
      listener(place, thrown)
    } catch (error) {
      console.error(error)
    }
  }
}
