/**
 * Which test files run in one process: a process costs a third of a second of CPU before its first test. A file shares one if it
 * is small, starts no gateway and no process, sets nothing for all tests of the process, and measures nothing of it.
 */

/** What makes a file need a process of its own: a setting of the root test, and what belongs to all of the process. */
const OWN =
  /^t\.(?!test\()|\bprocess\.(cpuUsage|memoryUsage|resourceUsage|kill|on|once|emit|chdir|exitCode)\b|\bprocess\.env\.\w+ =|\bfrom 'node:(diagnostics_channel|worker_threads)'|\bgc\(/m

/** Modules, of which each starts processes, or is the whole gateway, or a door that another environment chooses. */
const LARGE = ['lib/gateway.ts', 'test/helpers/kept-child.ts', 'test/doors/without-fast-lane.ts']

/** Milliseconds up to which a file is small. */
const SMALL_MS = 1_000

export type Candidate = Readonly<{
  file: string
  text: string
  /** What it leads to. */
  reach: ReadonlySet<string>
  /** Milliseconds that it is expected to take. */
  ms: number
}>

export function canShare({ text, reach, ms }: Candidate): boolean {
  return ms < SMALL_MS && !OWN.test(text) && !LARGE.some((module) => reach.has(module))
}

/** Those that may, in groups of up to `size`; each of the others alone. */
export function group(candidates: readonly Candidate[], size: number): readonly (readonly Candidate[])[] {
  const shared = candidates.filter(canShare)
  const groups = candidates.filter((each) => !shared.includes(each)).map((each) => [each])
  for (let at = 0; at < shared.length; at += size) groups.push(shared.slice(at, at + size))
  return groups
}
