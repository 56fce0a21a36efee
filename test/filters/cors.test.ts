import t from 'tap'
import type { Answer } from '../doors/recorder.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { ask, type Filtered, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

const APP = 'https://app.example.com'

const from = (origin: string) => ({ fields: [['origin', origin]] as const })
const preflight = (origin: string, method: string = 'PUT', more: readonly (readonly [string, string])[] = []) => ({
  method: 'OPTIONS',
  fields: [['origin', origin], ['access-control-request-method', method], ...more] as const,
})

/** The fields of CORS, by the ends of their names, and what caches are told. */
function readCors({ field }: Filtered): Record<string, readonly string[]> {
  const names = ['Allow-Origin', 'Allow-Credentials', 'Allow-Methods', 'Allow-Headers', 'Expose-Headers', 'Max-Age']
  const found = names.map((name) => [name, field(`access-control-${name.toLowerCase()}`)] as const)
  return Object.fromEntries([...found.filter(([, values]) => values.length > 0), ['Vary', field('vary')] as const])
}

t.test('pages of the origins that are allowed may read answers, at every door', async (t) => {
  const own: Answer = {
    pieces: [
      'HTTP/1.1 200 OK\r\nACCESS-CONTROL-ALLOW-ORIGIN: *\r\naccess-control-allow-credentials: true\r\naccess-control-expose-headers: X-Own\r\nVary: Accept, origin\r\nX-Kept: k\r\nTransfer-Encoding: chunked\r\n\r\n',
      '5\r\nhello\r\n0\r\nAccess-Control-Allow-Origin: https://evil.test\r\nX-Sum: 7\r\n\r\n',
    ],
  }
  const doors = await startFiltered(
    t,
    {
      'cors-allow-origins': `${APP}, https://*.example.org:8443 http://[::1]:3000, https://www.example.net:443, null, capacitor://localhost`,
      'cors-allow-origins-regex': 'https://pr-[0-9]+\\.example\\.com',
      'cors-expose-headers': 'X-Total, X-Page',
    },
    '/',
    '',
    { '/own': own, '/304': { pieces: ['HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'] } },
  )
  const allowed = [
    APP,
    'https://eu-1.example.org:8443',
    'http://[::1]:3000',
    'https://www.example.net',
    'null',
    'capacitor://localhost',
    'https://pr-17.example.com',
  ]
  const others = [
    'http://app.example.com',
    'https://app.example.com:8443',
    'https://app.example.com.evil.test',
    'https://xapp.example.com',
    'https://example.org:8443',
    'https://.example.org:8443',
    'https://a.b.example.org:8443',
    'https://evil.test/.example.org:8443',
    'https://eu-1.example.org',
    'https://pr-17.example.com.evil.test',
    'https://evil.test?https://pr-17.example.com',
    'https://pr-x.example.com',
    `https://pr-${'1'.repeat(400)}.example.com`,
    'https://APP.example.com',
    '*',
    '',
  ]
  for (const door of doors.names) {
    for (const origin of allowed) {
      const answer = await ask(doors, door, from(origin))
      t.match(answer, { status: 200, body: 'hello' }, `${door} ${origin}`)
      t.ok(answer.upstream.includes(`origin: ${origin}`))
      const expected = { 'Allow-Origin': [origin], 'Expose-Headers': ['X-Total, X-Page'], Vary: ['Origin'] }
      t.same(readCors(answer), expected, `${door} ${origin}`)
    }
    for (const origin of others) {
      const answer = await ask(doors, door, from(origin))
      t.equal(answer.status, 200, 'it is the browser that keeps the answer from the page')
      t.same(readCors(answer), { Vary: ['Origin'] }, `${door} ${origin}`)
    }
    t.same(readCors(await ask(doors, door, {})), { Vary: ['Origin'] }, `${door}: no origin`)
    const replaced = await ask(doors, door, { target: '/own', ...from(APP) })
    t.same(
      readCors(replaced),
      { 'Allow-Origin': [APP], 'Expose-Headers': ['X-Total, X-Page'], Vary: ['Accept, origin'] },
      `${door}: those of the endpoint are replaced`,
    )
    t.same(replaced.field('x-kept'), ['k'])
    t.same(
      readCors(await ask(doors, door, { target: '/own' })),
      { Vary: ['Accept, origin'] },
      'and do not open anything',
    )
    t.match(readCors(await ask(doors, door, { target: '/304', ...from(APP) })), { 'Allow-Origin': [APP] })
  }
  t.same(readCors(await ask(doors, 'lane', { host: 'gw.test', target: '/own', ...from(APP) })), {
    'Allow-Origin': ['*'],
    'Allow-Credentials': ['true'],
    'Expose-Headers': ['X-Own'],
    Vary: ['Accept, origin'],
  })
})

t.test('a preflight is answered, and other requests with OPTIONS go on', async (t) => {
  const doors = await startFiltered(t, {
    'cors-allow-origins': APP,
    'cors-allow-methods': 'GET, PUT',
    'cors-allow-headers': 'X-Token, Content-Type',
    'cors-expose-headers': 'X-Total',
    'cors-allow-credentials': 'true',
    'cors-max-age': '1h',
    'cors-allow-private-network': 'true',
  })
  const vary = [
    'Origin',
    'Access-Control-Request-Method',
    'Access-Control-Request-Headers',
    'Access-Control-Request-Private-Network',
  ]
  for (const door of doors.names) {
    const answer = await ask(doors, door, preflight(APP, 'PUT', [['access-control-request-headers', 'x-token']]))
    t.match(answer, { status: 204, body: '', upstream: [] }, door)
    t.same(answer.field('content-length'), [], 'RFC 9110 §8.6')
    t.same(
      readCors(answer),
      {
        'Allow-Origin': [APP],
        'Allow-Credentials': ['true'],
        'Allow-Methods': ['GET, PUT'],
        'Allow-Headers': ['X-Token, Content-Type'],
        'Max-Age': ['3600'],
        Vary: vary,
      },
      door,
    )
    t.same(answer.field('access-control-allow-private-network'), [])
    const near = preflight(APP, 'GET', [['access-control-request-private-network', 'true']])
    t.same((await ask(doors, door, near)).field('access-control-allow-private-network'), ['true'])
    const refused = await ask(doors, door, preflight('https://evil.test'))
    t.match(refused, { status: 204, upstream: [] }, 'the endpoint is not asked for it')
    t.same(readCors(refused), { Vary: vary })
    for (const fields of [[['origin', APP]], [['access-control-request-method', 'PUT']], []] as const) {
      const other = await ask(doors, door, { method: 'OPTIONS', fields })
      t.equal(other.upstream[0], 'OPTIONS /a HTTP/1.1', `${door} ${JSON.stringify(fields)}`)
    }
    t.match(await ask(doors, door, { ...preflight(APP), method: 'GET' }), { status: 200 }, 'another method')
  }
})

t.test('all origins, methods and fields', async (t) => {
  const doors = await startFiltered(
    t,
    { 'cors-allow-origins': '*', 'cors-allow-methods': '*', 'cors-allow-headers': '*', 'cors-expose-headers': '*' },
    '/',
    '',
    { '/own': { pieces: ['HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 0\r\n\r\n'] } },
  )
  for (const door of doors.names) {
    const expected = { 'Allow-Origin': ['*'], 'Expose-Headers': ['*'], Vary: [] }
    t.same(readCors(await ask(doors, door, from(APP))), expected, door)
    t.same(
      readCors(await ask(doors, door, { target: '/own' })),
      expected,
      'the same for all, so that caches may keep it',
    )
    const answer = await ask(
      doors,
      door,
      preflight(APP, 'PURGE', [['access-control-request-headers', 'authorization, x-a']]),
    )
    t.same(readCors(answer), {
      'Allow-Origin': ['*'],
      'Allow-Methods': ['PURGE'],
      'Allow-Headers': ['authorization, x-a'],
      'Max-Age': ['600'],
      Vary: ['Access-Control-Request-Method', 'Access-Control-Request-Headers'],
    })
    const odd = await ask(doors, door, preflight(APP, 'a b', [['access-control-request-headers', 'x-a; y']]))
    t.same([odd.field('access-control-allow-methods'), odd.field('access-control-allow-headers')], [[], []])
  }
})

t.test('a preflight passes in front of guards, and their answers and errors can be read', async (t) => {
  const guards = { 'auth-url': 'http://127.0.0.1:1/', 'cors-allow-origins': APP, 'cors-allow-credentials': 'true' }
  const doors = await startFiltered(t, guards)
  for (const door of doors.names) {
    t.match(await ask(doors, door, preflight(APP)), { status: 204, upstream: [] }, door)
    const refused = await ask(doors, door, from(APP))
    t.match(refused, { status: 503, body: /PORTICO_GW_AUTH_UNAVAILABLE/ }, door)
    t.match(readCors(refused), { 'Allow-Origin': [APP], 'Allow-Credentials': ['true'], Vary: ['Origin'] }, door)
  }
  const limited = await startFiltered(t, { 'rate-limit': '1/h', 'cors-allow-origins': APP })
  for (let count = 0; count < 3; count++) t.equal((await ask(limited, 'lane', preflight(APP))).status, 204)
  t.equal((await ask(limited, 'lane', from(APP))).status, 200, 'preflights are not counted')
  const answer = await ask(limited, 'lane', from(APP))
  t.match([answer.status, readCors(answer)], [429, { 'Allow-Origin': [APP], Vary: ['Origin'] }])
  const closed = await startFiltered(t, { 'rate-limit': 'none', 'cors-allow-origins': APP })
  t.match(readCors(await ask(closed, 'lane', from(APP))), { 'Allow-Origin': [APP] }, 'a closed route')
})

t.test('errors of endpoints and of the gateway carry the fields', async (t) => {
  const running = await runGateway(t, printFiltered({ 'cors-allow-origins': APP }), { endpoints: { web: [1] } })
  const client = await connectRaw(running.http)
  const { status, headers } = await client.send(`GET / HTTP/1.1\r\nHost: a.test\r\nOrigin: ${APP}\r\n\r\n`).response()
  client.destroy()
  t.equal(status, 502)
  t.ok(headers.includes(APP))
})

t.test('what is unsafe or no origin is refused, and then nothing is allowed', (t) => {
  const origins = 'cors-allow-origins'
  const secret = { 'cors-allow-credentials': 'true' }
  const cases: readonly [Record<string, string>, RegExp][] = [
    [{ [origins]: 'app.example.com' }, /"app.example.com" has no scheme/],
    [{ [origins]: `${APP}, https://a.test/` }, /"https:\/\/a.test\/" has a path/],
    [{ [origins]: 'https://app-*.example.com' }, /no whole first label; cors-allow-origins-regex/],
    [{ [origins]: 'https://*.*.example.com' }, /no whole first label/],
    [{ [origins]: 'http://localhost:*' }, /no whole first label/],
    [{ [origins]: 'https://App.example.com' }, /has capitals/],
    [{ [origins]: 'https://a.test:port' }, /is no origin/],
    [{ [origins]: ' , ' }, /names no origin/],
    [{ [origins]: '' }, /names no origin/],
    [{ [origins]: Array.from({ length: 201 }, (_, at) => `https://a${at}.test`).join() }, /201 items/],
    [{ [origins]: '*', ...secret }, /with credentials "\*" lets any page act/],
    [{ [origins]: `${APP}, null`, ...secret }, /with credentials "null"/],
    [{ 'cors-allow-origins-regex': '.*', ...secret }, /stands for any origin/],
    [{ 'cors-allow-origins-regex': 'https?://.*', ...secret }, /stands for any origin/],
    [{ 'cors-allow-origins-regex': '(' }, /./],
    [{ 'cors-allow-origins-regex': 'https://(?=a).test' }, /no look-around/],
    [{ [origins]: APP, 'cors-expose-headers': '*', ...secret }, /take "\*" for a name/],
    [{ [origins]: APP, 'cors-allow-credentials': 'yes' }, /neither/],
    [{ [origins]: APP, 'cors-max-age': '2d' }, /is no time/],
    [{ [origins]: APP, 'cors-max-age': '25h' }, /longer than 24h/],
    [{ [origins]: APP, 'cors-allow-methods': 'GET; PUT' }, /names no methods/],
    [{ [origins]: APP, 'cors-allow-headers': 'X-A: b' }, /no name of a field/],
    [{ 'cors-allow-methods': 'GET' }, /says nothing without cors-allow-origins/],
  ]
  for (const [annotations, message] of cases) {
    const { route, diagnostics } = translateFiltered(annotations)
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message, help: /until then requests pass without cors/ }])
    t.ok(diagnostics[0]?.position, JSON.stringify(annotations))
    t.equal(route?.filters, undefined)
    t.equal(route?.action.type, 'forward')
  }
  const { route, diagnostics } = translateFiltered({ [origins]: 'https://*.example.com', ...secret })
  t.same([diagnostics, route?.filters?.map(({ name }) => name)], [[], ['cors']])
  t.end()
})
