import { promises } from 'node:dns'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { readForeignAnswer } from '../../lib/dns/foreign-answer.ts'
import { makeQuestion } from '../../lib/dns/query.ts'
import type { DnsLimits } from '../../lib/dns/server.ts'
import { until } from '../helpers/until.ts'
import { askUdp, connectTcp, makeQuery, readHeader } from './client.ts'
import { address, alias, answer, type Behaviour, startFakeResolver } from './fake-resolver.ts'
import { startServer } from './start-server.ts'

const A = 1
const HOST = 'host.example.com'

const EXTERNAL = `
apiVersion: v1
kind: Service
metadata: {name: partner}
spec: {type: ExternalName, externalName: partner.example.com}
`

const giveAddress: Behaviour = ({ message }, reply) => reply(answer(message, [address(HOST, 192, 0, 2, 1)]))

type Forwarding = Partial<DnsLimits> & { readonly forward?: readonly string[] }

/** A server that forwards to a resolver that behaves so. */
async function startForwarding(t: Test, behave: Behaviour, { forward, ...limits }: Forwarding = {}) {
  const resolver = await startFakeResolver(t, behave)
  const started = await startServer(
    t,
    EXTERNAL,
    { 'dns.forward': forward ?? [`127.0.0.1:${resolver.port}`] },
    { forwardMs: 5_000, ...limits },
  )
  const client = new promises.Resolver({ timeout: 20_000, tries: 1 })
  client.setServers([`127.0.0.1:${started.port}`])
  return { ...started, resolver, client }
}

t.test('other names are looked up, each time with another id and from another port', async (t) => {
  const { client, resolver, port } = await startForwarding(t, giveAddress)
  for (let asked = 0; asked < 8; asked++) {
    t.same(await client.resolve4(HOST, { ttl: true }), [{ address: '192.0.2.1', ttl: 30 }])
  }
  t.ok(new Set(resolver.asked.map(({ message }) => message.readUInt16BE(0))).size > 5)
  t.ok(new Set(resolver.asked.map(({ fromPort }) => fromPort)).size > 5)
  const header = readHeader(await askUdp(port, makeQuery(HOST.toUpperCase(), A, { id: 77 })))
  t.match(header, { id: 77, code: 0, recursionAvailable: true, counts: [1, 1, 0, 0] })
})

t.test('the question comes back as the client wrote it, and EDNS is asked for where the client has it', async (t) => {
  const { port, resolver } = await startForwarding(t, ({ message }, reply) => {
    const lower = Buffer.from(message.toString('latin1').toLowerCase(), 'latin1')
    lower.copy(message, 12, 12)
    reply(answer(message, [address(HOST, 192, 0, 2, 1)]))
  })
  const reply = await askUdp(port, makeQuery('HoSt.Example.COM', A, { payload: 1400 }))
  t.match(reply.toString('latin1', 12), /^\x04HoSt\x07Example\x03COM/)
  t.equal(resolver.asked[0]?.message.readUInt16BE(10), 1)
  await askUdp(port, makeQuery(HOST, A))
  t.equal(resolver.asked[1]?.message.readUInt16BE(10), 0)
})

t.test('the client gets the answer of the resolver', async (t) => {
  const { port } = await startForwarding(t, ({ message }, reply) => reply(answer(message, [], 3)))
  t.match(readHeader(await askUdp(port, makeQuery(HOST, A))), { code: 3, counts: [1, 0, 0, 0] })
})

t.test('names of the zone are never forwarded, and no resolver is asked unless configured', async (t) => {
  const { port, resolver } = await startForwarding(t, giveAddress)
  t.equal(readHeader(await askUdp(port, makeQuery('nobody.cluster.local', A))).code, 3)
  t.equal(readHeader(await askUdp(port, makeQuery(HOST, A, { flags: 0 }))).code, 5, 'without RD')
  t.equal(readHeader(await askUdp(port, makeQuery(HOST, 255))).code, 4, 'ANY over UDP')
  t.equal(readHeader(await askUdp(port, makeQuery(HOST, 252))).code, 5, 'a transfer')
  t.equal(resolver.asked.length, 0)
})

t.test('answers with another id or another question, and questions, are passed over', async (t) => {
  const { client } = await startForwarding(t, ({ message }, reply) => {
    const wrong = answer(message, [address(HOST, 198, 51, 100, 66)])
    const id = Buffer.from(wrong)
    id.writeUInt16BE(wrong.readUInt16BE(0) ^ 1, 0)
    reply(id)
    const name = Buffer.from(wrong)
    name[13] = 0x78
    reply(name)
    const type = Buffer.from(wrong)
    type[wrong.indexOf('com\0') + 5] = 28
    reply(type)
    reply(message)
    reply(Buffer.from('nonsense'))
    reply(answer(message, [address(HOST, 192, 0, 2, 1)]))
  })
  t.same(await client.resolve4(HOST), ['192.0.2.1'])
})

t.test('a flood of guesses ends a try, and the next resolver is asked', async (t) => {
  const honest = await startFakeResolver(t, giveAddress)
  const { client, change, resolver } = await startForwarding(t, ({ message }, reply) => {
    for (let guess = 1; guess < 60; guess++) {
      const wrong = answer(message, [address(HOST, 198, 51, 100, 66)])
      wrong.writeUInt16BE(wrong.readUInt16BE(0) ^ guess, 0)
      reply(wrong)
    }
  })
  change(EXTERNAL, { 'dns.forward': [resolver.port, honest.port].map((port) => `127.0.0.1:${port}`) })
  t.same(await client.resolve4(HOST), ['192.0.2.1'])
})

t.test(
  'a truncated answer is fetched over TCP, whole; what does not fit for the client is truncated for it',
  async (t) => {
    const records = Array.from({ length: 100 }, (_, index) => address(HOST, 192, 0, 2, index))
    const { client, port, resolver } = await startForwarding(t, ({ message, transport }, reply) => {
      reply(transport === 'tcp' ? answer(message, records) : answer(message, [], 0, 0x8380))
    })
    const cut = readHeader(await askUdp(port, makeQuery(HOST, A)))
    t.match(cut, { isCut: true, counts: [1, 0, 0, 0] })
    t.equal((await client.resolve4(HOST)).length, 100)
    t.ok(resolver.asked.some(({ transport }) => transport === 'tcp'))
  },
)

t.test('a question that is lost is asked again', async (t) => {
  let lost = 1
  const { client } = await startForwarding(t, (asked, reply) => lost-- > 0 || giveAddress(asked, reply), {
    forwardMs: 300,
  })
  t.same(await client.resolve4(HOST), ['192.0.2.1'])
})

t.test('an answer that comes late, to a question given up, is not taken for the next', async (t) => {
  const late: (() => void)[] = []
  const { client, resolver } = await startForwarding(
    t,
    ({ message }, reply) => {
      if (late.length < 1) late.push(() => reply(answer(message, [address(HOST, 198, 51, 100, 66)])))
      else {
        late[0]?.()
        reply(answer(message, [address(HOST, 192, 0, 2, 1)]))
      }
    },
    { forwardMs: 300 },
  )
  t.same(await client.resolve4(HOST), ['192.0.2.1'])
  t.ok(resolver.asked.length > 1)
})

for (const [name, behave] of Object.entries<Behaviour>({
  'says SERVFAIL': ({ message }, reply) => reply(answer(message, [], 2)),
  refuses: ({ message }, reply) => reply(answer(message, [], 5)),
  'sends records that run past the end': ({ message }, reply) =>
    reply(answer(message, [address(HOST, 192, 0, 2, 1)]).subarray(0, -2)),
  'claims records that are not there': ({ message }, reply) => {
    const wrong = answer(message)
    wrong.writeUInt16BE(0xffff, 6)
    reply(wrong)
  },
  'truncates, and closes TCP': ({ message, transport }, reply) => {
    if (transport === 'udp') reply(answer(message, [], 0, 0x8380))
    else reply(Buffer.from('nonsense'))
  },
  'says nothing': () => undefined,
})) {
  t.test(`a resolver that ${name} leaves it to the next`, async (t) => {
    const honest = await startFakeResolver(t, giveAddress)
    const { client, change, resolver } = await startForwarding(t, behave, { forwardMs: 300 })
    const forward = [resolver.port, honest.port].map((port) => `127.0.0.1:${port}`)
    change(EXTERNAL, { 'dns.forward': forward })
    t.same(await client.resolve4(HOST), ['192.0.2.1'])
  })
}

t.test('a resolver that is not there is passed over at once', async (t) => {
  const honest = await startFakeResolver(t, giveAddress)
  const { client } = await startForwarding(t, giveAddress, {
    // The port of tcpmux, which no machine uses.
    forward: ['127.0.0.1:1', `127.0.0.1:${honest.port}`],
  })
  t.same(await client.resolve4(HOST), ['192.0.2.1'])
})

t.test('where nobody answers it is SERVFAIL, and the log says so once', async (t) => {
  const { port, lines } = await startForwarding(t, () => undefined, { forwardMs: 50 })
  t.equal(readHeader(await askUdp(port, makeQuery(HOST, A))).code, 2)
  t.equal(readHeader(await askUdp(port, makeQuery(HOST, A))).code, 2)
  t.match(lines, [{ msg: 'a name could not be looked up', reason: /did not answer in time/ }])
  t.equal(lines.length, 1)
})

t.test('a server does not ask itself', async (t) => {
  for (const address of ['127.0.0.1', '::']) {
    const { port, change, lines } = await startServer(t, EXTERNAL, { 'dns.address': address })
    change(EXTERNAL, { 'dns.forward': [`127.0.0.1:${port}`] })
    t.equal(readHeader(await askUdp(port, makeQuery(HOST, A))).code, 2, address)
    t.match(lines, [{ reason: 'no resolver is known' }])
  }
})

t.test('beyond the number that may be under way it is SERVFAIL at once', async (t) => {
  const replies: (() => void)[] = []
  let wake = (): void => undefined
  const { port } = await startForwarding(
    t,
    ({ message }, reply) => {
      replies.push(() => reply(answer(message, [address(HOST, 192, 0, 2, 1)])))
      wake()
    },
    { forwards: 2 },
  )
  const client = await connectTcp(port)
  client.send(makeQuery(HOST, A, { id: 1 }), makeQuery(HOST, A, { id: 2 }), makeQuery(HOST, A, { id: 3 }))
  t.match(readHeader(await client.next()), { id: 3, code: 2 })
  while (replies.length < 2) {
    await new Promise<void>((resolve) => {
      wake = resolve
    })
  }
  for (const reply of replies) reply()
  t.same(
    [readHeader(await client.next()), readHeader(await client.next())].map(({ id, code }) => `${id} ${code}`).sort(),
    ['1 0', '2 0'],
  )
  client.socket.destroy()
})

t.test('an ExternalName outside the zone comes with its addresses', async (t) => {
  const { client, port, resolver } = await startForwarding(t, ({ message }, reply) =>
    reply(
      answer(message, [
        alias('partner.example.com', 'cdn.example.net'),
        address('somebody-else.example.com', 198, 51, 100, 66),
        address('cdn.example.net', 192, 0, 2, 7),
      ]),
    ),
  )
  const name = 'partner.default.svc.cluster.local'
  t.same(await client.resolve4(name), ['192.0.2.7'])
  const header = readHeader(await askUdp(port, makeQuery(name, A)))
  t.match(header, { code: 0, counts: [1, 3, 0, 0] }, 'both aliases and the address; what was not asked for is left out')
  t.match(resolver.asked[0]?.message.toString('latin1', 12), /^\x07partner\x07example\x03com\0\0\x01\0\x01$/)
  t.same(await client.resolveCname(name), ['partner.example.com'])
})

t.test('an ExternalName whose target is not known, or cannot be looked up', async (t) => {
  const name = 'partner.default.svc.cluster.local'
  const unknown = await startForwarding(t, ({ message }, reply) => reply(answer(message, [], 3)))
  t.match(readHeader(await askUdp(unknown.port, makeQuery(name, A))), { code: 3, counts: [1, 1, 0, 0] }, 'RFC 6604')
  const silent = await startForwarding(t, () => undefined, { forwardMs: 50 })
  t.equal(readHeader(await askUdp(silent.port, makeQuery(name, A))).code, 2)
})

t.test('answers under way end with the server', async (t) => {
  const { server, port, resolver } = await startForwarding(t, () => undefined)
  const client = await connectTcp(port)
  client.send(makeQuery(HOST, A))
  await until(() => resolver.asked.length !== 0)
  await server.close()
  await client.closed
})

t.test('any bytes of a resolver are either read or refused', async () => {
  const question = makeQuestion(HOST, A)
  const good = answer(makeQuery(HOST, A, { id: 5 }), [alias(HOST, 'a.test'), address('a.test', 192, 0, 2, 1)])
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 8 }), fc.nat(40), (changes, cut) => {
      const bytes = Buffer.from(good)
      for (const [at, value] of changes) bytes[at % bytes.length] = value
      try {
        const read = readForeignAnswer(bytes.subarray(0, bytes.length - cut), 5, question)
        return read === undefined || (read.bytes.length === bytes.length - cut && read.code < 16)
      } catch (error) {
        return (error as Error).constructor.name === 'FormatError'
      }
    }),
    { numRuns: 3000 },
  )
})
