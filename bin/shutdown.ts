/** The end of the process, from the first signal or bug to the exit code: a drain, or an immediate exit. */
import type { Gateway } from '../lib/gateway.ts'
import { EXIT } from './command.ts'
import type { Terminal } from './terminal.ts'

/** Milliseconds for the drain after a bug: a broken process must not linger. */
const CRASH_DRAIN_MS = 2_000
/** Milliseconds within which two signals count as one: a Ctrl-C can come from the terminal and again from npm or timeout(1). */
const SAME_SIGNAL_MS = 100

export type Shutdown = Readonly<{
  /** Makes signals drain this gateway; resolves to the exit code once it has stopped. `onStop` is called before the drain. */
  of(gateway: Gateway, onStop: () => void): Promise<number>
}>

/** Handles signals at once, since they have no default for process 1 of a container. */
export function prepareShutdown(terminal: Terminal): Shutdown {
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
    // Before the gateway serves there is nothing to wait for.
    if (!gateway) return host.exit(EXIT.ok)
    firstSignalAt ??= performance.now()
    if (stopping) {
      if (performance.now() - firstSignalAt < SAME_SIGNAL_MS) return
      terminal.tell(`${signal} again: stopped at once`)
      return host.exit(EXIT.unclean)
    }
    stopping = true
    tellStop()
    // A drain that hits its deadline is clean too: a WebSocket never ends by itself.
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
  // At SIGUSR1 Node would open its debugger.
  host.on('SIGUSR1', () => gateway?.reopenLog())
  host.on('uncaughtException', (error) => void crash('uncaught exception', error))
  host.on('unhandledRejection', (reason) => void crash('unhandled rejection', reason))
  return {
    of(started, onStop) {
      gateway = started
      tellStop = onStop
      started.on('drain-asked', () => void stop('SIGTERM'))
      return ended
    },
  }
}
