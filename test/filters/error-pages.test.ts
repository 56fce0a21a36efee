import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { Answer } from '../doors/recorder.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { startRawUpstream } from '../helpers/raw-upstream.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { ask, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

const PAGES = `apiVersion: v1
kind: ConfigMap
metadata: {name: pages}
data:
  404.html: "<h1>Nicht gefunden: ü</h1>"
  down.json: '{"down": true}'
`
const NOT_FOUND = Buffer.from('<h1>Nicht gefunden: ü</h1>').toString('latin1')
const HTML = ['text/html; charset=utf-8']

function answer(status: string, lines: string, body: string): Answer {
  return { pieces: [`HTTP/1.1 ${status}\r\n${lines}Content-Length: ${body.length}\r\n\r\n`, body] }
}

const OWN_FIELDS =
  'Content-Type: text/plain\r\nContent-Encoding: gzip\r\nETag: "a"\r\nAccept-Ranges: bytes\r\nContent-Disposition: attachment\r\nX-Kept: k\r\nWWW-Authenticate: Basic\r\n'

t.test('errors of endpoints get pages by their status, at every door', async (t) => {
  const large = 'x'.repeat(300_000)
  const doors = await startFiltered(
    t,
    { 'error-pages': '5xx=pages/down.json, 404=pages/404.html\n410-411', 'error-pages-body': 'gone' },
    '/',
    PAGES,
    {
      '/404': answer('404 Not Found', OWN_FIELDS, 'secret stack'),
      '/empty': answer('404 Not Found', '', ''),
      '/chunked': {
        pieces: [
          'HTTP/1.1 404 Not Found\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
          '0\r\nX-Sum: 1\r\n\r\n',
        ],
      },
      '/large': answer('404 Not Found', '', large),
      '/close': { pieces: ['HTTP/1.1 404 Not Found\r\n\r\nuntil the end'], ending: 'fin' },
      '/410': answer('410 Gone', '', 'x'),
      '/503': answer('503 Service Unavailable', 'Retry-After: 7\r\n', 'x'),
      '/403': answer('403 Forbidden', 'Content-Type: text/plain\r\n', 'own'),
      '/200': answer('200 OK', '', 'fine'),
    },
  )
  for (const door of doors.names) {
    for (const target of ['/404', '/empty', '/chunked', '/large', '/close', '/404']) {
      for (const method of ['GET', 'POST'] as const) {
        const { status, body, field } = await ask(doors, door, {
          target,
          method,
          ...(method === 'POST' && { body: 'b' }),
        })
        const label = `${method} ${target}, ${door}`
        t.same([status, body, field('content-type')], [404, NOT_FOUND, HTML], label)
        t.same(field('content-length'), [String(NOT_FOUND.length)], label)
        t.same([field('transfer-encoding'), field('trailer'), field('x-sum')], [[], [], []], label)
      }
    }
    const full = await ask(doors, door, { target: '/404' })
    t.same([full.field('x-kept'), full.field('www-authenticate')], [['k'], ['Basic']])
    for (const name of ['content-encoding', 'etag', 'accept-ranges', 'content-disposition'])
      t.same(full.field(name), [], `${name} describes the other body`)
    const head = await ask(doors, door, { target: '/404', method: 'HEAD' })
    t.same([head.status, head.body, head.field('content-type')], [404, '', HTML], `HEAD, ${door}`)
    t.same(head.field('content-length'), [String(NOT_FOUND.length)], `HEAD, ${door}`)
    t.match(await ask(doors, door, { target: '/410' }), { status: 410, body: 'gone' })
    const down = await ask(doors, door, { target: '/503' })
    t.same([down.status, down.body, down.field('content-type')], [503, '{"down": true}', ['application/json']])
    t.same(down.field('retry-after'), ['7'])
    t.match(await ask(doors, door, { target: '/403' }), { status: 403, body: 'own' }, 'without a page')
    t.match(await ask(doors, door, { target: '/200' }), { status: 200, body: 'fine' })
    t.match(await ask(doors, door, { target: '/404', host: 'gw.test' }), { status: 404, body: 'secret stack' })
  }
})

t.test('errors of the gateway get them, alone where that is asked for; answers of other filters do not', async (t) => {
  const guard = { 'auth-url': 'http://127.0.0.1:1/', 'error-pages-for': 'gateway' }
  const guarded = await startFiltered(
    t,
    { 'error-pages': '4xx,5xx=pages/down.json,503=pages/404.html', 'error-pages-body': 'b', ...guard },
    '/',
    PAGES,
  )
  for (const door of guarded.names) {
    const { status, body, field } = await ask(guarded, door, {})
    t.same([status, body, field('content-type')], [503, NOT_FOUND, HTML], door)
    t.same([field('retry-after'), field('cache-control'), field('x-request-id').length], [['1'], ['no-store'], 1], door)
    const head = await ask(guarded, door, { method: 'HEAD' })
    t.same([head.body, head.field('content-length')], ['', [String(NOT_FOUND.length)]], door)
  }
  const own = { '/404': answer('404 Not Found', '', 'own') }
  const alone = await startFiltered(
    t,
    { 'error-pages': '404', 'error-pages-body': 'b', 'error-pages-for': 'gateway' },
    '/',
    '',
    own,
  )
  t.equal((await ask(alone, 'lane', { target: '/404' })).body, 'own')
  const asked = { 'respond-status': '404', 'respond-body': 'asked for', 'error-pages': '404', 'error-pages-body': 'b' }
  t.equal((await ask(await startFiltered(t, asked), 'lane', {})).body, 'asked for')
})

t.test('no endpoint can be reached', async (t) => {
  const pages = { 'error-pages': '5xx', 'error-pages-body': '<p>', 'error-pages-content-type': 'text/html' }
  const running = await runGateway(t, printFiltered(pages), { endpoints: { web: [1] } })
  const client = await connectRaw(running.http)
  for (let count = 0; count < 2; count++) {
    const { status, headers, body } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    t.same([status, body.toString(), headers.includes('text/html')], [502, '<p>', true])
  }
  client.destroy()
})

t.test('other filters act on the page', async (t) => {
  const doors = await startFiltered(
    t,
    {
      'error-pages': '404',
      'error-pages-body': 'long '.repeat(1000),
      compress: 'true',
      'response-headers-set': 'Content-Type: text/css',
      'cors-allow-origins': '*',
    },
    '/',
    '',
    { '/404': answer('404 Not Found', 'Content-Type: image/png\r\n', 'x') },
  )
  for (const door of doors.names) {
    const { body, field } = await ask(doors, door, { target: '/404', fields: [['accept-encoding', 'gzip']] })
    t.equal(gunzipSync(Buffer.from(body, 'latin1')).toString(), 'long '.repeat(1000).trim(), door)
    t.same([field('content-type'), field('access-control-allow-origin')], [['text/css'], ['*']])
  }
})

t.test('the connection to the endpoint is kept, unless the body goes on and on', async (t) => {
  const endless = 'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n'
  let connections = 0
  const upstream = await startRawUpstream(async (connection) => {
    connections++
    for (;;) {
      const head = await connection.head()
      if (head === undefined || head === '') return
      connection.clear()
      if (head.includes('/endless')) {
        connection.send(endless)
        const chunk = `8000\r\n${'x'.repeat(0x8000)}\r\n`
        while (!connection.socket.destroyed) {
          connection.send(chunk)
          await new Promise((resolve) => setTimeout(resolve, 5))
        }
        return
      }
      connection.send('HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\n')
      await new Promise((resolve) => setTimeout(resolve, 20))
      connection.send('own')
    }
  })
  t.teardown(() => upstream.close())
  const manifests = printFiltered({ 'error-pages': '404', 'error-pages-body': 'page' })
  const running = await runGateway(t, manifests, { endpoints: { web: [upstream.port] } })
  const client = await connectRaw(running.http)
  for (const path of ['/a', '/b', '/endless', '/c', '/d']) {
    const { status, body } = await client.send(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`).response()
    t.same([status, body.toString()], [404, 'page'], path)
  }
  t.equal(connections, 2)
  client.destroy()
})

/** A Service that is asked for pages; its answers by code, and what it was asked. */
async function startPages(t: Test, answers: Readonly<Record<string, string>>) {
  const asked: string[] = []
  const upstream = await startRawUpstream(async (connection) => {
    for (;;) {
      const head = await connection.head()
      if (!head.includes('\r\n\r\n')) return
      connection.clear()
      asked.push(head)
      const answer = answers[/^X-Code: (\d+)/im.exec(head)?.[1] ?? ''] ?? ''
      if (answer === 'reset') connection.socket.resetAndDestroy()
      else connection.send(answer)
    }
  })
  t.teardown(() => upstream.close())
  const service = `apiVersion: v1
kind: Service
metadata: {name: errors, annotations: {portico.dev/endpoints: "127.0.0.1:${upstream.port}"}}
spec: {ports: [{port: 8080, name: pages}]}
`
  return { asked, service, connections: upstream.connections }
}

const page = (status: string, body: string, lines: string = 'Content-Type: text/html\r\n') =>
  `HTTP/1.1 ${status}\r\n${lines}Content-Length: ${body.length}\r\nX-Own: o\r\nSet-Cookie: a=b\r\n\r\n${body}`

t.test('a Service is asked for pages as ingress-nginx asks it, at every door', async (t) => {
  const chunked =
    'HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nown\r\n0\r\n\r\n'
  const { asked, service } = await startPages(t, {
    404: page('404 Not Found', '<p>404</p>'),
    500: page('200 OK', '<p>500</p>', 'Content-Type: application/json\r\nContent-Language: de\r\n'),
  })
  const doors = await startFiltered(
    t,
    { 'error-pages': '404,500,503=pages/404.html', 'error-pages-service': 'errors', 'cors-allow-origins': '*' },
    '/',
    `${PAGES}---\n${service}`,
    {
      '/404?a=b': answer('404 Not Found', OWN_FIELDS, 'own'),
      '/chunked': { pieces: [chunked.slice(0, 90), chunked.slice(90)] },
      '/large': answer('404 Not Found', '', 'x'.repeat(300_000)),
      '/500': answer('500 Internal Server Error', 'X-Kept: k\r\n', ''),
      '/503': answer('503 Service Unavailable', '', 'own'),
      '/200': answer('200 OK', '', 'fine'),
    },
  )
  for (const door of doors.names) {
    for (const target of ['/404?a=b', '/chunked', '/large']) {
      for (const method of ['GET', 'POST', 'HEAD']) {
        asked.length = 0
        const fields = [
          ['accept', 'text/html, */*'],
          ['accept-language', 'de'],
          ['cookie', 'c=d'],
        ] as const
        const request = { target, method, fields, ...(method === 'POST' && { body: 'b' }) }
        const { status, body, field } = await ask(doors, door, request)
        const label = `${method} ${target}, ${door}`
        t.same([status, body], [404, method === 'HEAD' ? '' : '<p>404</p>'], label)
        t.same([field('content-type'), field('content-length')], [['text/html'], ['10']], label)
        t.same([field('x-own'), field('set-cookie'), field('access-control-allow-origin')], [[], [], ['*']], label)
        t.equal(asked.length, 1, label)
        const [head = ''] = asked
        t.match(head, /^GET \/ HTTP\/1.1\r\n/, label)
        for (const line of [
          'X-Code: 404',
          'X-Format: text/html, */*',
          'Accept: text/html, */*',
          'Accept-Language: de',
          `X-Original-URI: ${target}`,
          'X-Namespace: default',
          'X-Ingress-Name: filtered',
          'X-Service-Name: web',
          'X-Service-Port: 80',
          `X-Request-ID: ${field('x-request-id')[0]}`,
        ])
          t.ok(head.includes(`\r\n${line}\r\n`), `${line}, ${label}`)
        t.notMatch(head, /cookie/i, 'nothing of the client that the page does not need')
      }
    }
    const error = await ask(doors, door, { target: '/500' })
    t.same([error.status, error.body], [500, '<p>500</p>'], door)
    t.same(['content-type', 'content-language', 'x-kept'].map(error.field), [['application/json'], ['de'], ['k']])
    t.equal((await ask(doors, door, { target: '/503' })).body, NOT_FOUND, 'its own page')
    t.equal((await ask(doors, door, { target: '/200' })).body, 'fine')
  }
})

t.test('with error-pages-status: page the client gets the whole answer of the Service', async (t) => {
  const fields = 'X-Page: p\r\nServer: pages\r\nX-Request-Id: theirs\r\nCache-Control: no-cache\r\n'
  const { service } = await startPages(t, {
    404: page('200 OK', 'soft', fields),
    410: page('302 Found', '', `Location: /home\r\n${fields}`),
    500: page('503 Service Unavailable', 'sorry', `Retry-After: 9\r\n${fields}`),
    502: page('204 No Content', ''),
    503: page('304 Not Modified', ''),
  })
  const own = 'X-Mine: m\r\nWWW-Authenticate: Basic\r\nSet-Cookie: c=d\r\n'
  const answers = Object.fromEntries(
    ['404', '410', '500', '502', '503'].map((code) => [`/${code}`, answer(`${code} Own`, own, `own ${code}`)]),
  )
  const annotations = {
    'error-pages': '4xx,5xx',
    'error-pages-service': 'errors:pages',
    'error-pages-status': 'page',
    'response-headers-set': 'X-Filtered: f',
  }
  const doors = await startFiltered(t, annotations, '/', service, answers)
  for (const door of doors.names) {
    for (const method of ['GET', 'POST', 'HEAD']) {
      const visit = (target: string) => ask(doors, door, { target, method, ...(method === 'POST' && { body: 'b' }) })
      const soft = await visit('/404')
      t.same([soft.status, soft.body], [200, method === 'HEAD' ? '' : 'soft'], `${method} ${door}`)
      t.same(
        ['x-page', 'set-cookie', 'server', 'x-mine', 'www-authenticate', 'x-filtered', 'content-length'].map(
          soft.field,
        ),
        [['p'], ['a=b'], ['portico'], [], [], ['f'], ['4']],
      )
      t.equal(soft.field('x-request-id').length, 1)
      t.notSame(soft.field('x-request-id'), ['theirs'])
      t.match([(await visit('/410')).status, (await visit('/410')).field('location')], [302, ['/home']], door)
      const sorry = await visit('/500')
      t.match([sorry.status, sorry.field('retry-after')], [503, ['9']], door)
      t.equal((await visit('/502')).status, 204, door)
      const left = await visit('/503')
      t.same([left.status, left.field('x-mine')], [503, ['m']], `${door}: an answer that says nothing`)
    }
  }
})

t.test('without a page in time the error goes out as it was', async (t) => {
  const { service } = await startPages(t, {
    404: page('500 Internal Server Error', 'broken'),
    410: 'reset',
    411: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf',
    412: `HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`,
    414: page('101 Switching Protocols', '', 'Connection: upgrade\r\nUpgrade: x\r\n'),
    415: 'nonsense\r\n\r\n',
  })
  const codes = ['404', '410', '411', '412', '413', '414', '415']
  const answers = Object.fromEntries(
    codes.map((code) => [`/${code}`, answer(`${code} Own`, 'X-Kept: k\r\n', `own ${code}`)]),
  )
  const pages = { 'error-pages': '4xx', 'error-pages-service': 'errors:pages' }
  const doors = await startFiltered(t, pages, '/', service, answers)
  for (const door of doors.names) {
    await Promise.all(
      // Silence takes two seconds.
      codes
        .filter((code) => door === 'lane' || (code !== '411' && code !== '413'))
        .map(async (code) => {
          const started = performance.now()
          const { status, body, field } = await ask(doors, door, { target: `/${code}` })
          t.same([status, body, field('x-kept')], [Number(code), `own ${code}`, ['k']], `${code}, ${door}`)
          t.ok(performance.now() - started < 6_000, `${code}, ${door}`)
        }),
    )
    const head = await ask(doors, door, { target: '/404', method: 'HEAD' })
    t.same([head.status, head.body, head.field('content-length')], [404, '', ['7']], `HEAD, ${door}`)
  }
})

t.test(
  "the gateway's own errors have the Service's pages, and those of a Service that is down their own",
  async (t) => {
    const { asked, service } = await startPages(t, { 503: page('503 Service Unavailable', 'page') })
    const guarded = { 'auth-url': 'http://127.0.0.1:1/', 'error-pages': '5xx', 'error-pages-service': 'errors:8080' }
    const doors = await startFiltered(t, guarded, '/', service)
    for (const door of doors.names) {
      const { status, body, field } = await ask(doors, door, {})
      t.same([status, body, field('retry-after'), field('cache-control')], [503, 'page', ['1'], ['no-store']], door)
    }
    for (const door of doors.names) {
      for (const body of ['b', 'x'.repeat(door === 'HTTP/2' ? 10_000 : 200_000)]) {
        const posted = await ask(doors, door, { method: 'POST', body })
        t.same([posted.status, posted.body, posted.upstream], [503, 'page', []], `${body.length} bytes, ${door}`)
      }
    }
    t.equal(asked.length, 3 * doors.names.length)
    const down = service.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:1')
    const failing = await startFiltered(t, guarded, '/', down)
    for (const door of failing.names)
      t.match(await ask(failing, door, {}), { status: 503, body: /PORTICO_GW_AUTH_UNAVAILABLE/ }, door)
  },
)

t.test('a client that leaves while a page is asked for leaves nothing behind', async (t) => {
  const { asked, service, connections } = await startPages(t, {})
  const manifests = `${printFiltered({ 'error-pages': '5xx', 'error-pages-service': 'errors' })}---\n${service}`
  const running = await runGateway(t, manifests, { endpoints: { web: [1] } })
  const client = await connectRaw(running.http)
  client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  await until(() => asked.length === 1)
  client.destroy()
  await until(() => running.gateway.inFlight === 0)
  await connections[0]!.ended()
  t.equal(asked.length, 1)
})

t.test('a Service that is asked for pages may change', async (t) => {
  const [one, two] = await Promise.all([
    startPages(t, { 502: page('200 OK', 'one') }),
    startPages(t, { 502: page('200 OK', 'two') }),
  ])
  const web = printFiltered({ 'error-pages': '5xx', 'error-pages-service': 'errors' })
  const running = await runGateway(t, `${web}---\n${one.service}`, {
    endpoints: { web: [1] },
    flags: { workers: '2', 'https.enabled': 'false' },
  })
  const get = async () => {
    const client = await connectRaw(running.http)
    const { body } = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    client.destroy()
    return body.toString()
  }
  t.equal(await get(), 'one')
  await running.change(`${web}---\n${two.service}`)
  t.same([await get(), await get()], ['two', 'two'])
  await running.change(web)
  t.match(await get(), /PORTICO_UP_CONNECT_REFUSED/)
  await running.change(`${web}---\n${one.service}`)
  t.equal(await get(), 'one')
})

t.test('what cannot be used is refused, and errors pass as they are', (t) => {
  const cases: readonly [Record<string, string>, RegExp][] = [
    [{ 'error-pages': '404' }, /"404" has no page/],
    [{ 'error-pages': '404=pages/404.html' }, /ConfigMap "pages" not found/],
    [{ 'error-pages': '200', 'error-pages-body': 'x' }, /no list of pages/],
    [{ 'error-pages': '6xx', 'error-pages-body': 'x' }, /no list of pages/],
    [{ 'error-pages': '504-502', 'error-pages-body': 'x' }, /ends before it begins/],
    [{ 'error-pages': '' }, /no list of pages/],
    [{ 'error-pages': '404,'.repeat(51), 'error-pages-body': 'x' }, /51 items/],
    [{ 'error-pages': '404', 'error-pages-body': 'x', 'error-pages-for': 'none' }, /neither/],
    [{ 'error-pages-body': 'x' }, /nothing without error-pages/],
    [{ 'error-pages': '404', 'error-pages-service': 'errors' }, /Service "errors" not found/],
    [{ 'error-pages': '404', 'error-pages-service': 'web:81' }, /Service "web" has no port 81/],
    [{ 'error-pages': '404', 'error-pages-service': 'other/web' }, /names no Service/],
    [{ 'error-pages': '404', 'error-pages-service': 'web', 'error-pages-body': 'x' }, /has the page already/],
    [{ 'error-pages-service': 'web' }, /nothing without error-pages/],
    [{ 'error-pages': '404', 'error-pages-body': 'x', 'error-pages-status': 'page' }, /without error-pages-service/],
    [{ 'error-pages': '404', 'error-pages-service': 'web', 'error-pages-status': '200' }, /is neither/],
    [{ 'error-pages': '404', 'error-pages-body': 'x', 'error-pages-content-type': 'a\nb' }, /no media type/],
  ]
  for (const [annotations, message] of cases) {
    const { route, diagnostics } = translateFiltered(annotations)
    t.match(
      diagnostics[0],
      { message, help: /until then requests pass without error-pages/ },
      JSON.stringify(annotations),
    )
    t.ok(diagnostics[0]?.position)
    t.match(route, { filters: undefined, action: { type: 'forward' } })
  }
  t.end()
})
