/** HTTP/2 connections: sequences of frames that are right, and what becomes of them when frames and fields are damaged. */
import type { Random } from './random.ts'

type Frame = { type: number; flags: number; stream: number; payload: Buffer; length?: number }

const DATA = 0
const HEADERS = 1
const PRIORITY = 2
const RST_STREAM = 3
const SETTINGS = 4
const PUSH_PROMISE = 5
const PING = 6
const GOAWAY = 7
const WINDOW_UPDATE = 8
const CONTINUATION = 9
const END_STREAM = 1
const ACK = 1
const END_HEADERS = 4
const PADDED = 8
const WITH_PRIORITY = 0x20

export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

type Field = readonly [name: string, value: string]

const ODD_FIELDS: readonly Field[] = [
  ['connection', 'close'],
  ['transfer-encoding', 'chunked'],
  ['content-length', '5'],
  ['content-length', '-1'],
  ['te', 'gzip'],
  ['te', 'trailers'],
  ['host', 'other.test'],
  ['X-Upper', 'a'],
  ['x\r\ny', 'a'],
  ['x y', 'a'],
  ['x-a', 'a\r\nb: c'],
  ['x-a', 'a\0b'],
  ['x-a', ' a '],
  ['', 'a'],
  [':status', '200'],
  [':path', '/echo/twice'],
  [':protocol', 'websocket'],
  ['expect', '100-continue'],
  ['cookie', 'a=b'],
  ['x_forwarded_for', '192.0.2.1'],
  ['upgrade', 'websocket'],
  ['x-long', 'v'.repeat(20_000)],
]
const PATHS = [
  '/echo/a',
  '/early',
  '/early-close',
  '/reset',
  '/cut',
  '/slow',
  '/large',
  '/interim',
  '/chunked',
  '/none',
  '/ws',
  '/answer/@',
]
const ODD_PATHS = [
  '*',
  '',
  'echo',
  '/\xe4',
  '/a b',
  '/a\r\nb',
  '/a#b',
  'http://a.test/echo/a',
  `/${'p'.repeat(17_000)}`,
]
const ODD_NUMBERS = [0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff, 0xffff, 16_384, 16_385, 0x4000_0000]

/** The bytes of one connection behind TLS, or of one that begins with the preface. */
export function makeFrames(random: Random): Buffer {
  const frames: Frame[] = [{ type: SETTINGS, flags: 0, stream: 0, payload: makeSettings(random) }]
  if (!random.oneIn(10)) frames.push({ type: SETTINGS, flags: ACK, stream: 0, payload: Buffer.alloc(0) })
  const streams = random.oneIn(8) ? 1 + random.below(120) : 1 + random.below(4)
  for (let at = 0; at < streams; at++) frames.push(...makeStream(random, 2 * at + 1))
  for (let left = random.below(3); left > 0; left--) {
    frames.splice(random.below(frames.length), 0, makeOther(random, 1 + 2 * random.below(streams)))
  }
  for (let left = random.oneIn(3) ? 0 : random.below(4); left > 0; left--) damage(frames, random)
  return Buffer.concat([PREFACE, ...frames.map(encode)])
}

function makeStream(random: Random, stream: number): Frame[] {
  const method = random.pick(['GET', 'GET', 'POST', 'POST', 'HEAD', 'PUT', 'OPTIONS', 'CONNECT', 'TRACE'])
  const hasBody = method === 'POST' || method === 'PUT'
  const path = random.mostly(PATHS, 12, ODD_PATHS).replace('@', String(random.below(100_000)))
  const fields: Field[] = [
    [':method', method],
    [':scheme', 'https'],
    [':path', path],
    [':authority', 'a.test'],
  ]
  if (random.oneIn(15)) fields.splice(random.below(fields.length), 1)
  for (let left = random.oneIn(3) ? random.below(4) : 0; left > 0; left--) {
    fields.splice(random.below(fields.length + 1), 0, random.pick(ODD_FIELDS))
  }
  if (random.oneIn(40)) for (let at = 0; at < 120; at++) fields.push([`x-${at}`, 'a'])
  const frames = makeHeaders(random, stream, fields, !hasBody && !random.oneIn(20))
  if (!hasBody) return frames
  const pieces = random.below(4)
  for (let left = pieces; left > 0; left--) {
    const padding = random.oneIn(8) ? random.below(20) : 0
    const data = Buffer.alloc(random.pick([0, 1, 5, 300, 16_384]), 'd')
    const payload =
      padding === 0 ? data : Buffer.concat([Buffer.of(random.oneIn(5) ? 255 : padding), data, Buffer.alloc(padding)])
    frames.push({ type: DATA, flags: padding === 0 ? 0 : PADDED, stream, payload })
  }
  if (random.oneIn(4)) frames.push(...makeHeaders(random, stream, [['x-t', '1'], random.pick(ODD_FIELDS)], true))
  else frames.push({ type: DATA, flags: random.oneIn(8) ? 0 : END_STREAM, stream, payload: Buffer.alloc(0) })
  return frames
}

function makeHeaders(random: Random, stream: number, fields: readonly Field[], ends: boolean): Frame[] {
  let block = Buffer.concat(fields.map(encodeField))
  let flags = ends ? END_STREAM : 0
  if (random.oneIn(8)) {
    block = Buffer.concat([Buffer.of(0, 0, 0, random.oneIn(4) ? stream : 0, 15), block])
    flags |= WITH_PRIORITY
  }
  const pieces = block.length > 16_384 || random.oneIn(8) ? random.split(block, 6) : [block]
  return pieces
    .flatMap((piece) => (piece.length > 16_384 ? [piece.subarray(0, 16_384), piece.subarray(16_384)] : [piece]))
    .map((payload, at, all) => ({
      type: at === 0 ? HEADERS : CONTINUATION,
      flags: (at === 0 ? flags : 0) | (at === all.length - 1 ? END_HEADERS : 0),
      stream,
      payload,
    }))
}

function makeSettings(random: Random): Buffer {
  const entries: Buffer[] = []
  for (let left = random.below(4); left > 0; left--) {
    const entry = Buffer.alloc(6)
    entry.writeUInt16BE(random.below(10))
    entry.writeUInt32BE(random.oneIn(2) ? random.pick(ODD_NUMBERS) : random.below(100_000), 2)
    entries.push(entry)
  }
  return Buffer.concat(entries)
}

/** A frame that belongs to no request, or ends one. */
function makeOther(random: Random, stream: number): Frame {
  const number = (value: number) => {
    const payload = Buffer.alloc(4)
    payload.writeUInt32BE(value)
    return payload
  }
  const on = random.oneIn(2) ? 0 : stream
  switch (random.below(8)) {
    case 0:
      return { type: RST_STREAM, flags: 0, stream, payload: number(random.below(16)) }
    case 1:
      return { type: PING, flags: random.below(2), stream: 0, payload: Buffer.alloc(8) }
    case 2:
      return { type: GOAWAY, flags: 0, stream: 0, payload: Buffer.concat([number(stream), number(random.below(16))]) }
    case 3:
      return { type: WINDOW_UPDATE, flags: 0, stream: on, payload: number(random.pick(ODD_NUMBERS)) }
    case 4:
      return { type: PRIORITY, flags: 0, stream, payload: Buffer.concat([number(stream), Buffer.of(1)]) }
    case 5:
      return { type: PUSH_PROMISE, flags: END_HEADERS, stream, payload: number(2) }
    case 6:
      return { type: SETTINGS, flags: 0, stream: 0, payload: makeSettings(random) }
    default:
      return { type: random.below(256), flags: random.below(256), stream: on, payload: Buffer.alloc(random.below(40)) }
  }
}

function damage(frames: Frame[], random: Random): void {
  const at = random.below(frames.length)
  const frame = frames[at]
  if (!frame) return
  switch (random.below(9)) {
    case 0:
      frames.splice(at, 1)
      return
    case 1:
      for (let left = random.oneIn(5) ? 200 : 1; left > 0; left--) frames.splice(at, 0, frame)
      return
    case 2:
      frames.splice(random.below(frames.length), 0, ...frames.splice(at, 1))
      return
    case 3:
      frames[at] = { ...frame, type: random.below(11) }
      return
    case 4:
      frames[at] = { ...frame, flags: frame.flags ^ (1 << random.below(8)) }
      return
    case 5:
      frames[at] = { ...frame, stream: random.oneIn(2) ? random.pick(ODD_NUMBERS) : random.below(20) }
      return
    case 6:
      frames[at] = { ...frame, length: random.pick([0, 1, 4, 5, 8, 16_385, 0xffffff, frame.payload.length + 1]) }
      return
    case 7: {
      const payload = Buffer.from(frame.payload)
      for (let left = 1 + random.below(3); left > 0 && payload.length > 0; left--) {
        payload[random.below(payload.length)] = random.below(256)
      }
      frames[at] = { ...frame, payload }
      return
    }
    default:
      frames[at] = { ...frame, payload: frame.payload.subarray(0, random.below(frame.payload.length + 1)) }
  }
}

function encode({ type, flags, stream, payload, length = payload.length }: Frame): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A literal without indexing, with a literal name (RFC 7541 §6.2.2), no Huffman. */
function encodeField([name, value]: Field): Buffer {
  return Buffer.concat([Buffer.of(0), encodeText(name), encodeText(value)])
}

function encodeText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.of(...length, rest), bytes])
}
