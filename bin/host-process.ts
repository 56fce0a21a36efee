/** What the command line uses of the process that it runs in. Node's `process` has all of it; tests make one of their own. */
import type { Writable } from 'node:stream'

type Output = Writable & Readonly<{ isTTY?: boolean; columns?: number; rows?: number }>

export type HostProcess = Pick<NodeJS.Process, 'argv' | 'env' | 'title' | 'exit'> &
  Readonly<{ stdin: AsyncIterable<Buffer>; stdout: Output; stderr: Output }> & {
    on(event: NodeJS.Signals, listener: () => void): unknown
    on(event: 'uncaughtException', listener: (error: Error) => void): unknown
    on(event: 'unhandledRejection', listener: (reason: unknown) => void): unknown
  }
