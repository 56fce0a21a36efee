/** Measures cases: starts the candidates of each, puts the load on them in turn, round after round, and stops them. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Candidate, checkFree, type Place } from './candidate.ts'
import type { Bench, Case, Sample, Trial } from './case.ts'
import { findProgram } from './program.ts'
import { type CandidateResult, type CaseResult, groupReasons, type LeftOut } from './report.ts'

/** Ports of the backend come first, then so many for each candidate. */
export const BACKEND_PORTS = 2
const PORTS_PER_CANDIDATE = 3

export type Suite = Readonly<{
  bench: Bench
  folder: string
  firstPort: number
  rounds: number
  certificate: string
  key: string
  /** Told what is being done. */
  log: (text: string) => void
}>

/** A candidate that fails is left out by name, with what it said; the others go on. */
export async function measureCase(each: Case, candidates: readonly Candidate[], suite: Suite): Promise<CaseResult> {
  const { log, bench } = suite
  const leftOut: LeftOut[] = []
  const open: { candidate: Candidate; trial: Trial; samples: Sample[] }[] = []
  const missing = each.needs.filter((program) => findProgram(program) === undefined)
  log(`${each.id}: ${each.title}`)
  if (missing.length > 0) leftOut.push({ name: 'the whole case', reason: `no ${missing.join(', ')} here` })
  try {
    for (const [at, candidate] of missing.length > 0 ? [] : candidates.entries()) {
      const refusal = each.refuses(candidate, bench)
      if (refusal !== undefined) {
        leftOut.push({ name: candidate.name, reason: refusal })
        continue
      }
      try {
        const place = await createPlace(each, candidate, at, suite)
        open.push({ candidate, trial: await each.open(candidate, place, bench), samples: [] })
      } catch (error) {
        leftOut.push({ name: candidate.name, reason: messageOf(error) })
      }
    }
    const rounds = Math.min(suite.rounds, each.mostRounds ?? suite.rounds)
    for (let round = 1; round <= rounds; round++) {
      // The first of a round was seen to cost 8 percent more than the next, whichever it was.
      for (const entry of round % 2 === 1 ? [...open] : [...open].reverse()) {
        try {
          const sample = await entry.trial.measure()
          entry.samples.push(sample)
          const { key, label, digits } = each.metrics[0]!
          log(`  ${round}/${rounds} ${entry.candidate.name}: ${(sample[key] ?? Number.NaN).toFixed(digits)} ${label}`)
        } catch (error) {
          leftOut.push({ name: entry.candidate.name, reason: messageOf(error) })
          open.splice(open.indexOf(entry), 1)
          await entry.trial.close()
        }
      }
    }
  } finally {
    await Promise.all(open.map(({ trial }) => trial.close()))
  }
  for (const line of groupReasons(leftOut)) log(`  left out: ${line}`)
  const results: CandidateResult[] = open.map(({ candidate: { name, version }, samples }) => ({
    name,
    version,
    samples,
  }))
  const { id, title, note, metrics } = each
  return { id, title, ...(note !== undefined && { note }), metrics, candidates: results, leftOut }
}

async function createPlace(each: Case, candidate: Candidate, at: number, suite: Suite): Promise<Place> {
  const folder = join(suite.folder, each.id, candidate.name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const http = suite.firstPort + BACKEND_PORTS + at * PORTS_PER_CANDIDATE
  const place = { folder, http, https: http + 1, admin: http + 2, core: suite.bench.proxyCore }
  await checkFree([place.http, place.https, place.admin])
  return { ...place, certificate: suite.certificate, key: suite.key }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
