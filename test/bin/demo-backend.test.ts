import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { createDemoBackends } from '../../bin/demo/backend.ts'
import { findFreePorts } from '../../bin/demo/free-port.ts'

type Answer = { endpoint: string; products: unknown[]; headers: [string, string][] }

async function start(t: Test) {
  const backends = await createDemoBackends()
  t.teardown(() => backends.close())
  const addresses = new Map(
    backends.endpoints.map((text) => {
      const [service, list] = text.split('=') as [string, string]
      return [service, list.split(',')]
    }),
  )
  return addresses as ReadonlyMap<string, readonly string[]>
}

t.test('each Service of the demo has its servers, api two of them', async (t) => {
  const addresses = await start(t)
  t.strictSame([...addresses.keys()], ['default/web', 'default/api', 'default/echo', 'default/visits'])
  t.equal(addresses.get('default/api')?.length, 2)
  const names: string[] = []
  for (const address of addresses.get('default/api')!) {
    const answer = (await (await fetch(`http://${address}/api/products`)).json()) as Answer
    names.push(answer.endpoint)
    t.ok(answer.products.length > 0)
  }
  t.strictSame(names, ['api-1', 'api-2'])
  const page = await fetch(`http://${addresses.get('default/web')![0]}/`)
  t.match(page.headers.get('content-type'), 'text/html')
  t.match(await page.text(), 'new WebSocket')
})

t.test('echo answers with the request as it arrived', async (t) => {
  const address = (await start(t)).get('default/echo')![0]
  const response = await fetch(`http://${address}/a?b=1`, { method: 'POST', body: 'hello', headers: { 'x-one': '1' } })
  const echoed = (await response.json()) as Answer
  t.match(echoed, { endpoint: 'echo-1', method: 'POST', url: '/a?b=1', bodyBytes: 5 })
  t.ok(echoed.headers.some(([name, value]) => name === 'x-one' && value === '1'))
})

t.test('events begin at once', async (t) => {
  const address = (await start(t)).get('default/api')![0]
  const response = await fetch(`http://${address}/api/events`)
  t.equal(response.headers.get('content-type'), 'text/event-stream')
  const reader = response.body!.getReader()
  const { value } = await reader.read()
  t.equal(Buffer.from(value!).toString(), 'data: api-1 1\n\n')
  await reader.cancel()
})

t.test('a WebSocket echoes text, answers pings and closes', async (t) => {
  const address = (await start(t)).get('default/api')![1]
  const socket = new WebSocket(`ws://${address}/api/live`)
  await once(socket, 'open')
  const messages: string[] = []
  const long = 'x'.repeat(300)
  const both = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      messages.push(String(data))
      if (messages.includes('hello') && messages.includes(long)) resolve()
    })
  })
  socket.send('hello')
  socket.send(long)
  await both
  const pong = once(socket, 'pong')
  socket.ping('p')
  t.equal(String((await pong)[0]), 'p')
  const closed = once(socket, 'close')
  socket.close(1000)
  t.equal((await closed)[0], 1000)
})

t.test('a malformed WebSocket request or frame ends the connection', async (t) => {
  const address = (await start(t)).get('default/api')![0]!
  const [host, port] = address.split(':') as [string, string]
  const read = async (text: string | Buffer) => {
    const socket = connect(Number(port), host)
    socket.write('GET /api/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n')
    socket.write(text)
    let received = Buffer.alloc(0)
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk])
    })
    await once(socket, 'close')
    return received
  }
  t.match((await read('\r\n')).toString(), 'HTTP/1.1 400')
  const unmasked = Buffer.concat([Buffer.from('Sec-WebSocket-Key: a\r\n\r\n'), Buffer.from([0x81, 1, 65])])
  const answer = await read(unmasked)
  t.match(answer.toString('latin1'), 'HTTP/1.1 101')
  t.strictSame([...answer.subarray(-2)], [0x88, 0], 'a close frame is the last')
})

t.test('the next free pair of ports is taken where one of a pair is in use', async (t) => {
  const taken: Server = createServer()
  taken.listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const found = await findFreePorts([port, port + 100])
  t.ok(found)
  const [first = 0, second = 0] = found ?? []
  t.ok(first > port, 'beyond the one in use')
  t.equal(second - first, 100, 'the pair stays together')
})
