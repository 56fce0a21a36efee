/** What the kernel holds of a connection between two ports of 127.0.0.1, seen from the first of them; Linux alone. */
import { subscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { until } from './until.ts'

export type SocketQueues = Readonly<{
  /** Bytes that the other end has not acknowledged. */
  unsent: number
  /** Bytes that nobody has read. */
  unread: number
}>

export function readQueues(port: number, otherPort: number): SocketQueues | undefined {
  const table = readFileSync('/proc/self/net/tcp', 'latin1')
  const print = (number: number) => `0100007F:${number.toString(16).toUpperCase().padStart(4, '0')}`
  const addresses = ` ${print(port)} ${print(otherPort)} `
  const at = table.indexOf(addresses)
  if (at < 0) return undefined
  const [, unsent = '', unread = ''] = /^.. (\w{8}):(\w{8})/.exec(table.slice(at + addresses.length)) ?? []
  return { unsent: Number.parseInt(unsent, 16), unread: Number.parseInt(unread, 16) }
}

/** All open sockets of this process, of clients and of servers. */
const sockets = new Set<Socket>()
for (const channel of ['net.client.socket', 'net.server.socket']) {
  subscribe(channel, (message) => {
    const { socket } = message as { socket: Socket }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
}

async function findSocket(port: number, otherPort: number): Promise<Socket> {
  const isIt = ({ localPort, remotePort }: Socket) => localPort === port && remotePort === otherPort
  // A client may be connected before the server has accepted its connection.
  await until(() => [...sockets].some(isIt))
  return [...sockets].find(isIt)!
}

/** Milliseconds between two looks at a connection. */
const LOOK_MS = 50

/**
 * Has `write` send on and on until the other end reads no more, while the kernel there has still taken all: an end that the
 * client sends now arrives. It stops, too, where the other end closes the connection.
 */
export async function fill(port: number, clientPort: number, write: () => Promise<unknown>): Promise<void> {
  const client = await findSocket(clientPort, port)
  const other = await findSocket(port, clientPort)
  // What a reader that falls behind leaves at the client would keep an end that is sent behind it from arriving.
  const countUnread = () => client.bytesWritten - other.bytesRead
  for (let standing = 0; standing < 4; ) {
    // The other end has room for one more.
    await write()
    await nextTurn()
    for (let before = -1; standing < 4; ) {
      if (other.destroyed) return
      const now = countUnread()
      if (now === 0) break
      standing = now === before ? standing + 1 : 0
      before = now
      await sleep(LOOK_MS)
    }
  }
}
