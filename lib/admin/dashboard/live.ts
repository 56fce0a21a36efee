/** What the pages share: views asked for again and again while somebody looks, and the traffic of the last minutes. */
import { useEffect, useState } from 'preact/hooks'
import { ask, follow, Refused } from './api.ts'
import type { Traffic } from './rows.ts'

export type Seen<T> = Readonly<{ data: T | undefined; failure: Error | undefined }>

type Watched = { seen: Seen<unknown>; text: string; readonly listeners: Set<() => void>; timer: number | undefined }

const watched = new Map<string, Watched>()

/** Called once the listener asks for a token, or for another one. */
let onLocked: () => void = () => {}
export const whenLocked = (listener: () => void): void => {
  onLocked = listener
}

async function look(path: string, each: Watched): Promise<void> {
  let failure: Error | undefined
  let { data } = each.seen
  try {
    const next = await ask<unknown>(path)
    const text = JSON.stringify(next)
    // What is the same stays the same object, so that nothing is drawn again.
    if (text !== each.text) data = next
    each.text = text
  } catch (error) {
    failure = error as Error
    if (error instanceof Refused && error.status === 401) onLocked()
  }
  if (data === each.seen.data && failure?.message === each.seen.failure?.message) return
  each.seen = { data, failure }
  for (const listener of each.listeners) listener()
}

/** A view of the admin listener, asked for anew every `everyMs` milliseconds while the page is visible. */
export function useView<T>(path: string, everyMs = 2_000): Seen<T> {
  const [, draw] = useState(0)
  useEffect(() => {
    let each = watched.get(path)
    if (each === undefined) {
      each = { seen: { data: undefined, failure: undefined }, text: '', listeners: new Set(), timer: undefined }
      watched.set(path, each)
    }
    const own = each
    const onChange = () => draw((count) => count + 1)
    own.listeners.add(onChange)
    const again = async () => {
      if (!document.hidden) await look(path, own)
      if (own.listeners.size > 0) own.timer = window.setTimeout(again, everyMs)
    }
    if (own.listeners.size === 1) void again()
    return () => {
      own.listeners.delete(onChange)
      if (own.listeners.size === 0) window.clearTimeout(own.timer)
    }
  }, [path, everyMs])
  return (watched.get(path)?.seen ?? { data: undefined, failure: undefined }) as Seen<T>
}

/** One second of the whole gateway. */
export type Sample = Readonly<{ at: number; rate: number; failureRate: number; p50: number | null; p99: number | null }>

const MAX_SAMPLES = 600

class TrafficStore {
  current: Traffic | undefined
  failure: Error | undefined
  samples: readonly Sample[] = []
  readonly listeners = new Set<() => void>()
  #end: (() => void) | undefined

  start(): void {
    this.#end ??= follow('traffic/stream', this.#onEvent, (failure) => {
      this.failure = failure
      if (failure instanceof Refused && failure.status === 401) onLocked()
      this.#tell()
    })
  }

  stop(): void {
    this.#end?.()
    this.#end = undefined
  }

  #onEvent = (_event: string, data: string): void => {
    const next = JSON.parse(data) as Traffic
    this.current = next
    const sample: Sample = {
      at: Date.parse(next.at) / 1_000,
      rate: next.rate,
      failureRate: next.failure_rate,
      p50: next.duration_ms?.p50 ?? null,
      p99: next.duration_ms?.p99 ?? null,
    }
    this.samples = [...this.samples.slice(-MAX_SAMPLES + 1), sample]
    this.#tell()
  }

  #tell(): void {
    for (const listener of this.listeners) listener()
  }
}

export const traffic: TrafficStore = new TrafficStore()

export function useTraffic(): TrafficStore {
  const [, draw] = useState(0)
  useEffect(() => {
    const onChange = () => draw((count) => count + 1)
    traffic.listeners.add(onChange)
    return () => {
      traffic.listeners.delete(onChange)
    }
  }, [])
  return traffic
}
