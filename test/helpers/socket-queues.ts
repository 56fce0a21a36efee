/** What the kernel holds of a connection between two ports of 127.0.0.1, seen from the first of them; Linux alone. */
import { subscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'

export type SocketQueues = Readonly<{
  /** Bytes that the other end has not acknowledged. */
  unsent: number
  /** Bytes that nobody has read. */
  unread: number
}>

export function readQueues(port: number, otherPort: number): SocketQueues | undefined {
  return findQueues(readTable(0), port, otherPort)
}

let table = ''
let readAt = Number.NEGATIVE_INFINITY

/** A table of at most `age` milliseconds ago: to print it takes the kernel milliseconds, and many wait at a time. */
function readTable(age: number): string {
  const now = performance.now()
  if (now - readAt >= age) {
    table = readFileSync('/proc/self/net/tcp', 'latin1')
    readAt = now
  }
  return table
}

function findQueues(table: string, port: number, otherPort: number): SocketQueues | undefined {
  const print = (number: number) => `0100007F:${number.toString(16).toUpperCase().padStart(4, '0')}`
  const addresses = ` ${print(port)} ${print(otherPort)} `
  const at = table.indexOf(addresses)
  if (at < 0) return undefined
  const [, unsent = '', unread = ''] = /^.. (\w{8}):(\w{8})/.exec(table.slice(at + addresses.length)) ?? []
  return { unsent: Number.parseInt(unsent, 16), unread: Number.parseInt(unread, 16) }
}

/** Connections that servers of this process have accepted, by the client's port. */
const accepted = new Map<number, Socket>()
subscribe('net.server.socket', (message) => {
  const { socket } = message as { socket: Socket }
  if (socket.remotePort !== undefined) accepted.set(socket.remotePort, socket)
})

/** Milliseconds between two looks at a connection. */
const LOOK_MS = 50

/** Bytes that each `write` of `fill` sends at least. */
const PIECE = 32_768

/**
 * Has `write` send 32 KiB on and on until the other end reads no more, while the kernel there has still taken all: an end that the
 * client sends now arrives. It stops, too, where the other end closes the connection.
 */
export async function fill(port: number, clientPort: number, write: () => Promise<unknown>): Promise<void> {
  const countRead = () => accepted.get(clientPort)?.bytesRead ?? 0
  for (let standing = 0; standing < 4; ) {
    const read = countRead()
    // The other end has room for one more.
    await write()
    await nextTurn()
    // The kernel's table is long, and not needed to know that what was sent is read. A reader that falls behind would leave bytes
    // at the client, and an end that is sent behind them does not arrive.
    if (countRead() - read >= PIECE) continue
    for (let before = -1; standing < 4; ) {
      const now = findQueues(readTable(before < 0 ? 0 : LOOK_MS / 2), port, clientPort)?.unread
      if (now === undefined) return
      if (now === 0) break
      standing = now === before ? standing + 1 : 0
      before = now
      await sleep(LOOK_MS)
    }
  }
}
