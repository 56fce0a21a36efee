/** TLS handshakes over real sockets: which certificate a name gets, ALPN, versions and ciphers, what is refused and how. */
import { request } from 'node:https'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, type SecureVersion, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import type { Certificate } from '../../../lib/model/certificate.ts'
import { type KeyType, makeCertificate, makeModelCertificate, toModelCertificate } from '../../helpers/certificates.ts'
import { until } from '../../helpers/until.ts'
import { connectRaw, indexCertificates, openTls, RawClient, startListener } from '../start-listener.ts'

const exact = await makeModelCertificate({ names: ['shop.test'] })
const wildcard = await makeModelCertificate({ names: ['*.shop.test'] })

const KEY_TYPES: readonly KeyType[] = ['ec', 'rsa', 'ed25519']
const VERSIONS: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3']

/** Common name and key type of the certificate a handshake gets. */
async function describe(t: Test, port: number, options: ConnectionOptions): Promise<[string, string | undefined]> {
  const socket = await openTls(t, port, options)
  const name = String(socket.getPeerCertificate().subject.CN)
  const keyType = socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType
  socket.destroy()
  return [name, keyType]
}

/** A way through `below` on which the first write goes out in pieces, each in a turn of its own. */
function splitFirst(below: Socket, split: (bytes: Buffer) => Buffer[]): Duplex {
  let isFirst = true
  const stream = new Duplex({
    read() {},
    async write(chunk: Buffer, _encoding, done) {
      const pieces = isFirst ? split(chunk) : [chunk]
      isFirst = false
      for (const piece of pieces) {
        await new Promise((resolve) => below.write(piece, resolve))
        await new Promise((resolve) => setImmediate(resolve))
      }
      done()
    },
  })
  below.on('data', (chunk: Buffer) => stream.push(chunk)).on('end', () => stream.push(null))
  return stream
}

/** The common name of the certificate a handshake gets. */
async function commonName(t: Test, port: number, servername: string | undefined): Promise<string> {
  const socket = await openTls(t, port, servername === undefined ? {} : { servername })
  const { subject } = socket.getPeerCertificate()
  socket.destroy()
  return String(subject.CN)
}

t.test('I-28, TLS-01 exact name, then one-label wildcard, then the default certificate', async (t) => {
  const index = indexCertificates({ 'shop.test': exact, '*.shop.test': wildcard })
  const { port } = await startListener(t, { name: 'https', certificates: () => index })
  t.equal(await commonName(t, port, 'shop.test'), 'shop.test', 'exact')
  t.equal(await commonName(t, port, 'api.shop.test'), '*.shop.test', 'one label')
  t.equal(await commonName(t, port, 'a.api.shop.test'), 'portico default certificate', 'two labels')
  t.equal(await commonName(t, port, 'SHOP.Test'), 'shop.test', 'upper case')
  t.equal(await commonName(t, port, 'shop.test.'), 'shop.test', 'trailing dot')
  t.equal(await commonName(t, port, 'other.test'), 'portico default certificate', 'I-33 unknown name')
  t.equal(await commonName(t, port, undefined), 'portico default certificate', 'I-33 no name')
})

t.test('I-28, I-33 a certificate of any key type is served to its name, and to no other', async (t) => {
  for (const keyType of KEY_TYPES) {
    for (const strict of [false, true]) {
      const index = indexCertificates({ 'shop.test': await makeModelCertificate({ names: ['shop.test'], keyType }) })
      const { port } = await startListener(t, { name: 'https', certificates: () => index, strictSni: () => strict })
      for (const version of VERSIONS) {
        const about = `${keyType}, ${version}${strict ? ', strict' : ''}`
        const own = { minVersion: version, maxVersion: version }
        t.same(await describe(t, port, { ...own, servername: 'shop.test' }), ['shop.test', keyType], about)
        t.same(await describe(t, port, own), ['portico default certificate', 'ec'], `${about}, no name`)
        const unknown = describe(t, port, { ...own, servername: 'other.test' })
        if (strict) await t.rejects(unknown, { code: /UNRECOGNIZED_NAME/ }, `${about}, unknown name`)
        else t.same(await unknown, ['portico default certificate', 'ec'], `${about}, unknown name`)
      }
    }
  }
})

t.test('I-35 a Secret may change its key type', async (t) => {
  let index = indexCertificates({})
  const { port } = await startListener(t, { name: 'https', certificates: () => index })
  for (const keyType of ['rsa', 'ec', 'rsa', 'ed25519', 'ec'] as const) {
    index = indexCertificates({ 'shop.test': await makeModelCertificate({ names: ['shop.test'], keyType }) })
    for (const version of VERSIONS) {
      const options = { minVersion: version, maxVersion: version, servername: 'shop.test' }
      t.same(await describe(t, port, options), ['shop.test', keyType], `${keyType} ${version}`)
    }
  }
})

/** One request on a connection of its own; the ticket is for the next one. */
async function visitOnce(
  t: Test,
  port: number,
  version: (typeof VERSIONS)[number],
  servername: string,
  session?: Buffer,
): Promise<{ reused: boolean; name: string | string[] | undefined; ticket: Buffer | undefined }> {
  const options = { minVersion: version, maxVersion: version, servername, ...(session && { session }) }
  const socket = await openTls(t, port, options)
  // TLS 1.2 has its ticket with the handshake, TLS 1.3 sends it behind.
  let ticket: Buffer | undefined = version === 'TLSv1.2' ? socket.getSession() : undefined
  socket.on('session', (bytes: Buffer) => (ticket = bytes))
  const client = new RawClient(socket)
  // Resumed, there is no certificate to tell.
  const found = { reused: socket.isSessionReused(), name: socket.getPeerCertificate().subject?.CN }
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await client.closed
  return { ...found, ticket }
}

t.test('TLS-15 a session is resumed under its own certificate alone', async (t) => {
  const other = await makeModelCertificate({ names: ['other.test'], keyType: 'rsa' })
  let index = indexCertificates({ 'shop.test': exact, 'other.test': other })
  const { port } = await startListener(t, { name: 'https', certificates: () => index, strictSni: () => true })
  for (const version of VERSIONS) {
    const visit = (servername: string, session?: Buffer) => visitOnce(t, port, version, servername, session)
    const { ticket } = await visit('shop.test')
    t.match(await visit('shop.test', ticket), { reused: true })
    t.match(await visit('other.test', ticket), { reused: false, name: 'other.test' }, version)
    await t.rejects(visit('unknown.test', ticket), { code: /UNRECOGNIZED_NAME/ }, 'no way around strict names')
    const before = index
    const renewed = await makeModelCertificate({ names: ['shop.test'] })
    index = indexCertificates({ 'shop.test': renewed, 'other.test': other })
    t.match(await visit('shop.test', ticket), { reused: false }, 'another certificate since')
    index = before
  }
})

t.test('listeners that share a ticket secret resume the sessions of each other, and no others', async (t) => {
  const other = await makeModelCertificate({ names: ['other.test'], keyType: 'rsa' })
  const index = indexCertificates({ 'shop.test': exact, 'other.test': other })
  const start = async (fill: number) => {
    const options = { name: 'https', certificates: () => index, ticketSecret: Buffer.alloc(32, fill) } as const
    return (await startListener(t, options)).port
  }
  const [first, second, stranger] = await Promise.all([start(1), start(1), start(2)])
  for (const version of VERSIONS) {
    const { ticket } = await visitOnce(t, first, version, 'shop.test')
    t.match(await visitOnce(t, second, version, 'shop.test', ticket), { reused: true }, version)
    t.match(await visitOnce(t, stranger, version, 'shop.test', ticket), { reused: false }, version)
    t.match(await visitOnce(t, second, version, 'other.test', ticket), { reused: false, name: 'other.test' }, version)
  }
})

t.test('a ClientHello arrives in any pieces', async (t) => {
  const index = indexCertificates({ 'shop.test': await makeModelCertificate({ names: ['shop.test'], keyType: 'rsa' }) })
  const { port } = await startListener(t, { name: 'https', certificates: () => index })
  const cut: Record<string, (hello: Buffer) => Buffer[]> = {
    'a byte at a time': (hello) => Array.from(hello, (byte) => Buffer.from([byte])),
    'a record for each byte': (hello) => [
      Buffer.concat(Array.from(hello.subarray(5), (byte) => Buffer.from([0x16, 3, 1, 0, 1, byte]))),
    ],
    'two records, in three writes': (hello) => {
      const bytes = Buffer.concat([
        Buffer.from([0x16, 3, 1, 0, 50]),
        hello.subarray(5, 55),
        Buffer.from([0x16, 3, 1, (hello.length - 55) >> 8, (hello.length - 55) & 0xff]),
        hello.subarray(55),
      ])
      return [bytes.subarray(0, 3), bytes.subarray(3, 58), bytes.subarray(58)]
    },
  }
  for (const [name, split] of Object.entries(cut)) {
    const below = connect({ port, host: '127.0.0.1' })
    const socket = await openTls(t, port, { socket: splitFirst(below, split), servername: 'shop.test' })
    t.equal(socket.getPeerX509Certificate()?.publicKey.asymmetricKeyType, 'rsa', name)
    const client = new RawClient(socket)
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    t.match(await client.until(/\}$/), /^HTTP\/1\.1 200 /, name)
  }
})

t.test('a ClientHello that never ends is refused', async (t) => {
  const { port } = await startListener(t, { name: 'https' })
  const client = await connectRaw(t, port)
  client.socket.write(Buffer.from([0x16, 3, 1, 0, 4, 1, 0, 0xff, 0xff]))
  for (let sent = 0; sent < 20; sent++) {
    client.socket.write(Buffer.concat([Buffer.from([0x16, 3, 1, 4, 0]), Buffer.alloc(1024)]))
  }
  await client.closed
  t.equal(client.received, '\x15\x03\x03\x00\x02\x02\x2f', 'illegal_parameter')
})

t.test('I-31 the log says why the default certificate was served, once for each name and reason', async (t) => {
  const index = indexCertificates({ 'lost.test': 'Secret default/lost does not exist' })
  const { port, lines } = await startListener(t, { name: 'https', certificates: () => index })
  for (const name of ['lost.test', 'lost.test', 'other.test', undefined, undefined]) {
    const client = new RawClient(await openTls(t, port, name === undefined ? {} : { servername: name }))
    client.socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await client.closed
  }
  const reasons = lines
    .filter(({ msg }) => msg === 'default certificate served')
    .map(({ servername, reason }) => `${servername}: ${reason}`)
  t.same(reasons, [
    'lost.test: Secret default/lost does not exist',
    'other.test: no tls section covers this name',
    ': the client named no host',
  ])
})

t.test('TLS-02 strict: a name no certificate covers is refused with unrecognized_name', async (t) => {
  let strict = true
  const index = indexCertificates({ 'shop.test': exact, 'lost.test': 'Secret default/lost does not exist' })
  const { port } = await startListener(t, { name: 'https', certificates: () => index, strictSni: () => strict })
  await t.rejects(openTls(t, port, { servername: 'other.test' }), { code: /UNRECOGNIZED_NAME/ })
  await t.rejects(openTls(t, port, { servername: 'other.test', maxVersion: 'TLSv1.2' }), { code: /UNRECOGNIZED_NAME/ })
  t.equal(await commonName(t, port, 'shop.test'), 'shop.test')
  t.equal(await commonName(t, port, 'lost.test'), 'portico default certificate', 'a host with a tls section is known')
  t.equal(await commonName(t, port, undefined), 'portico default certificate', 'no name')
  strict = false
  t.equal(await commonName(t, port, 'other.test'), 'portico default certificate', 'the setting as it is now')
})

t.test('TLS-03 odd names do no harm', async (t) => {
  const index = indexCertificates({ 'shop.test': exact })
  const { port, lines } = await startListener(t, { name: 'https', certificates: () => index })
  for (const servername of ['x'.repeat(300), 'a\x07b', '*', '__proto__', '..', 'shop.test\u202e']) {
    // A handshake that OpenSSL refuses for its name is as good as one that gets the default certificate.
    const outcome = await commonName(t, port, servername).catch(() => 'refused')
    t.match(outcome, /^(refused|portico default certificate)$/)
  }
  t.notMatch(JSON.stringify(lines), /\\u0007/, 'control bytes are escaped in the log')
  t.equal(await commonName(t, port, 'shop.test'), 'shop.test')
})

t.test('a certificate OpenSSL will not load leaves its host with the default one, and the log says so', async (t) => {
  const broken: Certificate = { ...exact, privateKeyPem: wildcard.privateKeyPem, fingerprint: 'broken' }
  const index = indexCertificates({ 'shop.test': broken })
  const { port, lines } = await startListener(t, { name: 'https', certificates: () => index })
  t.equal(await commonName(t, port, 'shop.test'), 'portico default certificate')
  t.ok(lines.some(({ msg, level }) => msg === 'certificate cannot be loaded' && level === 50))
})

t.test('TLS-08 the chain is served leaf first', async (t) => {
  const authority = await makeCertificate({ names: ['test authority'], isAuthority: true })
  const intermediate = await makeCertificate({ names: ['test intermediate'], isAuthority: true, issuer: authority })
  const leaf = await makeCertificate({ names: ['chain.test'], issuer: intermediate })
  const chained = toModelCertificate(
    { certificate: `${leaf.certificate}\n${intermediate.certificate}`, key: leaf.key },
    'default/chain',
  )
  const index = indexCertificates({ 'chain.test': chained })
  const { port } = await startListener(t, { name: 'https', certificates: () => index })
  const socket = await openTls(t, port, {
    servername: 'chain.test',
    ca: authority.certificate,
    rejectUnauthorized: true,
  })
  t.equal(socket.authorized, true)
})

t.test('I-35, TLS-09 a replaced Secret is served at once, and no handshake fails meanwhile', async (t) => {
  let index = indexCertificates({ 'shop.test': exact })
  const { port } = await startListener(t, { name: 'https', certificates: () => index })
  const old = await openTls(t, port, { servername: 'shop.test' })
  let failed = 0
  const serials = new Set<string>()
  for (let round = 0; round < 10; round++) {
    const fresh = await makeModelCertificate({ names: ['shop.test'] })
    index = indexCertificates({ 'shop.test': fresh })
    await Promise.all(
      Array.from({ length: 5 }, async () => {
        try {
          const socket = await openTls(t, port, { servername: 'shop.test' })
          serials.add(socket.getPeerCertificate().serialNumber)
          socket.destroy()
        } catch {
          failed++
        }
      }),
    )
    t.equal(serials.size, round + 1, 'all five got the new one')
  }
  t.equal(failed, 0)
  old.write('GET /old HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n')
  const client = new RawClient(old)
  await client.closed
  t.match(client.received, /^HTTP\/1\.1 200 /, 'the connection from before goes on')
})

t.test('I-34, TLS-14 ALPN chooses the door', async (t) => {
  const { port } = await startListener(t, { name: 'https' })
  const cases: [readonly string[] | undefined, string | false][] = [
    [['h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['foo', 'http/1.1'], 'http/1.1'],
    [undefined, false],
  ]
  for (const [offer, chosen] of cases) {
    const socket = await openTls(t, port, offer ? { ALPNProtocols: [...offer] } : {})
    t.equal(socket.alpnProtocol, chosen, `${offer}`)
    if (chosen !== 'h2') {
      const client = new RawClient(socket)
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      await client.closed
      t.match(client.received, /^HTTP\/1\.1 200 .*"encrypted":true/s)
    }
  }
  await t.rejects(openTls(t, port, { ALPNProtocols: ['foo'] }), { code: /NO_APPLICATION_PROTOCOL/ })
})

t.test('without https.http2 only HTTP/1.1 is offered', async (t) => {
  const { port } = await startListener(t, { name: 'https', settings: { 'https.http2': false } })
  const socket = await openTls(t, port, { ALPNProtocols: ['h2', 'http/1.1'] })
  t.equal(socket.alpnProtocol, 'http/1.1')
})

t.test('TLS-10, TLS-11 old versions and weak ciphers are refused', async (t) => {
  const { port } = await startListener(t, { name: 'https' })
  for (const version of ['TLSv1', 'TLSv1.1'] as const) {
    await t.rejects(
      openTls(t, port, { minVersion: 'TLSv1', maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' }),
      { code: /PROTOCOL_VERSION/ },
      version,
    )
  }
  for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'AES128-GCM-SHA256', 'DHE-RSA-AES128-GCM-SHA256']) {
    await t.rejects(openTls(t, port, { maxVersion: 'TLSv1.2', ciphers }), { code: /HANDSHAKE_FAILURE/ }, ciphers)
  }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await openTls(t, port, { minVersion: version, maxVersion: version })
    t.equal(socket.getProtocol(), version)
  }
  const { port: strictPort } = await startListener(t, { name: 'https', settings: { 'https.minVersion': 'TLSv1.3' } })
  await t.rejects(openTls(t, strictPort, { maxVersion: 'TLSv1.2' }), { code: /PROTOCOL_VERSION/ })
})

t.test('TLS-13 a client cannot renegotiate', async (t) => {
  const { port } = await startListener(t, { name: 'https' })
  const socket = await openTls(t, port, { maxVersion: 'TLSv1.2' })
  const error = await new Promise<Error | null>((resolve) => {
    socket.on('error', resolve)
    socket.renegotiate({ rejectUnauthorized: false }, resolve)
  })
  t.match(error, { code: /NO_RENEGOTIATION/ })
})

t.test('TLS-18 a handshake that stalls is cut', async (t) => {
  const { port, listener } = await startListener(t, { name: 'https', settings: { 'https.handshakeTimeout': 200 } })
  const silent = await connectRaw(t, port)
  const half = await connectRaw(t, port)
  half.socket.write(Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00]))
  // Refused, and does not hang up.
  const refused = await connectRaw(t, port, true)
  refused.socket.write('GET / HTTP/1.1\r\n\r\n')
  // Says hello, and nothing after it.
  const mute = await connectRaw(t, port)
  const spoken = splitFirst(mute.socket, (hello) => [hello])
  spoken.pause()
  connectTls({ socket: spoken }).on('error', () => {})
  await Promise.all([silent.closed, half.closed, mute.closed])
  await until(() => listener.connections === 0)
  t.equal(listener.connections, 0)
})

t.test('TLS-19 plain HTTP on the TLS port is told so; garbage is closed; others are served', async (t) => {
  const { port } = await startListener(t, { name: 'https' })
  const plain = await connectRaw(t, port)
  plain.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await plain.closed
  t.match(plain.received, /^HTTP\/1\.1 400 .*This port speaks HTTPS/s)
  const garbage = await connectRaw(t, port)
  garbage.socket.write(Buffer.alloc(2000, 0xa5))
  await garbage.closed
  const reset = await connectRaw(t, port)
  reset.socket.write(Buffer.from([0x16, 0x03, 0x01]))
  reset.socket.resetAndDestroy()
  await reset.closed
  const socket = await openTls(t, port)
  t.ok(socket.encrypted)
})

t.test('H2-31, SL-01, SL-02 HTTP/1 behind TLS keeps its time limits', async (t) => {
  const { port } = await startListener(t, { name: 'https', settings: { 'timeouts.requestHeaders': 300 } })
  for (const bytes of ['', 'GET / HTTP/1.1\r\nHost: a\r\n']) {
    const socket = await openTls(t, port)
    const client = new RawClient(socket)
    if (bytes) socket.write(bytes)
    await client.closed
    t.match(client.received, /^HTTP\/1\.1 408 /)
  }
})

t.test(
  'H2-31, SL-07, SL-08 HTTP/1 behind TLS: keep-alive limit, half-closed clients, upgrades, refusals',
  async (t) => {
    const { port, handler } = await startListener(t, { name: 'https', settings: { 'timeouts.keepAlive': 1000 } })
    const idle = new RawClient(await openTls(t, port))
    idle.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await idle.closed
    t.match(idle.received, /Keep-Alive: timeout=1\r\n/)

    const half = new RawClient(await openTls(t, port, { allowHalfOpen: true } as object))
    half.socket.end('GET /half HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    await half.closed
    t.match(half.received, /^HTTP\/1\.1 200 .*"url":"\/half"/s)

    const upgraded = new RawClient(await openTls(t, port))
    upgraded.socket.write('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nearly')
    t.match(await upgraded.until(/early$/), /^HTTP\/1\.1 101 /)

    const bad = new RawClient(await openTls(t, port))
    bad.socket.write('GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n')
    await bad.closed
    t.match(bad.received, /^HTTP\/1\.1 400 /)
    t.equal(handler.clientErrors.length, 1)
  },
)

t.test('LC-01, LC-02 a drain behind TLS: idle connections close, a request in flight is served', async (t) => {
  const { port, handler, listener } = await startListener(t, { name: 'https' })
  let release = () => {}
  handler.hold = new Promise((resolve) => {
    release = resolve
  })
  const unused = new RawClient(await openTls(t, port))
  const busy = new RawClient(await openTls(t, port))
  busy.socket.write('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => handler.inFlight !== 0)
  handler.draining = true
  listener.drain()
  await unused.closed
  release()
  await busy.closed
  t.match(busy.received, /^HTTP\/1\.1 200 .*Connection: close/s)
  await listener.close()
  t.equal(listener.connections, 0)
})

t.test('an ordinary https client is served, and its session is resumed', async (t) => {
  const index = indexCertificates({ 'shop.test': exact })
  const { port } = await startListener(t, { name: 'https', certificates: () => index })
  const get = (session?: Buffer) =>
    new Promise<{ status: number | undefined; session: Buffer | undefined; reused: boolean }>((resolve, reject) => {
      const call = request({
        port,
        host: '127.0.0.1',
        servername: 'shop.test',
        rejectUnauthorized: false,
        agent: false,
        ...(session && { session }),
      })
      let ticket: Buffer | undefined
      call.on('socket', (socket) => socket.on('session', (bytes: Buffer) => (ticket = bytes)))
      call.on('error', reject)
      call.on('response', (response) => {
        const reused = (response.socket as TLSSocket).isSessionReused()
        response.resume().on('end', () => resolve({ status: response.statusCode, session: ticket, reused }))
      })
      call.end()
    })
  const first = await get()
  t.match(first, { status: 200, reused: false })
  t.match(await get(first.session), { status: 200, reused: true })
})
