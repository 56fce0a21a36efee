/** From the first signal or bug to the exit code: a drain, or an end at once. */
import type { Gateway } from '../lib/gateway.ts'
import { EXIT } from './command.ts'
import type { Terminal } from './terminal.ts'

/** After a bug the drain gets this long, milliseconds: a broken process must not linger. */
const CRASH_DRAIN_MS = 2_000
/** One Ctrl-C can come twice, from the terminal and handed on by npm or timeout(1): so close together they are one. */
const SAME_SIGNAL_MS = 100

export type Life = Readonly<{
  /** From here on signals drain this gateway; resolves to the exit code once it has stopped. `onStop` is called before the drain. */
  lead(gateway: Gateway, onStop: () => void): Promise<number>
}>

/** Takes over the signals at once, since process 1 of a container has no default for them. */
export function createLife(terminal: Terminal): Life {
  const { host } = terminal
  let gateway: Gateway | undefined
  let stopping = false
  let tellStop = () => {}
  let firstSignalAt: number | undefined
  let resolve: (code: number) => void
  const ended = new Promise<number>((resolveEnded) => {
    resolve = resolveEnded
  })

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    // Nothing is served yet: there is nothing to wait for.
    if (!gateway) return host.exit(EXIT.ok)
    firstSignalAt ??= performance.now()
    if (stopping) {
      if (performance.now() - firstSignalAt < SAME_SIGNAL_MS) return
      terminal.tell(`${signal} again: stopped at once`)
      return host.exit(EXIT.unclean)
    }
    stopping = true
    tellStop()
    // The drain deadline is part of a clean stop (a WebSocket never ends by itself).
    await gateway.stop()
    resolve(EXIT.ok)
  }

  const crash = async (kind: string, error: unknown): Promise<void> => {
    const text = error instanceof Error ? error.stack : String(error)
    terminal.tell(`${terminal.paintTalk('red', `portico: ${kind}, a bug: stopping`)}\n${text}`)
    if (!gateway || stopping) return host.exit(EXIT.failure)
    stopping = true
    tellStop()
    setTimeout(() => host.exit(EXIT.failure), CRASH_DRAIN_MS).unref()
    await gateway.stop()
    resolve(EXIT.failure)
  }

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) host.on(signal, () => void stop(signal))
  host.on('SIGHUP', () => void gateway?.reload())
  // Whoever rotates logs may send it; Node would open its debugger.
  host.on('SIGUSR1', () => {})
  host.on('uncaughtException', (error) => void crash('uncaught exception', error))
  host.on('unhandledRejection', (reason) => void crash('unhandled rejection', reason))
  return {
    lead(started, onStop) {
      gateway = started
      tellStop = onStop
      return ended
    },
  }
}
