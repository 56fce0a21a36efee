/** Stands in for the process that the command line runs in: gives it words, environment and stdin, and keeps what it writes. */
import { PassThrough, Readable } from 'node:stream'
import type { HostProcess } from '../../bin/host-process.ts'

export class TestProcess implements HostProcess {
  title = 'node'
  readonly argv: string[]
  readonly env: NodeJS.ProcessEnv
  readonly stdin: Readable
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()

  constructor(words: readonly string[], environment: NodeJS.ProcessEnv, stdin = '') {
    this.argv = ['node', 'portico', ...words]
    this.env = environment
    this.stdin = Readable.from(stdin === '' ? [] : [Buffer.from(stdin)])
  }

  /** What was written since the last call. */
  output(stream: 'stdout' | 'stderr'): string {
    let text = ''
    // Node 26 reads a chunk at a time.
    for (let chunk = this[stream].read(); chunk !== null; chunk = this[stream].read()) text += chunk
    return text
  }

  /** A verb that serves takes over the signals. */
  on(): never {
    throw new Error('a verb that serves does not run to an end')
  }

  exit(code?: number | string | null): never {
    throw new Error(`the command line ended with ${code}, and left nothing to be told`)
  }
}
