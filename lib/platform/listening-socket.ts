/**
 * A port bound by the control process for its workers. The control process never accepts: while a worker is away, connections
 * wait in the kernel's queue for the worker that takes its place.
 */
import net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { openAt } from './listen.ts'

/** A bound TCP socket of Node's own kind, as `ChildProcess.send` and `Server.listen` take it. */
export type SocketHandle = {
  /** 0, or the negative of an error number. */
  getsockname(into: { port?: number }): number
  close(): void
}

/** Node's cluster module binds with it as well. A number is the negative of an error number. */
type CreateServerHandle = (
  address: string,
  port: number,
  family: 4 | 6,
  fd: undefined,
  flags: number,
) => SocketHandle | number

const createServerHandle = (net as { _createServerHandle?: CreateServerHandle })._createServerHandle

/** False: this Node does not bind ports for other processes. */
export const canBindForWorkers: boolean = typeof createServerHandle === 'function'

/** UV_TCP_REUSEPORT, known from libuv 1.49 on: each worker has a socket of its own, and the kernel spreads connections evenly. */
const REUSEPORT = 2
const [major = 0, minor = 0] = process.versions.uv.split('.').map(Number)
const canReusePort = process.platform === 'linux' && (major > 1 || minor >= 49)

export class ListeningSocket {
  readonly port: number
  readonly #handles: readonly SocketHandle[]

  private constructor(port: number, handles: readonly SocketHandle[]) {
    this.port = port
    this.#handles = handles
  }

  /** Binds `address` for a number of workers; port 0 takes a free one. Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  static bind(address: string, port: number, workers: number): Promise<ListeningSocket> {
    return openAt(address, (each) => ListeningSocket.#bind(each, port, workers))
  }

  static #bind(address: string, port: number, workers: number): ListeningSocket {
    // Without the flag first: with it, a port that another Portico serves would be shared with that one.
    const first = open(address, port, 0)
    if (!canReusePort || workers === 1) return new ListeningSocket(readPort(first), [first])
    const bound = readPort(first)
    first.close()
    const handles: SocketHandle[] = []
    try {
      while (handles.length < workers) handles.push(open(address, bound, REUSEPORT))
    } catch (error) {
      for (const handle of handles) handle.close()
      throw error
    }
    return new ListeningSocket(bound, handles)
  }

  /** The socket of a worker, numbered from 0. */
  handle(worker: number): SocketHandle {
    return this.#handles[worker % this.#handles.length]!
  }

  close(): void {
    for (const handle of this.#handles) handle.close()
  }
}

function open(address: string, port: number, flags: number): SocketHandle {
  if (!createServerHandle) throw new Error('this Node does not bind ports for other processes')
  const handle = createServerHandle(address, port, address.includes(':') ? 6 : 4, undefined, flags)
  if (typeof handle === 'number') throw systemError(handle, address, port)
  // Of a port in use libuv tells only now.
  const failure = handle.getsockname({})
  if (failure === 0) return handle
  handle.close()
  throw systemError(failure, address, port)
}

function readPort(handle: SocketHandle): number {
  const name: { port?: number } = {}
  handle.getsockname(name)
  return name.port ?? 0
}

function systemError(number: number, address: string, port: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(number)
  return Object.assign(new Error(`bind ${code} ${address}:${port}`), { code, syscall: 'bind', address, port })
}
