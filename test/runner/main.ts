/**
 * Runs test files, several at a time: all; with `--quick` those that take under a second; with `--changed [REF]` those that
 * reach what has changed since REF; or those that are named. The last line says how many assertions passed and failed.
 */
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { listChanged, pickReached } from './changed.ts'
import { ModuleGraph } from './module-graph.ts'
import { type FileOutcome, runFile } from './run-file.ts'
import { Times } from './times.ts'

const QUICK_MS = 1_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    changed: { type: 'boolean', default: false },
    // A file waits for about a third of its time.
    jobs: { type: 'string', default: String(Math.ceil(availableParallelism() * 1.5)) },
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
// The longest start first, so that none of them runs alone at the end.
const waiting = files.map((file) => ({ file, ms: expect(file) })).sort((a, b) => a.ms - b.ms)
const outcomes: FileOutcome[] = []

async function work(): Promise<void> {
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const module = `dist/${next.file.replace(/\.ts$/, '.js')}`
    const outcome = await runFile(next.file, module, Number(values.timeout))
    outcomes.push(outcome)
    if (outcome.failed === 0) times.note(outcome.file, outcome.ms)
    for (const failure of outcome.failures) console.log(`\nnot ok ${outcome.file} > ${failure}`)
  }
}

const start = performance.now()
await Promise.all(Array.from({ length: Number(values.jobs) }, work))
times.save()

const sum = (figure: (outcome: FileOutcome) => number) => outcomes.reduce((total, one) => total + figure(one), 0)
for (const { file, skips } of outcomes) for (const skip of skips) console.log(`skipped ${file} > ${skip}`)
for (const { file, failed } of outcomes) if (failed > 0) console.log(`failed ${file}: ${failed}`)
console.log(`${files.length} files in ${Math.round((performance.now() - start) / 1_000)} s`)
console.log(`${sum(({ passed }) => passed)} passed, ${sum(({ failed }) => failed)} failed`)
if (outcomes.some(({ failed }) => failed > 0)) process.exitCode = 1
