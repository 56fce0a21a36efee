/** What a group of processes has used: processor time and memory, from /proc. */
import { readdirSync, readFileSync } from 'node:fs'

/** `USER_HZ`, which Linux fixes at 100 for what it shows in /proc. */
const TICKS_PER_SECOND = 100
const PAGE_BYTES = 4096

/** Fields of /proc/PID/stat behind the name, counted from the state (proc(5), field 3). */
const PROCESS_GROUP = 2
const USER_TIME = 11
const CHILD_SYSTEM_TIME = 14
const RESIDENT_PAGES = 21

export type Usage = Readonly<{
  /** User and system time, with that of children that are gone. */
  cpuSeconds: number
  /** The sum over the processes: what they share counts for each. */
  residentBytes: number
  /** Open files and sockets. */
  descriptors: number
  /** Processor seconds of each process, by its id. */
  perProcess: ReadonlyMap<number, number>
}>

/** The usage of the processes whose group is `group`, up to now. */
export function readUsage(group: number): Usage {
  const perProcess = new Map<number, number>()
  let cpuSeconds = 0
  let pages = 0
  let descriptors = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const fields = readStat(name)
    if (fields === undefined || Number(fields[PROCESS_GROUP]) !== group) continue
    const ticks = fields.slice(USER_TIME, CHILD_SYSTEM_TIME + 1).reduce((sum, value) => sum + Number(value), 0)
    perProcess.set(Number(name), ticks / TICKS_PER_SECOND)
    cpuSeconds += ticks / TICKS_PER_SECOND
    pages += Number(fields[RESIDENT_PAGES])
    descriptors += countDescriptors(name)
  }
  return { cpuSeconds, residentBytes: pages * PAGE_BYTES, descriptors, perProcess }
}

/** None where the process ended meanwhile. */
function countDescriptors(pid: string): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch {
    return 0
  }
}

/** Undefined where the process ended meanwhile. */
function readStat(pid: string): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}

/** Seconds that one core was not idle since the machine started: all processes, interrupts and what the host took. */
export function readBusySeconds(core: number): number {
  const line = readFileSync('/proc/stat', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`cpu${core} `))
  // user nice system idle iowait irq softirq steal; guest time is within user's (proc(5)).
  const [user, nice, system, , , interrupts, softInterrupts, stolen] = (line ?? '').split(' ').slice(1).map(Number)
  return (user! + nice! + system! + interrupts! + softInterrupts! + stolen!) / TICKS_PER_SECOND
}
