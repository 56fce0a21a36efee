/** One thing that is measured: what is served, what load is put on it, and what is read off. */
import type { Backend } from './backend.ts'
import type { Candidate, Place } from './candidate.ts'
import type { Core } from './child.ts'

/** One figure of a case. */
export type Metric = Readonly<{
  key: string
  label: string
  digits: number
  /** Whether the table gives its ratio to nginx. */
  ratio: boolean
}>

/** Figures of one round, by the keys of the metrics. */
export type Sample = Readonly<Record<string, number>>

/** What a case works with. */
export type Bench = Readonly<{
  backend: Backend
  /** Of one load. */
  seconds: number
  proxyCore: Core
  loadCore: Core
}>

/** One candidate within a case, ready to be measured once a round. */
export type Trial = Readonly<{ measure: () => Promise<Sample>; close: () => Promise<void> }>

export type Case = Readonly<{
  id: string
  title: string
  /** What a reader must know to read the table. */
  note?: string
  /** The first is the main figure. */
  metrics: readonly Metric[]
  /** Programs of the load, without which the case is left out. */
  needs: readonly string[]
  /** Where given, not more rounds than these: what is measured takes long and varies little. */
  mostRounds?: number
  /** Why a candidate is left out of it, where it is. */
  refuses: (candidate: Candidate, bench: Bench) => string | undefined
  open: (candidate: Candidate, place: Place, bench: Bench) => Promise<Trial>
}>
