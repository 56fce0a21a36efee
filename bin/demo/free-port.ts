/** Finds free ports, so that the demo works even if the usual ones are taken. */
import { createServer } from 'node:net'

/** The number of pairs tried after the first. */
const TRIES = 50

/** The ports of `first`, all moved up by the first step with which they are free; undefined if there is none. */
export async function findFreePorts(first: readonly number[]): Promise<readonly number[] | undefined> {
  for (let step = 0; step < TRIES; step++) {
    const ports = first.map((port) => port + step)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean)) return ports
  }
  return undefined
}

/** True if the port is free on every address, IPv4 and IPv6. */
async function isFree(port: number): Promise<boolean> {
  return (await canListen(port, '0.0.0.0')) && (await canListen(port, '::'))
}

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    // On a machine without IPv6 no IPv6 port is taken.
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'EADDRINUSE' && code !== 'EACCES'))
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)))
  })
}
