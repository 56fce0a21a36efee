/**
 * Runs test files, several at a time: all; with `--quick` those that take under a second; with `--changed [REF]` those that
 * reach what has changed since REF; or those that are named. The last line says how many assertions passed and failed.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { listChanged, pickReached } from './changed.ts'
import { IdleCores } from './idle-cores.ts'
import { ModuleGraph } from './module-graph.ts'
import { type FilesOutcome, runFiles } from './run-files.ts'
import { group } from './sharing.ts'
import { namePlaces } from './source-places.ts'
import { Times } from './times.ts'

const QUICK_MS = 1_000

/** Small files in one process. */
const SHARED = 12

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    changed: { type: 'boolean', default: false },
    /** At most at a time; the default is as many as keep the cores busy. */
    jobs: { type: 'string' },
    timeout: { type: 'string', default: '300' },
  },
})

const graph = new ModuleGraph()
const times = new Times('.tap/times.json')
const expect = (file: string) => times.expect(file, graph.reach(file))

function pickFiles(): readonly string[] {
  if (values.changed) return pickReached(graph, listChanged(positionals[0]))
  if (positionals.length > 0) return positionals
  return values.quick ? graph.tests.filter((file) => expect(file) < QUICK_MS) : graph.tests
}

const files = pickFiles()
const candidates = files.map((file) => ({
  file,
  text: readFileSync(file, 'utf8'),
  reach: graph.reach(file),
  ms: expect(file),
}))
const sumMs = (group: readonly { ms: number }[]) => group.reduce((sum, { ms }) => sum + ms, 0)
// The longest start first, so that none of them runs alone at the end.
const waiting = [...group(candidates, SHARED)]
  .sort((a, b) => sumMs(a) - sumMs(b))
  .map((all) => all.map(({ file }) => file))
const outcomes: FilesOutcome[] = []

async function runGroup(group: readonly string[]): Promise<void> {
  const outcome = await runFiles(group, Number(values.timeout))
  // Which of them it is that fails is seen when each is alone.
  if (outcome.failed > 0 && group.length > 1) waiting.push(...group.map((file) => [file]))
  outcomes.push(outcome)
  if (outcome.failed === 0) for (const [file, cost] of outcome.costs) times.note(file, cost)
  for (const failure of outcome.failures) console.log(`\nnot ok ${group.join(', ')} > ${namePlaces(failure)}`)
}

/** Milliseconds between two looks at the cores. */
const LOOK_MS = 200

/** As many run as there are cores, and one more whenever a core is idle: most files wait for a part of their time, some for nearly all. */
async function runAll(): Promise<void> {
  const cores = availableParallelism()
  const most = Number(values.jobs ?? cores * 4)
  const least = Math.min(cores, most)
  let running = 0
  const start = async (group: readonly string[]): Promise<void> => {
    running++
    await runGroup(group)
    running--
    fill(least)
  }
  const fill = (upTo: number): void => {
    while (running < upTo && waiting.length > 0) void start(waiting.pop()!)
  }
  const idle = new IdleCores()
  fill(least)
  while (running > 0) {
    await sleep(LOOK_MS)
    if (idle.read() > 0.5) fill(Math.min(running + 1, most))
  }
}

const start = performance.now()
await runAll()
times.save()

const sum = (figure: (outcome: FilesOutcome) => number) => outcomes.reduce((total, one) => total + figure(one), 0)
const cpuMs = sum(({ costs }) => [...costs.values()].reduce((total, cost) => total + cost.cpuMs, 0))
for (const { files, skips } of outcomes) for (const skip of skips) console.log(`skipped ${files.join(', ')} > ${skip}`)
for (const { files, failed } of outcomes) if (failed > 0) console.log(`failed ${files.join(', ')}: ${failed}`)
const seconds = (ms: number) => Math.round(ms / 1_000)
console.log(`${files.length} files in ${seconds(performance.now() - start)} s, with ${seconds(cpuMs)} s of CPU`)
console.log(`${sum(({ passed }) => passed)} passed, ${sum(({ failed }) => failed)} failed`)
if (outcomes.some(({ failed }) => failed > 0)) process.exitCode = 1
