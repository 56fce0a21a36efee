import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { findFilter } from '../../lib/filters/registry.ts'
import { FilterDraft, type FilterRequest } from '../../lib/filters/spec.ts'
import { FakeTime } from '../helpers/fake-time.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { translateText } from '../translate/manifests.ts'
import { ask, HOST, printFiltered, startFiltered, translateFiltered } from './filtered.ts'

t.test('fields of requests and of answers are set, added and removed, at every door', async (t) => {
  const doors = await startFiltered(t, {
    'request-headers-set': 'X-Env: prod\nX-Twice: own',
    'request-headers-add': 'X-Tag: b',
    'request-headers-remove': 'X-Secret, cookie',
    'response-headers-set': 'X-Frame-Options: DENY\nServer: mine',
    'response-headers-add': 'Vary: Origin',
    'response-headers-remove': 'x-recorder',
  })
  const fields = [
    ['x-twice', 'theirs'],
    ['x-tag', 'a'],
    ['x-secret', 's'],
    ['cookie', 'a=b'],
    ['x-kept', 'k'],
  ] as const
  for (const door of doors.names) {
    const { status, field, upstream } = await ask(doors, door, { target: '/x?y', fields })
    t.equal(status, 200, door)
    t.equal(upstream[0], 'GET /x?y HTTP/1.1')
    t.same(
      upstream
        .slice(1)
        .filter((line) => line.startsWith('x-') || line.startsWith('cookie'))
        .sort(),
      ['x-env: prod', 'x-kept: k', 'x-tag: a', 'x-tag: b', 'x-twice: own'],
      door,
    )
    t.same(field('x-frame-options'), ['DENY'], door)
    t.same(field('server'), ['mine'])
    t.same(field('vary'), ['Origin'])
    // The gateway's own answers pass through the filters as well.
    const refused = await ask(doors, door, { method: 'POST', fields: [['expect', 'more']], body: 'b' })
    t.not(refused.status, 200)
    const plain = await ask(doors, door, { host: 'gw.test', fields })
    t.same(plain.field('x-frame-options'), [], 'other routes are left alone')
    t.ok(plain.upstream.includes('x-secret: s'))
  }
})

t.test('what the gateway itself says of the client, and trailers, are changed like all else', async (t) => {
  const doors = await startFiltered(t, {
    'request-headers-set': 'X-Real-IP: 9.9.9.9',
    'request-headers-remove': 'X-Debug',
  })
  for (const door of doors.names) {
    const { upstream } = await ask(doors, door, {
      method: 'POST',
      body: 'b',
      fields: [['te', 'trailers']],
      trailers: [
        ['x-debug', '1'],
        ['x_debug', '1'],
        ['x-real-ip', '1.1.1.1'],
        ['x-kept', '1'],
      ],
    })
    t.same(
      upstream.filter((line) => /debug|x-kept/.test(line)),
      ['x-kept: 1'],
      door,
    )
  }
})

t.test('variables stand in values, at every door', async (t) => {
  const doors = await startFiltered(t, {
    'request-headers-set': `X-A: \${client.address}|\${request.method}|\${request.scheme}|\${request.host}|\${request.authority}\nX-B: \${request.path}|\${request.query}|\${request.target}|$\${x}$1\nX-Tls: \${tls.version} \${tls.cipher}\nX-Sni: \${tls.server-name}\nX-Time: t=\${request.time}\nX-Protocol: \${request.protocol}`,
    'response-headers-add': `X-Id: \${request.id}`,
  })
  for (const door of doors.names) {
    const fields = [
      ['x-sni', 'forged'],
      ['x-request-id', 'abc.1'],
    ] as const
    const host = `${HOST}:81`
    const { upstream, field } = await ask(doors, door, { host, target: '/x/../y?a=%0d%0aX:1&b', fields })
    const scheme = door.includes('TLS') || door === 'HTTP/2' ? 'https' : 'http'
    const find = (name: string) => upstream.filter((line) => line.startsWith(`${name}: `))
    t.same(find('x-a'), [`x-a: 127.0.0.1|GET|${scheme}|${HOST}|${host}`], door)
    t.same(find('x-b'), [`x-b: /y|a=%0d%0aX:1&b|/x/../y?a=%0d%0aX:1&b|\${x}$1`], door)
    if (scheme === 'http') t.same([find('x-tls'), find('x-sni')], [[], []], `${door}: nothing to say, nothing forged`)
    else {
      t.match(find('x-tls'), [/^x-tls: TLSv1\.[23] [A-Z][A-Z0-9_-]+$/], door)
      t.same(find('x-sni'), door === 'HTTP/2' ? [] : ['x-sni: gw.test'], door)
    }
    t.match(find('x-time'), [/^x-time: t=\d{13}$/], door)
    t.same(find('x-protocol'), [door === 'HTTP/2' ? 'x-protocol: HTTP/2.0' : 'x-protocol: HTTP/1.1'], door)
    t.same(field('x-id'), ['abc.1'], door)
  }
})

t.test('fields, cookies, parameters and groups of the path stand in values, at every door', async (t) => {
  const annotations = {
    'path-type': 'regex',
    'request-headers-set': `X-A: <\${request.header.X-In}>\nX-B: <\${request.cookie.sid}>\nX-C: <\${request.parameter.a}>\nX-D: /\${match.1}/<\${match.2}\${match.9}>\nX-E: \${request.encoded-target}`,
  }
  const doors = await startFiltered(t, annotations, '/v([0-9]+)/(x)?', '', {}, 'ImplementationSpecific')
  for (const door of doors.names) {
    const { upstream } = await ask(doors, door, {
      target: '/v12/y?b=1&a=%c3%a4%0a%26',
      fields: [
        ['x-in', 'a\tb\xe4'],
        ['cookie', 'ssid=0; sid="1"'],
      ],
    })
    t.same(
      upstream.filter((line) => /^x-[a-e]:/.test(line)),
      [
        'x-a: <a%09b%E4>',
        'x-b: <1>',
        'x-c: <%C3%A4%0A%26>',
        'x-d: /12/<>',
        'x-e: %2Fv12%2Fy%3Fb%3D1%26a%3D%25c3%25a4%250a%2526',
      ],
      door,
    )
  }
  const plain = await startFiltered(t, {
    'request-headers-set': `X-A: <\${request.header.X-In}\${match.1}\${request.cookie.a}\${request.parameter.a}>`,
  })
  t.match(
    (await ask(plain, 'lane', {})).upstream.filter((line) => line.startsWith('x-a')),
    ['x-a: <>'],
  )
})

t.test('whatever a variable stands for, its field stays in one line', async () => {
  const filter = findFilter('headers').create(
    {
      request: {
        set: [['X-A', `<\${tls.server-name}>`]],
        add: [],
        remove: [],
      },
    },
    { clock: new FakeTime(), processes: 1, httpsPort: () => 443, warn: () => {}, shared: (make) => make() },
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (serverName) => {
      const draft = new FilterDraft('/', 'a', '')
      filter.upstreamRequest!(draft, { tls: { version: '', cipher: '', serverName } } as FilterRequest)
      return /^X-A: <[\x21-\x7e]*>\r\n$/.test(draft.lines)
    }),
  )
})

t.test('a variable that does not exist is told, with what was meant, and every documented one exists', async (t) => {
  const refuse = (value: string) => translateFiltered({ 'request-headers-set': `X-A: ${value}` })
  const cases = [
    [`\${client.adress}`, /: there is no variable \$\{client\.adress\}; did you mean \$\{client\.address\}\?$/],
    [`a \${remote_addr}`, /there is no variable \$\{remote_addr\}; did you mean \$\{client\.address\}\?$/],
    ['$request_id', /nothing takes the place of \$request_id; write \$\{request\.id\}$/],
    ['$geoip_city', /nothing takes the place of \$geoip_city$/],
    [`\${nothing.alike.at.all}`, /there are client\.address, request\.authority, /],
    ['$http_x_forwarded_host', /; write \$\{request\.header\.x-forwarded-host\}$/],
    [`\${arg_a}`, /; did you mean \$\{request\.parameter\.a\}\?$/],
    ['$cookie_sid', /; write \$\{request\.cookie\.sid\}$/],
    [`\${match.0}`, /there is no variable \$\{match\.0\}/],
    [`\${match.10}`, /there is no variable/],
    [`\${request.header.}`, /there is no variable/],
    [`\${request.header.a b}`, /there is no variable/],
    [`\${`, /"\$\{" has no end; /],
    [`\${request.id`, /"\$\{request\.id" has no end/],
  ] as const
  for (const [value, message] of cases) {
    const { route, diagnostics } = refuse(value)
    t.match(diagnostics, [{ code: 'PORTICO_ANN_VALUE', message, position: { line: 4 } }], value)
    t.match(route, { filters: undefined, action: { type: 'forward' } })
  }
  const { diagnostics } = translateFiltered({ 'respond-headers': `X-A: \${request.id}` })
  t.match(diagnostics, [{ message: /nothing takes the place of the variable \$\{request\.id\} here/ }])
  const documented = [...readFileSync('docs/filters.md', 'utf8').matchAll(/^\| `(\$\{[a-zNAME1.-]+\})`.* \|/gm)]
  t.equal(documented.length, 19)
  for (const [, variable] of documented) t.same(refuse(variable!).diagnostics, [], `${variable}`)
})

t.test('fields of answers are hidden, whether an endpoint or the gateway answers', async (t) => {
  const answer = 'HTTP/1.1 200 OK\r\nX-Powered-By: php\r\nServer: php\r\nContent-Length: 2\r\n\r\nok'
  for (const more of [{}, { maintenance: 'true' }]) {
    const annotations = { 'response-headers-remove': 'Server, X-Powered-By', ...more }
    const doors = await startFiltered(t, annotations, '/', '', { '/': { pieces: [answer] } })
    for (const door of doors.names) {
      for (const target of ['/', '/a']) {
        const { status, field } = await ask(doors, door, { target })
        t.same([field('server'), field('x-powered-by')], [[], []], `${door} ${status}`)
      }
    }
  }
})

/** The ConfigMap `fields`. */
function printFields(data: object): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: fields}\ndata: ${JSON.stringify(data)}\n`
}

t.test('fields of answers stand in a ConfigMap, at every door', async (t) => {
  const data = {
    'X-Frame-Options': 'DENY\n',
    'X-Host': `<\${request.host}>`,
    'X-Both': 'ConfigMap',
    'X-Empty': '',
    'X-Old': 'n',
  }
  const answer = 'HTTP/1.1 200 OK\r\nx-old: o\r\nX-Kept: k\r\nContent-Length: 2\r\n\r\nok'
  const annotations = { 'response-headers-from': 'fields', 'response-headers-set': 'x-both: annotation' }
  const doors = await startFiltered(t, annotations, '/', printFields(data), { '/': { pieces: [answer] } })
  for (const door of doors.names) {
    for (const target of ['/', '/a']) {
      const { field } = await ask(doors, door, { target })
      t.same(
        ['x-frame-options', 'x-host', 'x-both', 'x-empty'].map(field),
        [['DENY'], [`<${HOST}>`], ['annotation'], ['']],
        door,
      )
      t.same(field('x-old'), ['n'], door)
    }
  }
})

t.test('a ConfigMap that cannot be used is told, and requests are served without it', async (t) => {
  for (const [data, message] of [
    [{ 'Content-Length': '1' }, /cannot be used: Content-Length is written by the gateway itself$/],
    [{ 'X-A': 'a\r\nX-B: b' }, /the value of X-A has characters that a field cannot have$/],
    [{ 'X-A': 'a\nb' }, /the value of X-A has characters/],
    [{ 'X-A': '$host' }, /the value of X-A: nothing takes the place of \$host; write /],
    [{ 'X-A': `\${no}` }, /there is no variable/],
    [Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`X-${at}`, 'a'])), /has 101 keys/],
  ] as const) {
    const doors = await startFiltered(t, { 'response-headers-from': 'fields' }, '/', printFields(data))
    const { status, field } = await ask(doors, 'lane', {})
    t.same([status, field('x-a')], [200, []])
    const { diagnostics } = translateText(
      `${printFiltered({ 'response-headers-from': 'fields' })}---\n${printFields(data)}`,
    )
    t.match(
      diagnostics.find(({ code }) => code === 'PORTICO_ANN_VALUE'),
      { message, position: {}, notes: [{ message: 'the ConfigMap is here' }] },
      String(message),
    )
  }
  const { diagnostics } = translateFiltered({ 'response-headers-from': 'none' })
  t.match(diagnostics, [{ code: 'PORTICO_REF_CONFIG_MAP_NOT_FOUND' }])
  t.match(translateFiltered({ 'response-headers-from': 'a/b' }).diagnostics, [{ message: /names no ConfigMap/ }])
})

t.test('a change of the ConfigMap changes the fields', async (t) => {
  const print = (value: string) =>
    `${printFiltered({ 'response-headers-from': 'fields' })}---\n${printFields({ 'X-A': value })}`
  const running = await runGateway(t, print('1'), { endpoints: endpointsOf(await startEchoes(t, 'web')) })
  for (const value of ['1', '2']) {
    if (value === '2') await running.change(print('2'))
    const client = await connectRaw(running.http)
    const response = await client.send('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n').response()
    t.equal(response.header('x-a'), value)
    client.destroy()
  }
})
