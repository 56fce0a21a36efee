/**
 * The kernel's table of TCP sockets (proc_net_tcp): tells of a socket, without reading from it, whether its peer has sent a FIN
 * and how many bytes the peer has not taken. Linux alone; elsewhere nothing is found.
 */
import { type FileHandle, open } from 'node:fs/promises'
import { endianness } from 'node:os'
import ipaddr from 'ipaddr.js'

const IPV4_TABLE = '/proc/self/net/tcp'
const IPV6_TABLE = '/proc/self/net/tcp6'

/** What one read brings at most; the kernel gives a page at a time, in whole lines. */
const READ_SIZE = 16_384
const CLOSE_WAIT = 0x08
const LINE_FEED = 0x0a
const COLON = 0x3a

/** One socket; the table fills in what is known of it. */
export class SocketRow {
  /** Both addresses as they stand in the table. */
  readonly text: string
  readonly isIpv6: boolean
  readonly ports: number
  /** The peer has sent a FIN, which may stand behind bytes that were not read yet. */
  hasFin: boolean = false
  /** Bytes that the peer has not acknowledged; -1: not known. */
  unacknowledged: number = -1
  /** Bytes that have come and were not read, a FIN counted as one. */
  unread: number = 0
  /** Another one with the same ports. */
  next: SocketRow | undefined = undefined

  constructor(localAddress: string, localPort: number, remoteAddress: string, remotePort: number) {
    this.text = `${printAddress(localAddress)}:${printPort(localPort)} ${printAddress(remoteAddress)}:${printPort(remotePort)}`
    this.isIpv6 = localAddress.includes(':')
    this.ports = localPort * 0x10000 + remotePort
  }
}

/**
 * Fills in the rows, a page of the table at a time; those that are not found stay as they are. Resolves to the length of the
 * table in bytes; 0: there is none.
 */
export async function readSocketTable(rows: readonly SocketRow[]): Promise<number> {
  const ipv4 = rows.filter(({ isIpv6 }) => !isIpv6)
  const ipv6 = rows.filter(({ isIpv6 }) => isIpv6)
  return (await readTable(IPV4_TABLE, ipv4)) + (await readTable(IPV6_TABLE, ipv6))
}

async function readTable(path: string, rows: readonly SocketRow[]): Promise<number> {
  if (rows.length === 0) return 0
  const byPorts = new Map<number, SocketRow>()
  for (const row of rows) {
    row.next = byPorts.get(row.ports)
    byPorts.set(row.ports, row)
  }
  let file: FileHandle | undefined
  let length = 0
  try {
    file = await open(path)
    const bytes = Buffer.allocUnsafe(READ_SIZE)
    for (let kept = 0; ; ) {
      const { bytesRead } = await file.read(bytes, kept, READ_SIZE - kept, null)
      if (bytesRead === 0) return length
      length += bytesRead
      const end = kept + bytesRead
      const used = readLines(bytes, end, byPorts)
      bytes.copyWithin(0, used, end)
      kept = end - used
    }
  } catch {
    return 0
  } finally {
    await file?.close()
  }
}

/** Returns where the whole lines end. */
function readLines(bytes: Buffer, end: number, rows: ReadonlyMap<number, SocketRow>): number {
  let start = 0
  for (;;) {
    const lineEnd = bytes.indexOf(LINE_FEED, start)
    if (lineEnd < 0 || lineEnd >= end) return start
    readLine(bytes, start, lineEnd, rows)
    start = lineEnd + 1
  }
}

/** `  sl: local:port remote:port st unacknowledged:unread …`, all but the first in hex of fixed width. */
function readLine(bytes: Buffer, start: number, end: number, rows: ReadonlyMap<number, SocketRow>): void {
  const addresses = bytes.indexOf(COLON, start) + 2
  const local = bytes.indexOf(COLON, addresses) + 1
  const remote = local + 5 + (local - addresses)
  // The heading is too short for it.
  if (addresses === 1 || local === 0 || remote + 25 > end) return
  let row = rows.get(readHex(bytes, local, 4) * 0x10000 + readHex(bytes, remote, 4))
  if (row === undefined) return
  const text = bytes.toString('latin1', addresses, remote + 4)
  while (row !== undefined && row.text !== text) row = row.next
  if (row === undefined) return
  if (readHex(bytes, remote + 5, 2) === CLOSE_WAIT) row.hasFin = true
  row.unacknowledged = readHex(bytes, remote + 8, 8)
  row.unread = readHex(bytes, remote + 17, 8)
}

function readHex(bytes: Buffer, at: number, digits: number): number {
  let value = 0
  for (let index = at; index < at + digits; index++) {
    const byte = bytes[index]!
    value = value * 16 + (byte <= 0x39 ? byte - 0x30 : byte - 0x37)
  }
  return value
}

function printPort(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0')
}

/** Words of four bytes, each as the processor reads it. */
function printAddress(address: string): string {
  const bytes = Buffer.from(ipaddr.parse(address.replace(/%.*/, '')).toByteArray())
  if (endianness() === 'LE') bytes.swap32()
  return bytes.toString('hex').toUpperCase()
}
