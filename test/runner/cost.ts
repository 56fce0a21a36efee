/** What running a test file has cost, as a line of its output. */

export type Cost = Readonly<{
  /** From its start to its end, milliseconds. */
  ms: number
  /** CPU time of its process, with those of children that have ended, milliseconds. */
  cpuMs: number
}>

const LINE = /^# cost of (.+): (\d+) ms, (\d+) ms of CPU$/gm

/** Without the `# ` of a comment. */
export function printCost(module: string, { ms, cpuMs }: Cost): string {
  return `cost of ${module}: ${Math.round(ms)} ms, ${Math.round(cpuMs)} ms of CPU`
}

/** By module. */
export function readCosts(output: string): ReadonlyMap<string, Cost> {
  return new Map(
    [...output.matchAll(LINE)].map(([, module = '', ms, cpuMs]) => [module, { ms: Number(ms), cpuMs: Number(cpuMs) }]),
  )
}
