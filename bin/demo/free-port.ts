/** Finds ports that can be opened, for a demo that must not fail where something else already runs. */
import { createServer } from 'node:net'

/** How many pairs after the first are tried. */
const TRIES = 50

/** The first of `port`, `port` + 1, … for which all of `offsets` are free; undefined where none is. */
export async function findFreePorts(first: readonly number[]): Promise<readonly number[] | undefined> {
  for (let step = 0; step < TRIES; step++) {
    const ports = first.map((port) => port + step)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return ports
  }
  return undefined
}

/** Free on every address, IPv4 and IPv6. */
async function isFree(port: number): Promise<boolean> {
  return (await canListen(port, '0.0.0.0')) && (await canListen(port, '::'))
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    // A machine without IPv6 has nothing there that could be in the way.
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE' && code !== 'EACCES'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
