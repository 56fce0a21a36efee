/** How many cores of this machine had nothing to do of late. */
import { cpus } from 'node:os'

type Ticks = Readonly<{ idle: number; all: number }>

export class IdleCores {
  #before: Ticks = readTicks()

  /** Since the last call. */
  read(): number {
    const now = readTicks()
    const { idle, all } = this.#before
    this.#before = now
    // The ticks of a machine may stand still for a moment.
    return now.all > all ? ((now.idle - idle) / (now.all - all)) * cpus().length : 0
  }
}

function readTicks(): Ticks {
  const times = cpus().map(({ times }) => times)
  const idle = times.reduce((sum, one) => sum + one.idle, 0)
  return { idle, all: times.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, idle) }
}
