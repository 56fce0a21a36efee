/** The PROXY header of both versions: a written header is read back, in any pieces, and no other bytes are taken for a header. */
import fc from 'fast-check'
import t from 'tap'
import { composeProxyHeader, MAX_PROXY_HEADER, readProxyOpening } from '../../lib/base/proxy-protocol.ts'

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const path = (from: string, fromPort: number, to: string, toPort: number) => ({
  source: { address: from, port: fromPort },
  destination: { address: to, port: toPort },
})

/** A header of version 2 from its four fields and what follows them. */
function binary(command: number, family: number, rest: Buffer, length = rest.length): Buffer {
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, length >> 8, length & 255]), rest])
}

const INET = Buffer.from([192, 0, 2, 7, 198, 51, 100, 9, 0xc3, 0x50, 0x01, 0xbb])

t.test('the examples of the specification are read', async (t) => {
  const line = 'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n'
  t.same(readProxyOpening(Buffer.from(`${line}GET / HTTP/1.1\r\n`)), {
    kind: 'header',
    length: line.length,
    path: path('192.168.0.1', 56324, '192.168.0.11', 443),
  })
  const longest = `PROXY UNKNOWN ${'f'.repeat(39)} ${'f'.repeat(39)} 65535 65535\r\n`
  t.equal(longest.length, 107)
  for (const unknown of ['PROXY UNKNOWN\r\n', longest]) {
    t.same(readProxyOpening(Buffer.from(unknown)), { kind: 'header', length: unknown.length, path: undefined })
  }
  t.same(readProxyOpening(binary(0x21, 0x11, INET)), {
    kind: 'header',
    length: 28,
    path: path('192.0.2.7', 50_000, '198.51.100.9', 443),
  })
})

t.test('of LOCAL, of no family and of UNIX sockets nothing is believed, and TLVs are passed over', async (t) => {
  const vectors = Buffer.from([0x04, 0, 3, 1, 2, 3, 0x20, 0, 0])
  const cases: [string, Buffer, boolean][] = [
    ['LOCAL', binary(0x20, 0x00, Buffer.alloc(0)), false],
    ['LOCAL with an address', binary(0x20, 0x11, INET), false],
    ['LOCAL with anything', binary(0x20, 0x00, Buffer.from('anything')), false],
    ['UNSPEC', binary(0x21, 0x00, Buffer.alloc(7)), false],
    ['UNIX', binary(0x21, 0x31, Buffer.alloc(216)), false],
    ['UDP', binary(0x21, 0x12, INET), false],
    ['TLVs', binary(0x21, 0x11, Buffer.concat([INET, vectors])), true],
    ['IPv6', binary(0x21, 0x21, Buffer.alloc(36, 1)), true],
  ]
  for (const [name, bytes, isBelieved] of cases) {
    const opening = readProxyOpening(Buffer.concat([bytes, Buffer.from('rest')]))
    t.match(opening, { kind: 'header', length: bytes.length }, name)
    t.equal(opening.kind === 'header' && opening.path !== undefined, isBelieved, name)
  }
})

t.test('a text that is no header is refused at its first wrong byte', async (t) => {
  const lines = [
    'GET / HTTP/1.1\r\n',
    'PROXX',
    'proxy TCP4 ',
    'PROXY \r\n',
    'PROXY TCP4\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n',
    'PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 -2\r\n',
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\r\n',
    'PROXY TCP4 1.2.3.04 5.6.7.8 1 2\r\n',
    'PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n',
    'PROXY TCP4 ::1 ::1 1 2\r\n',
    'PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY TCP6 fe80::1%lo ::1 1 2\r\n',
    'PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n',
    'PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n',
    `PROXY TCP4 ${'1'.repeat(100)}\r\n`,
    `PROXY UNKNOWN ${'x'.repeat(100)}`,
  ]
  for (const line of lines) t.equal(readProxyOpening(Buffer.from(line)).kind, 'invalid', JSON.stringify(line))
  const binaries: [string, Buffer][] = [
    ['version 1', binary(0x11, 0x11, INET)],
    ['a command that is none', binary(0x22, 0x11, INET)],
    ['a family that is none', binary(0x21, 0x41, INET)],
    ['a transport that is none', binary(0x21, 0x13, INET)],
    ['too short for IPv4', binary(0x21, 0x11, INET.subarray(1))],
    ['too short for IPv6', binary(0x21, 0x21, Buffer.alloc(35))],
    ['too short for UNIX', binary(0x21, 0x31, Buffer.alloc(215))],
    ['TLVs that end inside', binary(0x21, 0x11, Buffer.concat([INET, Buffer.from([4, 0, 2, 1])]))],
    ['half a TLV', binary(0x21, 0x11, Buffer.concat([INET, Buffer.from([4, 0])]))],
    ['longer than allowed', binary(0x21, 0x11, INET, MAX_PROXY_HEADER)],
    ['another signature', Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from('X')])],
  ]
  for (const [name, bytes] of binaries) t.equal(readProxyOpening(bytes).kind, 'invalid', name)
})

const address = fc.oneof(fc.ipV4(), fc.ipV6())
const port = fc.integer({ min: 0, max: 65_535 })

t.test('a written header is read back, in any pieces, and the bytes behind it stay', async (t) => {
  fc.assert(
    fc.property(
      address,
      address,
      port,
      port,
      fc.constantFrom('v1' as const, 'v2' as const),
      fc.string(),
      (...words) => {
        const [from, to, fromPort, toPort, version, rest] = words
        const header = composeProxyHeader(version, path(from, fromPort, to, toPort))
        const bytes = Buffer.concat([header, Buffer.from(rest)])
        for (let cut = 0; cut < header.length; cut++) {
          if (readProxyOpening(bytes.subarray(0, cut)).kind !== 'partial') return false
        }
        const opening = readProxyOpening(bytes)
        if (opening.kind !== 'header' || opening.length !== header.length || !opening.path) return false
        // Written once more it is the same: the addresses are in their normal form.
        return (
          composeProxyHeader(version, opening.path).equals(header) &&
          opening.path.source.port === fromPort &&
          opening.path.destination.port === toPort
        )
      },
    ),
  )
  t.pass()
})

t.test('IPv4 and IPv6 in one header become IPv6, and an unknown address is left out', async (t) => {
  t.equal(String(composeProxyHeader('v1', path('1.2.3.4', 1, '::1', 2))), 'PROXY TCP6 ::ffff:102:304 ::1 1 2\r\n')
  t.equal(
    String(composeProxyHeader('v1', path('::ffff:1.2.3.4', 1, '5.6.7.8', 2))),
    'PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n',
  )
  t.equal(String(composeProxyHeader('v1', path('fe80::1%lo', 1, '::1', 2))), 'PROXY TCP6 fe80::1 ::1 1 2\r\n')
  for (const nothing of [undefined, path('', 0, '::1', 1)]) {
    t.equal(String(composeProxyHeader('v1', nothing)), 'PROXY UNKNOWN\r\n')
    t.same(composeProxyHeader('v2', nothing), binary(0x20, 0, Buffer.alloc(0)))
  }
})

t.test('no bytes make it throw, and an incomplete header is never accepted', async (t) => {
  const start = fc.constantFrom('', 'PROXY ', 'PROXY TCP4 ', 'PROXY UNKNOWN', SIGNATURE.toString('latin1'))
  const good = composeProxyHeader('v2', path('1.2.3.4', 1, '5.6.7.8', 2))
  const tail = fc.uint8Array({ maxLength: 300 })
  fc.assert(
    fc.property(start, tail, (head, bytes) => {
      const all = Buffer.concat([Buffer.from(head, 'latin1'), bytes])
      const opening = readProxyOpening(all)
      return opening.kind !== 'header' || opening.length <= all.length
    }),
    { numRuns: 2000 },
  )
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const bytes = Buffer.from(good)
      bytes[at] = byte
      const opening = readProxyOpening(bytes)
      return opening.kind !== 'header' || opening.length <= bytes.length
    }),
    { numRuns: 2000 },
  )
  t.pass()
})
