/** ClientHellos as a real client writes them, whole, cut and damaged. */
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'
import t from 'tap'
import { readOpening } from '../../../lib/downstream/tls/client-hello.ts'

/** What Node's client sends first. */
function captureHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk)
        done()
      },
    })
    connect({ ...options, socket }).on('error', () => {})
  })
}

const hello = await captureHello({ servername: 'shop.test', ALPNProtocols: ['h2', 'http/1.1'] })

t.test('the name is found, and its absence', async (t) => {
  t.same(readOpening(hello), { kind: 'hello', servername: 'shop.test' })
  t.same(readOpening(await captureHello({ servername: 'A'.repeat(200) })), {
    kind: 'hello',
    servername: 'A'.repeat(200),
  })
  t.same(readOpening(await captureHello({ maxVersion: 'TLSv1.2', servername: 'old.test' })), {
    kind: 'hello',
    servername: 'old.test',
  })
  t.same(readOpening(await captureHello({})), { kind: 'hello', servername: '' })
  t.same(readOpening(Buffer.concat([hello, Buffer.from('more')])), { kind: 'hello', servername: 'shop.test' })
})

t.test('a hello without extensions names nobody', async (t) => {
  const body = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32), Buffer.from([0, 0, 2, 0x13, 0x01, 1, 0])])
  const message = Buffer.concat([Buffer.from([1, 0, 0, body.length]), body])
  t.same(readOpening(Buffer.concat([Buffer.from([0x16, 3, 1, 0, message.length]), message])), {
    kind: 'hello',
    servername: '',
  })
})

t.test('any part of it is partial', async (t) => {
  for (let length = 1; length < hello.length; length++) {
    t.same(readOpening(hello.subarray(0, length)), { kind: 'partial' }, `${length} bytes`)
  }
})

t.test('what is no ClientHello is told apart', async (t) => {
  t.same(readOpening(Buffer.from('G')), { kind: 'http' })
  t.same(readOpening(Buffer.from('PRI * HTTP/2.0\r\n')), { kind: 'http' })
  for (const bytes of [
    [0],
    [0xa5, 0xa5],
    [0x80, 0x2e, 0x01],
    [0x16, 0x02],
    [0x15, 3, 1, 0, 2, 2, 0],
    [0x16, 3, 1, 0, 4, 2, 0, 0, 0],
    [0x16, 3, 1, 0, 4, 1, 0, 0, 0],
  ]) {
    t.same(readOpening(Buffer.from(bytes)), { kind: 'unknown' }, Buffer.from(bytes).toString('hex'))
  }
  const interrupted = Buffer.concat([Buffer.from([0x16, 3, 1, 0, 10]), hello.subarray(5, 15), Buffer.from([0x15, 3])])
  t.same(readOpening(interrupted), { kind: 'unknown' })
})

t.test('damage anywhere is answered with a kind, never thrown', async (t) => {
  const kinds = new Set<string>()
  for (let at = 0; at < hello.length; at++) {
    for (const value of [0x00, 0x01, 0x7f, 0xff]) {
      const bytes = Buffer.from(hello)
      bytes[at] = value
      kinds.add(readOpening(bytes).kind)
    }
  }
  t.same([...kinds].sort(), ['hello', 'partial', 'unknown'])
})
