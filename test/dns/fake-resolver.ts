/** A DNS server that answers as a test wants: late, twice, with another id, or not at all. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { Test } from 'tap'
import { encodeName, frame } from './client.ts'

export type Asked = Readonly<{ message: Buffer; transport: 'udp' | 'tcp'; fromPort: number }>

export type FakeResolver = Readonly<{
  port: number
  /** All it was asked so far. */
  asked: readonly Asked[]
}>

/** `reply` sends what it likes, whenever it likes. */
export type Behaviour = (asked: Asked, reply: (message: Buffer) => void) => void

export async function startFakeResolver(t: Test, behave: Behaviour): Promise<FakeResolver> {
  const asked: Asked[] = []
  const take = (one: Asked, reply: (message: Buffer) => void): void => {
    asked.push(one)
    behave(one, reply)
  }
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', (chunk) => {
      // Tests run side by side, and what another of them sends to a port that it had before is no question (RFC 1035 §4.2.2).
      if (chunk.length < 2 || chunk.readUInt16BE(0) !== chunk.length - 2) return
      const one = { message: chunk.subarray(2), transport: 'tcp', fromPort: socket.remotePort ?? 0 } as const
      take(one, (message) => socket.write(frame(message)))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const udp = createSocket('udp4')
  udp.on('message', (message, { port: fromPort }) => {
    take({ message, transport: 'udp', fromPort }, (reply) => udp.send(reply, fromPort, '127.0.0.1'))
  })
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    udp.close()
  })
  return { port, asked }
}

export type FakeRecord = Readonly<{ name: string; type: number; ttl?: number; data: Buffer }>

/** The answer to `query`, whose one question it repeats. */
export function answer(query: Buffer, records: readonly FakeRecord[] = [], code = 0, flags = 0x8180): Buffer {
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(flags | code, 2)
  header.writeUInt16BE(records.length, 6)
  header.writeUInt16BE(0, 8)
  header.writeUInt16BE(0, 10)
  return Buffer.concat([header, questionOf(query), ...records.map(encodeRecord)])
}

export function address(name: string, ...bytes: readonly number[]): FakeRecord {
  return { name, type: bytes.length === 4 ? 1 : 28, data: Buffer.from(bytes) }
}

export function alias(name: string, target: string): FakeRecord {
  return { name, type: 5, data: encodeName(target) }
}

function encodeRecord({ name, type, ttl = 30, data }: FakeRecord): Buffer {
  const fixed = Buffer.alloc(10)
  fixed.writeUInt16BE(type, 0)
  fixed.writeUInt16BE(1, 2)
  fixed.writeUInt32BE(ttl, 4)
  fixed.writeUInt16BE(data.length, 8)
  return Buffer.concat([encodeName(name), fixed, data])
}

function questionOf(query: Buffer): Buffer {
  let at = 12
  while (query[at] !== 0) at += (query[at] ?? 0) + 1
  return query.subarray(12, at + 5)
}
