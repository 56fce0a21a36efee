/** What one fuzzed connection does, from the seed and its number alone: which bytes, in which pieces, and how it ends. */
import { GATEWAY_SAMPLES, OTHER_SAMPLES } from './connection-samples.ts'
import { makeFrames, PREFACE } from './frames.ts'
import { makeRequest } from './grammar.ts'
import { mutate } from './mutation.ts'
import { Random } from './random.ts'

/** `lane`: the gateway as it is; `node`: with `--no-fast-lane`. */
export const DOORS = ['lane', 'node'] as const
export type Door = (typeof DOORS)[number]

/** `port` is the port of a Service that speaks HTTP. */
export const TRANSPORTS = ['http', 'https', 'port'] as const
export type Transport = (typeof TRANSPORTS)[number]

/** Behind it: nothing, another turn of the event loop, or an answer (or a while without). */
export type Piece = Readonly<{ bytes: Buffer; pause: 'none' | 'turn' | 'answer' }>

/** `wait`: until no more answers come; `hold`: until the gateway ends it, or longer than its time limits. */
export type Ending = 'fin' | 'rst' | 'wait' | 'hold'

export type Plan = Readonly<{
  number: number
  door: Door
  transport: Transport
  protocol: 'http/1.1' | 'h2'
  pieces: readonly Piece[]
  ending: Ending
  /** Takes what it is answered. */
  reads: boolean
}>

const SYSTEMATIC: readonly Buffer[] = GATEWAY_SAMPLES.map((text) => Buffer.from(text.replaceAll('@', '1'), 'latin1'))

/** Every sample split, and every sample cut, behind each of its bytes, at each door over each transport. */
export const SYSTEMATIC_COUNT: number =
  2 * DOORS.length * TRANSPORTS.length * SYSTEMATIC.reduce((sum, { length }) => sum + length, 0)

/** Coprime to the count, so that a short run has some of everything. */
const STRIDE = 7_368_787

/** One in so many is the next of the systematic ones. */
const SYSTEMATIC_SHARE = 3

export function makePlan(seed: number, number: number): Plan {
  const random = new Random((seed + Math.imul(number, 0x9e3779b1)) >>> 0)
  if (number % SYSTEMATIC_SHARE === 0) return makeSystematic(number, random)
  const door = random.pick(DOORS)
  const transport = random.pick(TRANSPORTS)
  const ending = pickEnding(random)
  const reads = !random.oneIn(20)
  if (random.oneIn(6)) {
    const bytes = makeFrames(random)
    const mutated = random.oneIn(6)
      ? Buffer.concat([PREFACE, mutate(bytes.subarray(PREFACE.length), 1, random)])
      : bytes
    return { number, door, transport, protocol: 'h2', pieces: makePieces(mutated, random), ending, reads }
  }
  const pieces = makePieces(makeBytes(random), random)
  return { number, door, transport, protocol: 'http/1.1', pieces, ending, reads }
}

function makeSystematic(number: number, random: Random): Plan {
  let at = Number((BigInt(number / SYSTEMATIC_SHARE) * BigInt(STRIDE)) % BigInt(SYSTEMATIC_COUNT))
  const take = <T>(choices: readonly T[]): T => {
    const choice = choices[at % choices.length]!
    at = Math.floor(at / choices.length)
    return choice
  }
  const door = take(DOORS)
  const transport = take(TRANSPORTS)
  const isCut = take([true, false])
  const bytes = SYSTEMATIC.find(({ length }) => {
    if (at < length) return true
    at -= length
    return false
  })!
  const end = at + 1
  const pieces: Piece[] = [{ bytes: bytes.subarray(0, end), pause: isCut ? 'none' : random.pick(['turn', 'answer']) }]
  if (!isCut && end < bytes.length) pieces.push({ bytes: bytes.subarray(end), pause: 'none' })
  const ending = isCut ? pickEnding(random) : 'wait'
  return { number, door, transport, protocol: 'http/1.1', pieces, ending, reads: true }
}

function pickEnding(random: Random): Ending {
  return random.oneIn(150) ? 'hold' : random.pick(['fin', 'fin', 'rst', 'wait', 'wait'])
}

/** One connection's requests: samples one behind the other, or spliced, and what damage does to them. */
function makeBytes(random: Random): Buffer {
  const parts: Buffer[] = []
  do parts.push(makePart(random))
  while (parts.length < 5 && random.oneIn(2))
  let bytes: Buffer = Buffer.concat(parts)
  if (random.oneIn(8)) {
    const other = makePart(random)
    bytes = Buffer.concat([
      bytes.subarray(0, random.below(bytes.length + 1)),
      other.subarray(random.below(other.length)),
    ])
  }
  for (let left = random.oneIn(3) ? 0 : 1 + random.below(4); left > 0; left--) {
    bytes = random.oneIn(2) ? mutate(bytes, 1, random) : random.pick(DAMAGES)(bytes, random)
  }
  return bytes
}

function makePart(random: Random): Buffer {
  if (random.oneIn(6)) return makeRequest(random, random.pick([10, 40, 400]))
  const text = random.oneIn(4) ? random.pick(OTHER_SAMPLES) : random.pick(GATEWAY_SAMPLES)
  return Buffer.from(
    text.replace(/@/g, () => String(random.below(100_000))),
    'latin1',
  )
}

type Damage = (bytes: Buffer, random: Random) => Buffer

/** Damage of lines and heads, which bytes alone seldom come to. */
const DAMAGES: readonly Damage[] = [
  // What stands between the parts of a request line.
  (bytes, random) =>
    changeText(bytes, / (?=[^ \r\n]+ HTTP\/)| (?=HTTP\/)/g, random, () =>
      random.pick(['', '', '  ', '\t', '\r\n', '\0', '%20', ' /x ']),
    ),
  // Another version.
  (bytes, random) =>
    changeText(bytes, /HTTP\/1\.1/g, random, () =>
      random.pick(['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'HTTP/1.', 'HTTP/', '', 'ICE/1.0', 'RTSP/1.0']),
    ),
  // Another method.
  (bytes, random) =>
    changeText(bytes, /(?<=^|\n)[A-Z]+(?= )/g, random, () =>
      random.pick(['GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'TRACE', 'CONNECT', 'PRI', 'SOURCE', 'get', 'X', '']),
    ),
  // A line goes, comes twice, or moves.
  (bytes, random) => {
    const lines = bytes.toString('latin1').split(/(?<=\r\n)/)
    const [line = ''] = lines.splice(random.below(lines.length), random.oneIn(3) ? 0 : 1)
    if (!random.oneIn(3)) lines.splice(random.below(lines.length + 1), 0, line || lines[random.below(lines.length)]!)
    return Buffer.from(lines.join(''), 'latin1')
  },
  // A field more, of those that change what a connection is.
  (bytes, random) => insertLine(bytes, random, random.pick(STEERING)),
  // Many fields.
  (bytes, random) =>
    insertLine(
      bytes,
      random,
      Array.from({ length: random.pick([20, 90, 99, 100, 101, 150]) }, (_, at) => `X-${at}: v\r\n`).join(''),
    ),
  // A long field.
  (bytes, random) =>
    insertLine(bytes, random, `X-Long: ${'v'.repeat(random.pick([4_000, 16_000, 32_700, 33_000, 70_000]))}\r\n`),
  // A request in place of whatever comes behind some head.
  (bytes, random) => {
    const ends = [...bytes.toString('latin1').matchAll(/\r\n\r\n/g)].map(({ index }) => index + 4)
    const end = ends.length === 0 ? bytes.length : random.pick(ends)
    return Buffer.concat([bytes.subarray(0, end), makePart(random), bytes.subarray(end)])
  },
]

const STEERING = [
  'Connection: Upgrade\r\nUpgrade: websocket\r\n',
  'Connection: keep-alive, X\r\n',
  'Connection: close\r\n',
  'Connection: content-length\r\n',
  'Connection: transfer-encoding, host\r\n',
  'Keep-Alive: 1\r\n',
  'Expect: 100-continue\r\n',
  'Expect: x\r\n',
  'Content-Length: 5\r\n',
  'Content-Length: 100000\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Host: b.test\r\n',
  'Host:\r\n',
  'X_Forwarded_For: 192.0.2.1\r\n',
  'X-Forwarded-For: 192.0.2.1\r\n',
  'TE: trailers\r\n',
]

function insertLine(bytes: Buffer, random: Random, line: string): Buffer {
  return changeText(bytes, /(?<=[^\n]\r\n)(?=[^\r]|\r\n)/g, random, () => line)
}

function changeText(bytes: Buffer, where: RegExp, random: Random, change: () => string): Buffer {
  const text = bytes.toString('latin1')
  const places = [...text.matchAll(where)]
  if (places.length === 0) return bytes
  const { index, 0: found } = random.pick(places)
  return Buffer.from(text.slice(0, index) + change() + text.slice(index + found.length), 'latin1')
}

function makePieces(bytes: Buffer, random: Random): Piece[] {
  const pause = () => random.pick(['none', 'turn', 'turn', 'answer'] as const)
  switch (random.below(8)) {
    case 0:
    case 1:
      return random.split(bytes, 6).map((piece) => ({ bytes: piece, pause: pause() }))
    case 2:
    case 3: {
      // Behind heads: where gateways change their mind.
      const pieces: Piece[] = []
      let start = 0
      for (const { index } of bytes.toString('latin1').matchAll(/\r\n\r\n/g)) {
        const end = index + 4
        if (end <= start || (pieces.length > 0 && random.oneIn(4))) continue
        pieces.push({ bytes: bytes.subarray(start, end), pause: random.oneIn(4) ? 'turn' : 'answer' })
        start = end
        if (pieces.length >= 6) break
      }
      return [...pieces, { bytes: bytes.subarray(start), pause: 'none' }]
    }
    case 4: {
      if (bytes.length > 300 || !random.oneIn(4)) break
      return [...bytes].map((byte) => ({ bytes: Buffer.of(byte), pause: 'turn' }))
    }
  }
  return [{ bytes, pause: 'none' }]
}
