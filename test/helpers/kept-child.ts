/** Processes that do not outlive whoever started them, however that ends: SIGKILL too, after which it can do nothing. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/** A line comes when the process has ended; the end of all input, when nobody is left who would end it. */
const WATCH = 'read -r ended || kill -9 "$0"'

/** Ends with this process; with `group` all that are in its process group. */
export function keepChild<T extends ChildProcess>(child: T, { group = false } = {}): T {
  if (child.pid === undefined) return child
  // Detached, so that what ends this process by its group leaves the watch alone.
  const watch = spawn('sh', ['-c', WATCH, `${group ? '-' : ''}${child.pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  })
  watch.stdin.on('error', () => {})
  watch.on('error', () => {})
  // A pipe is a socket here: neither it nor the watch holds this process.
  ;(watch.stdin as unknown as Socket).unref()
  watch.unref()
  child.once('exit', () => watch.stdin.end('ended\n'))
  return child
}
