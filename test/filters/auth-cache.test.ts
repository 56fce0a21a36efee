/** Answers of auth servers that are kept, over real sockets, and what bounds them. */
import t, { type Test } from 'tap'
import { AuthCache } from '../../lib/filters/auth-cache.ts'
import type { FilterAnswer, FilterRequest, PendingAnswer } from '../../lib/filters/spec.ts'
import { joinLines } from '../../lib/http1/field-line.ts'
import { FakeTime } from '../helpers/fake-time.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { startAuth } from './auth-server.ts'
import { ask, printFiltered, startFiltered } from './filtered.ts'

type Fields = readonly (readonly [string, string])[]

const bearer = (name: string): Fields => [['authorization', `Bearer ${name}`]]

/** Lets `Bearer good…` pass, and tells endpoints who it is. */
function startBearerAuth(t: Test) {
  return startAuth(t, (request, response) => {
    const { authorization = '' } = request.headers
    const isGood = authorization.startsWith('Bearer good')
    response.writeHead(isGood ? 200 : 401, { 'X-User': authorization.slice(7) }).end(isGood ? '' : 'who are you?')
  })
}

t.test('an answer is kept for the credentials that it is about, and for nobody else', async (t) => {
  for (const at of [0, 1, 2, 3, 4]) {
    const auth = await startBearerAuth(t)
    const doors = await startFiltered(t, {
      'auth-url': auth.url,
      'auth-response-headers': 'X-User',
      'auth-cache-key': 'header:Authorization',
      'auth-signin': '/login',
    })
    const door = doors.names[at]!
    const visit = async (fields: Fields, target = '/a') => {
      const before = auth.asked.length
      const { status, upstream, field } = await ask(doors, door, { fields, target })
      const user = upstream.find((line) => line.startsWith('x-user'))
      return [status, user, field('location')[0], auth.asked.length - before]
    }
    t.same(await visit(bearer('good')), [200, 'x-user: good', undefined, 1], door)
    t.same(await visit(bearer('good')), [200, 'x-user: good', undefined, 0], 'kept')
    t.same(await visit([...bearer('good'), ['x-user', 'root']], '/b'), [200, 'x-user: good', undefined, 0])
    t.same(await visit(bearer('good too')), [200, 'x-user: good too', undefined, 1], 'somebody else')
    const scheme = /TLS|HTTP\/2/.test(door) ? 'https' : 'http'
    const back = (path: string) => `/login?rd=${encodeURIComponent(`${scheme}://filtered.test${path}`)}`
    t.same(await visit(bearer('bad')), [302, undefined, back('/a'), 1])
    t.same(await visit(bearer('bad'), '/b'), [302, undefined, back('/b'), 0], 'the way back is that of each request')
    t.same(await visit([]), [302, undefined, back('/a'), 1], 'a request without the credential is asked about')
    t.same(await visit([]), [302, undefined, back('/a'), 1], 'each time: it may have others')
    t.same(
      await visit([...bearer('good'), ['cookie', 'a=b']]),
      [200, 'x-user: good', undefined, 1],
      'the key names no cookie',
    )
  }
})

t.test('of several cookies with one name none stands for the others', async (t) => {
  // As many servers do, it believes the last one.
  const auth = await startAuth(t, (request, response) => {
    const last = request.headers.cookie?.split(';').at(-1)?.split('=')[1]
    response.writeHead(last === 'good' ? 200 : 401, { 'X-User': last }).end()
  })
  const doors = await startFiltered(t, { 'auth-url': auth.url, 'auth-cache-key': 'cookie:session' })
  const visit = async (door: string, cookie: string) =>
    (await ask(doors, door, { fields: [['cookie', cookie]] })).status
  for (const door of doors.names) {
    for (const name of ['session', ' session', 'session ']) {
      t.equal(await visit(door, `session=none; ${name}=good`), 200, door)
      t.equal(await visit(door, 'session=none'), 401, 'another has the first cookie alone')
    }
  }
})

t.test('hosts, and what else the key names, have answers of their own', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.end())
  const annotations = { 'auth-url': auth.url, 'auth-cache-key': 'cookie:session, method,path , client' }
  const running = await runGateway(t, printFiltered(annotations), {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
  })
  const send = async (line: string, ...fields: string[]) => {
    const client = await connectRaw(running.http)
    const host = fields.some((field) => field.startsWith('Host')) ? [] : ['Host: a.test']
    const { status } = await client.send(`${line} HTTP/1.1\r\n${[...host, ...fields].join('\r\n')}\r\n\r\n`).response()
    client.destroy()
    t.equal(status, 200)
    return auth.asked.length
  }
  const cookie = 'Cookie: session=1; theme=dark'
  t.equal(await send('GET /a', cookie), 1)
  t.equal(await send('GET /a', 'Cookie: theme=light; session=1'), 1, 'other cookies do not count')
  t.equal(await send('GET /a', cookie.replace('1', '2')), 2)
  t.equal(await send('GET /a?b', cookie), 3, 'path and query')
  t.equal(await send('DELETE /a', cookie), 4, 'method')
  t.equal(await send('GET /a', cookie, 'Host: b.test'), 5, 'host')
  t.equal(await send('GET /a', 'Cookie: theme=dark'), 6, 'without the cookie')
  t.equal(await send('GET /a', 'Cookie: theme=dark'), 7)
  t.equal(await send('GET /a', cookie, 'Authorization: Bearer x'), 8, 'a credential that the key does not name')
  t.equal(await send('GET /a', cookie, 'Authorization: Bearer x'), 9)
  t.equal(await send('GET /a', cookie), 9)
  const more = { ...annotations, 'auth-timeout': '3s' }
  await running.change(printFiltered(more))
  t.equal(await send('GET /a', cookie), 9, 'answers outlive a reload')
  await running.change(printFiltered({ ...more, 'auth-url': `${auth.url}&other` }))
  t.equal(await send('GET /a', cookie), 10, 'those to another question do not')
})

t.test('requests that come together ask once, and one that leaves takes nothing from the others', async (t) => {
  const held: (() => void)[] = []
  const auth = await startAuth(t, (_request, response) => held.push(() => response.writeHead(200).end()))
  const annotations = { 'auth-url': auth.url, 'auth-cache-key': 'header:Authorization', 'auth-timeout': '1m' }
  const running = await runGateway(t, printFiltered(annotations), {
    endpoints: endpointsOf(await startEchoes(t, 'web')),
  })
  const clients = await Promise.all(Array.from({ length: 5 }, () => connectRaw(running.http)))
  for (const client of clients) client.send('GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer x\r\n\r\n')
  await until(() => running.gateway.inFlight === 5 && held.length > 0)
  t.equal(auth.asked.length, 1)
  clients[0]!.reset()
  await until(() => running.gateway.inFlight === 4)
  t.equal(auth.sockets.size, 1, 'the question goes on')
  held[0]!()
  for (const client of clients.slice(1)) t.equal((await client.response()).status, 200)
  t.equal(auth.asked.length, 1)
  for (const client of clients) client.destroy()
  const alone = await connectRaw(running.http)
  alone.send('GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer y\r\n\r\n')
  await until(() => held.length === 2)
  alone.reset()
  await until(() => auth.sockets.size === 0)
  t.pass('the last one that leaves ends the question')
})

t.test('an answer that is for one request alone is given to that one alone', async (t) => {
  for (const [name, value] of [
    ['Set-Cookie', 'session=new'],
    ['Cache-Control', 'private, no-store'],
  ] as const) {
    const auth = await startAuth(t, (_request, response) => {
      setTimeout(() => response.writeHead(200, { [name]: value }).end(), 50)
    })
    const doors = await startFiltered(t, { 'auth-url': auth.url, 'auth-cache-key': 'header:Authorization' })
    const answers = await Promise.all(doors.names.map((door) => ask(doors, door, { fields: bearer('x') })))
    t.equal(auth.asked.length, doors.names.length, `${name}: each asks`)
    for (const { status, field } of answers) {
      t.equal(status, 200)
      t.same(field('set-cookie'), name === 'Set-Cookie' ? [value] : [])
    }
  }
})

const answerOf = (status: number, ...fields: string[]): FilterAnswer => ({
  status,
  lines: joinLines(fields),
  body: undefined,
})

/** A cache whose server answers what it is told, with a clock that stands still. */
function makeCache(durations: readonly (readonly [number, number])[] = [[200, 1000]]) {
  const time = new FakeTime()
  const cache = new AuthCache({ key: ['header:authorization'], durations }, time)
  let asked = 0
  const visit = async (name: string, answer: FilterAnswer | Error): Promise<[FilterAnswer | undefined, number]> => {
    const before = asked
    const request = {
      clientHostname: 'a.test',
      header: (field: string) => (field === 'authorization' ? name : undefined),
    } as Partial<FilterRequest> as FilterRequest
    const found = cache.find(request, '/verify', (): PendingAnswer => {
      asked++
      return { answer: answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer), cancel: () => {} }
    })
    const given = 'status' in found ? found : await found.answer.catch(() => undefined)
    return [given, asked - before]
  }
  return { time, visit }
}

t.test('the status says for how long an answer is kept, and failures are never kept', async (t) => {
  const { time, visit } = makeCache([
    [200, 1000],
    [401, 50],
  ])
  const asks = async (name: string, answer: FilterAnswer | Error) => (await visit(name, answer))[1]
  t.equal(await asks('a', answerOf(200)), 1)
  t.equal(await asks('b', answerOf(401)), 1)
  time.advance(49)
  t.same([await asks('a', answerOf(200)), await asks('b', answerOf(401))], [0, 0])
  time.advance(1)
  t.same([await asks('a', answerOf(200)), await asks('b', answerOf(401))], [0, 1])
  time.advance(950)
  t.equal(await asks('a', answerOf(401)), 1)
  t.same([await asks('c', answerOf(403)), await asks('c', answerOf(403))], [1, 1], 'no time is said for it')
  t.same([await asks('d', new Error('down')), await asks('d', answerOf(200))], [1, 1], 'a failure')
})

t.test('clients do not decide how much memory answers take', async (t) => {
  const { visit } = makeCache([[200, 1000]])
  for (let count = 0; count <= 10_000; count++) await visit(`client ${count}`, answerOf(200))
  t.equal((await visit('client 10000', answerOf(200)))[1], 0)
  t.equal((await visit('client 0', answerOf(200)))[1], 1, 'the oldest of more than 10,000 goes')
  const large = makeCache([[200, 1000]])
  const answer = { ...answerOf(200), body: Buffer.alloc(65_536) }
  for (let count = 0; count < 300; count++) await large.visit(`client ${count}`, answer)
  const kept = await Promise.all(Array.from({ length: 300 }, (_, at) => large.visit(`client ${at}`, answerOf(403))))
  const count = kept.filter(([, asked]) => asked === 0).length
  t.ok(count > 200 && count * 65_536 <= 16_777_216, `${count} answers of 64 KiB`)
})
