/** Damages bytes the way attackers, proxies and bad memory do. */
import type { Random } from './random.ts'

/** Bytes that parsers disagree about. */
const ODD_BYTES = [
  0x00, 0x01, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x1f, 0x20, 0x22, 0x23, 0x2c, 0x2d, 0x2e, 0x30, 0x3a, 0x3b, 0x40,
  0x5c, 0x5f, 0x78, 0x7f, 0x80, 0x85, 0xa0, 0xad, 0xff,
]

/** What is put between two lines or in place of one. */
const SPLICES = [
  'Content-Length: 5\r\n',
  'Content-Length: 0\r\n',
  'content-length:5\r\n',
  'Content-Length : 5\r\n',
  'Content-Length: +5\r\n',
  'Content-Length: 5, 5\r\n',
  'Content_Length: 5\r\n',
  'Transfer-Encoding: chunked\r\n',
  'transfer-encoding:chunked\r\n',
  'Transfer-Encoding: gzip, chunked\r\n',
  'Transfer-Encoding: chunked, identity\r\n',
  'Transfer-Encoding: \tchunked \t\r\n',
  'Transfer-Encoding: x\r\n',
  'Transfer-Encoding\r\n',
  ' Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  'Connection: keep-alive\r\n',
  'Connection: close, keep-alive\r\n',
  'Connection: Upgrade\r\nUpgrade: websocket\r\n',
  'Host: other.test\r\n',
  'X-A: b\n',
  'X-A: b\r',
  'X-A: b\r\r\n',
  ': nameless\r\n',
  'X-Empty:\r\n',
  'X-Fold: a\r\n b\r\n',
  'Trailer: X-T\r\n',
  'Expect: 100-continue\r\n',
  '\r\n',
  '0\r\n\r\n',
  '0\r\nX-T: 1\r\n\r\n',
  '5\r\nabcde\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n',
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
]

/** Numbers as they stand for lengths and chunk sizes. */
const SIZES = [
  '0',
  '1',
  '5',
  '05',
  '0x5',
  '+5',
  '-1',
  '5 ',
  ' 5',
  '5;a=b',
  '5;a="\r\n"',
  'A',
  'a',
  'ffffffffffffffff',
  '10000000000000000',
  '9007199254740993',
  '99999999999999999999',
  '1e1',
  '5,5',
  '',
]

type Mutation = (bytes: Buffer, random: Random) => Buffer

const MUTATIONS: readonly Mutation[] = [
  // A byte comes in.
  (bytes, random) => insert(bytes, random.below(bytes.length + 1), Buffer.of(pickByte(random))),
  // A byte changes.
  (bytes, random) => {
    const changed = Buffer.from(bytes)
    if (changed.length > 0) changed[random.below(changed.length)] = pickByte(random)
    return changed
  },
  // A bit flips.
  (bytes, random) => {
    const changed = Buffer.from(bytes)
    const at = random.below(Math.max(1, changed.length))
    if (at < changed.length) changed[at] = changed[at]! ^ (1 << random.below(8))
    return changed
  },
  // A range goes.
  (bytes, random) => {
    const start = random.below(bytes.length + 1)
    return cut(bytes, start, start + 1 + random.below(random.oneIn(3) ? 20 : 2))
  },
  // A range comes twice.
  (bytes, random) => {
    const start = random.below(bytes.length + 1)
    const range = bytes.subarray(start, start + 1 + random.below(30))
    return insert(bytes, random.oneIn(2) ? start : random.below(bytes.length + 1), range)
  },
  // Line ends of another kind.
  (bytes, random) => {
    const at = pickPlace(bytes, '\r\n', random)
    if (at < 0) return bytes
    const end = random.pick([
      '\n',
      '\r',
      '\n\r',
      '\r\r\n',
      '\r\n\r\n',
      ' \r\n',
      '\t\r\n',
      '\r\n ',
      '\r\n\t',
      '\r \n',
      '',
    ])
    return insert(cut(bytes, at, at + 2), at, Buffer.from(end, 'latin1'))
  },
  // A line of its own.
  (bytes, random) => {
    const at = pickPlace(bytes, '\r\n', random)
    return insert(bytes, at < 0 ? 0 : at + 2, Buffer.from(random.pick(SPLICES), 'latin1'))
  },
  // Blanks about the colon.
  (bytes, random) => {
    const at = pickPlace(bytes, ':', random)
    if (at < 0) return bytes
    const colon = random.pick([' :', '\t:', ':\t', '::', ':  ', ':\x0b', ':\0', '', ';', ' : '])
    return insert(cut(bytes, at, at + 1), at, Buffer.from(colon, 'latin1'))
  },
  // Another number.
  (bytes, random) => {
    const text = bytes.toString('latin1')
    const numbers = [...text.matchAll(/(?<=^|: |\r\n)[0-9a-fA-F]+(?=[\r;]|$)/g)]
    if (numbers.length === 0) return bytes
    const { index, 0: found } = random.pick(numbers)
    return insert(cut(bytes, index, index + found.length), index, Buffer.from(random.pick(SIZES), 'latin1'))
  },
  // Two ranges change places.
  (bytes, random) => {
    const lines = bytes.toString('latin1').split('\r\n')
    const [a, b] = [random.below(lines.length), random.below(lines.length)]
    const line = lines[a]!
    lines[a] = lines[b]!
    lines[b] = line
    return Buffer.from(lines.join('\r\n'), 'latin1')
  },
  // The end is missing.
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
]

/** `bytes` damaged `times` times. */
export function mutate(bytes: Buffer, times: number, random: Random): Buffer {
  let mutated = bytes
  for (let done = 0; done < times; done++) mutated = random.pick(MUTATIONS)(mutated, random)
  return mutated
}

/** The shortest input found for which `fails` still holds: ranges go, ever smaller ones, as long as it does. */
export async function shrink(bytes: Buffer, fails: (bytes: Buffer) => Promise<boolean>): Promise<Buffer> {
  let smallest = bytes
  for (let size = Math.ceil(bytes.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let start = 0; start < smallest.length; ) {
      const shorter = cut(smallest, start, start + size)
      if (await fails(shorter)) smallest = shorter
      else start += size
    }
  }
  return smallest
}

function pickByte(random: Random): number {
  return random.oneIn(3) ? random.below(256) : random.pick(ODD_BYTES)
}

function pickPlace(bytes: Buffer, what: string, random: Random): number {
  const places: number[] = []
  for (let at = bytes.indexOf(what); at >= 0; at = bytes.indexOf(what, at + 1)) places.push(at)
  return places.length === 0 ? -1 : random.pick(places)
}

function insert(bytes: Buffer, at: number, what: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)])
}

function cut(bytes: Buffer, start: number, end: number): Buffer {
  return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)])
}
