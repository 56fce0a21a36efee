/**
 * Ports on which nobody listens: for processes that cannot take port 0, and for tests that need a refused connection. They are below
 * those that the kernel gives to outgoing connections and to port 0, so that no other process gets one by chance.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'

const FIRST = 20_000
/** A prime, so that processes whose ids differ by less begin at different ports. */
const COUNT = 9_973
/** Test processes run side by side, with process ids that are near each other: each begins at ports of its own. */
const PORTS_EACH = 16

let next = process.pid * PORTS_EACH

export async function findFreePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    const port = FIRST + (next++ % COUNT)
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

export async function findFreePort(): Promise<number> {
  const [port] = await findFreePorts(1)
  return port!
}

async function isFree(port: number): Promise<boolean> {
  // On every address, since that is where some will open it.
  const server = createServer().listen(port)
  try {
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
  await once(server.close(), 'close')
  return true
}
