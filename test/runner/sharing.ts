/**
 * Which test files run in one process: a process costs half a second of CPU, and with a gateway in it a whole one, before its
 * first test. A file shares one if it is not long, starts no process, sets nothing for all tests of the process, and measures
 * nothing of it.
 */

/** What makes a file need a process of its own: a setting of the root test, and what belongs to all of the process. */
const OWN =
  /^t\.(?!test\()|\bprocess\.(cpuUsage|memoryUsage|resourceUsage|kill|on|once|emit|chdir|exitCode)\b|\bprocess\.env\.\w+ =(?!=)|\bfrom 'node:(diagnostics_channel|worker_threads)'|\bgc\(/m

/** What starts processes. */
const PROCESSES = 'test/helpers/kept-child.ts'

/** What sets the door of all listeners of a process. */
const NODE_DOOR = 'test/doors/without-fast-lane.ts'

/** Milliseconds up to which a file shares a process, and a group gets one more file. */
const SHORT_MS = 8_000

export type Candidate = Readonly<{
  file: string
  text: string
  /** What it leads to. */
  reach: ReadonlySet<string>
  /** Milliseconds that it is expected to take. */
  ms: number
}>

export function canShare({ text, reach, ms }: Candidate): boolean {
  return ms < SHORT_MS && !OWN.test(text) && !reach.has(PROCESSES)
}

/** Those that may share a process, in groups of up to `size`; each of the others alone. */
export function group(candidates: readonly Candidate[], size: number): readonly (readonly Candidate[])[] {
  const groups: Candidate[][] = []
  const open = new Map<string, { files: Candidate[]; ms: number }>()
  for (const candidate of candidates) {
    const files = [candidate]
    if (!canShare(candidate)) {
      groups.push(files)
      continue
    }
    const { reach, ms } = candidate
    // Files that load little do not share a process with those that load the whole gateway.
    const kind = `${reach.has(NODE_DOOR)} ${reach.has('lib/gateway.ts')}`
    const last = open.get(kind)
    if (last !== undefined && last.files.length < size && last.ms < SHORT_MS) {
      last.files.push(candidate)
      last.ms += ms
    } else {
      open.set(kind, { files, ms })
      groups.push(files)
    }
  }
  return groups
}
