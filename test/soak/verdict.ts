/** Whether what was measured along the way stayed flat. */

export type Sample = Readonly<{
  /** Seconds since the start. */
  at: number
  ok: number
  failed: number
  p50: number
  p99: number
  /** Bytes. */
  workerResident: number
  workerHeap: number
  controlResident: number
  workerDescriptors: number
  controlDescriptors: number
  inFlight: number
  connections: number
  restarts: number
  contained: number
}>

/** What is left behind once the traffic has stopped, beside what there was before it began. */
export type Rest = Readonly<{ inFlight: number; tunnels: number; connections: number; descriptors: number }>

const MIB = 2 ** 20
/** Growth from one third to the last that is none: garbage that has not been collected yet. */
const ALLOWED = { share: 0.15, resident: 48 * MIB, descriptors: 40 }
/** One request in so many may fail: what a busy machine cuts. */
const ONE_IN = 1_000
/** Latencies of the last third against the first; and what is noise, milliseconds. */
const SLOWER = 2
const NOISE_MS = 50
/** Of connections to endpoints, which are kept for a while. */
const ALLOWED_DESCRIPTORS = 20

/** What is wrong; nothing where all is flat. */
export function judge(samples: readonly Sample[], before: Rest, after: Rest): readonly string[] {
  const wrong: string[] = []
  const last = samples.at(-1)
  if (!last) return ['nothing was measured']
  if (last.restarts > 0) wrong.push(`${last.restarts} restarts of the worker`)
  if (last.contained > 0) wrong.push(`${last.contained} contained errors`)
  if (last.ok === 0) wrong.push('no ordinary request was served')
  if (last.failed * ONE_IN > last.ok) wrong.push(`${last.failed} of ${last.ok + last.failed} ordinary requests failed`)

  const third = Math.floor(samples.length / 3)
  const thirds = [samples.slice(0, third), samples.slice(third, -third || undefined), samples.slice(-third)] as const
  const grows = (name: string, read: (sample: Sample) => number, allowed: number, print: (value: number) => string) => {
    // The first third warms up.
    const [, middle, end] = thirds.map((part) => median(part.map(read))) as [number, number, number]
    if (end > middle * (1 + ALLOWED.share) + allowed) wrong.push(`${name} grow from ${print(middle)} to ${print(end)}`)
  }
  const mib = (value: number) => `${(value / MIB).toFixed(0)} MiB`
  grows("the worker's resident bytes", (sample) => sample.workerResident, ALLOWED.resident, mib)
  grows("the control process's resident bytes", (sample) => sample.controlResident, ALLOWED.resident, mib)
  grows("the worker's descriptors", (sample) => sample.workerDescriptors, ALLOWED.descriptors, String)
  grows("the control process's descriptors", (sample) => sample.controlDescriptors, ALLOWED.descriptors, String)

  const [early, , late] = thirds.map((part) => median(part.map(({ p99 }) => p99))) as [number, number, number]
  if (late > early * SLOWER + NOISE_MS) wrong.push(`p99 grows from ${early.toFixed(1)} to ${late.toFixed(1)} ms`)

  if (after.inFlight > 0) wrong.push(`${after.inFlight} requests are left in flight`)
  if (after.tunnels > 0) wrong.push(`${after.tunnels} tunnels are left`)
  if (after.connections > 0) wrong.push(`${after.connections} connections are left`)
  if (after.descriptors > before.descriptors + ALLOWED_DESCRIPTORS) {
    wrong.push(`${after.descriptors} descriptors are left, ${before.descriptors} there were`)
  }
  return wrong
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
}
