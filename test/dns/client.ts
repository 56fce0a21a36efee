/** DNS clients that can send anything, and what they read of an answer. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

export type QueryOptions = Readonly<{
  id?: number
  flags?: number
  /** Payload size of an OPT record; left out: none. */
  payload?: number
  questionClass?: number
}>

/** A question as any client would write it: RD set. `name` is without anything escaped. */
export function makeQuery(name: string, type: number, options: QueryOptions = {}): Buffer {
  const { id = 0x1234, flags = 0x0100, payload, questionClass = 1 } = options
  const header = Buffer.alloc(12)
  for (const [index, value] of [id, flags, 1, 0, 0, payload === undefined ? 0 : 1].entries()) {
    header.writeUInt16BE(value, index * 2)
  }
  const end = Buffer.alloc(4)
  end.writeUInt16BE(type, 0)
  end.writeUInt16BE(questionClass, 2)
  return Buffer.concat([header, encodeName(name), end, ...(payload === undefined ? [] : [makeOpt(payload)])])
}

export function encodeName(name: string): Buffer {
  const labels = name === '' ? [] : name.split('.')
  const parts = labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]))
  return Buffer.concat([...parts, Buffer.alloc(1)])
}

export function makeOpt(payload: number, version = 0): Buffer {
  return Buffer.from([0, 0, 41, payload >> 8, payload & 255, 0, version, 0, 0, 0, 0])
}

export type Header = Readonly<{
  id: number
  isAnswer: boolean
  opcode: number
  code: number
  isCut: boolean
  recursionAvailable: boolean
  /** Questions, answers, authority, additional. */
  counts: readonly number[]
}>

export function readHeader(message: Buffer): Header {
  const flags = message.readUInt16BE(2)
  return {
    id: message.readUInt16BE(0),
    isAnswer: (flags & 0x8000) !== 0,
    opcode: (flags >> 11) & 0xf,
    code: flags & 0xf,
    isCut: (flags & 0x0200) !== 0,
    recursionAvailable: (flags & 0x0080) !== 0,
    counts: [4, 6, 8, 10].map((at) => message.readUInt16BE(at)),
  }
}

/** Sends packets in order, and waits for one answer to the last of them. */
export async function askUdp(port: number, ...packets: readonly Buffer[]): Promise<Buffer> {
  const socket = createSocket('udp4')
  const answered = once(socket, 'message')
  for (const packet of packets) socket.send(packet, port, '127.0.0.1')
  const [message] = await answered
  socket.close()
  return message
}

export type TcpClient = Readonly<{
  socket: Socket
  /** Sends messages, each behind its length. */
  send(...messages: readonly Buffer[]): void
  /** The next whole message. Rejects where the connection ends before. */
  next(): Promise<Buffer>
  /** Resolves when the other side has closed. */
  closed: Promise<unknown>
}>

export async function connectTcp(port: number): Promise<TcpClient> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.on('error', () => undefined)
  socket.on('end', () => socket.end())
  await once(socket, 'connect')
  let held: Buffer = Buffer.alloc(0)
  let wake = (): void => undefined
  socket.on('data', (chunk) => {
    held = Buffer.concat([held, chunk])
    wake()
  })
  socket.on('close', () => wake())
  return {
    socket,
    closed,
    send: (...messages) => {
      socket.write(Buffer.concat(messages.map(frame)))
    },
    next: async () => {
      for (;;) {
        if (held.length >= 2 && held.length >= held.readUInt16BE(0) + 2) {
          const message = held.subarray(2, held.readUInt16BE(0) + 2)
          held = held.subarray(message.length + 2)
          return message
        }
        if (socket.destroyed) throw new Error('the connection was closed')
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

export function frame(message: Buffer): Buffer {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(message.length)
  return Buffer.concat([length, message])
}
