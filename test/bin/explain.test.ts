import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readUrl } from '../../bin/commands/explain.ts'
import { markService } from '../../lib/upstream/choice/session-cookie.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { checkGolden } from './golden.ts'
import { type Finished, runPortico } from './process.ts'

const cwd = 'test/fixtures/bin/explain'

function explain(url: string, ...words: string[]): Promise<Finished> {
  return runPortico(['explain', url, '-f', 'shop.yaml', ...words], { cwd })
}

const cases: readonly (readonly [name: string, url: string, status: number])[] = [
  ['near-miss', 'https://shop.localhost/api/../carts?x=1', 0],
  ['prefix', 'http://shop.localhost/api/orders', 0],
  ['missing-service', 'http://shop.localhost/cart', 1],
  ['redirect', 'http://secure.localhost/login', 0],
  ['wildcard', 'http://a.apps.localhost/', 0],
  ['two-labels', 'http://a.b.apps.localhost/', 1],
  ['unknown-host', 'http://shpo.localhost/', 1],
  ['climbing', 'http://shop.localhost/../etc/passwd', 1],
  ['bad-host', 'http://user@shop.localhost/', 1],
]

for (const [name, url, status] of cases) {
  t.test(`explain ${url}`, async (t) => {
    const finished = await explain(url)
    t.equal(finished.status, status)
    checkGolden(t, join(cwd, `${name}.txt`), finished.stdout)
  })
}

const SHOP = 'http://shop.localhost'
const routed: readonly (readonly [name: string, words: readonly string[]])[] = [
  ['conditions-fail', [`${SHOP}/x`]],
  ['conditions-hold', [`${SHOP}/x`, '-X', 'POST', '-H', 'X-Beta: 12', '-H', 'x-beta: no', '--header', 'X-Other:']],
  ['condition-value', [`${SHOP}/x`, '-H', 'X-Beta: no']],
  ['condition-method', [`${SHOP}/x`, '--method', 'PUT', '-H', 'X-Beta: 1']],
  ['client', [`${SHOP}/x`, '--client', '10.1.2.3']],
  [
    'peer',
    [
      `${SHOP}/x`,
      ...['--peer', '10.0.0.1', '--trusted-proxies', '10.0.0.0/8,192.168.0.0/16'],
      ...['-H', 'X-Forwarded-For: 6.6.6.6, 192.0.2.7, 192.168.1.1:80', '-H', 'X-Real-IP: 1.1.1.1'],
      ...['-H', 'X-Forwarded-Proto: http, https', '-H', 'X-Forwarded-Host: a b', '-H', 'Forwarded: for=1.1.1.1'],
    ],
  ],
  ['peer-untrusted', [`${SHOP}/x`, '--peer', '10.0.0.1', '-H', 'X-Forwarded-For: 192.0.2.7']],
  ['longer-path', [`${SHOP}/cart/1`, '-H', 'X-Beta: 1']],
  ['expression', [`${SHOP}/v12/x`]],
  ['no-expression', [`${SHOP}/v/x`]],
]

for (const [name, words] of routed) {
  t.test(`explain ${words.join(' ')}`, async (t) => {
    const finished = await runPortico(['explain', ...words, '-f', 'routing.yaml'], { cwd })
    t.equal(finished.status, 0)
    checkGolden(t, join(cwd, `${name}.txt`), finished.stdout)
  })
}

t.test('-o json tells conditions and shares as data', async (t) => {
  const words = ['explain', `${SHOP}/x`, '--client', '10.1.2.3', '-f', 'routing.yaml', '-o', 'json']
  const explanation = JSON.parse((await runPortico(words, { cwd })).stdout)
  t.match(explanation, {
    winner: { conditions: ['client 10.0.0.0/8'], backend: 'default/next:80=1, default/lost:80=1' },
    shares: [
      { backend: 'default/next:80', weight: 1, service: 'default/next:80', endpoints: ['127.0.0.1:3001'] },
      { backend: 'default/lost:80', weight: 1, endpoints: [], code: 'PORTICO_UP_NO_SERVICE' },
    ],
  })
  t.notOk('upstream' in explanation)
})

t.test('a share of a split that nobody answers is no failure, all of them are', async (t) => {
  const stdin = (split: string) => `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {portico.dev/split: "${split}"}}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:3000"}}
spec: {ports: [{port: 80}]}
`
  const run = (split: string) => runPortico(['explain', 'http://a.test/', '-f', '-'], { stdin: stdin(split) })
  t.equal((await run('web=1, lost=1')).status, 0)
  const lost = await run('web=0, lost=1')
  t.equal(lost.status, 1)
  t.match(lost.stdout, 'answer  503 PORTICO_UP_NO_SERVICE: service "lost" not found')
})

t.test('--cookie plays the cookie of a split with the secret of the data folder', async (t) => {
  const folder = t.testdir({ 'affinity.key': `${'5a'.repeat(32)}\n` })
  const stdin = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {portico.dev/split: "web=1, next=1, lost=1, gone=0", portico.dev/split-cookie: version}}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
${['web', 'next', 'gone'].map((name) => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, annotations: {portico.dev/endpoints: "127.0.0.1:3000"}}\nspec: {ports: [{port: 80}]}\n`).join('')}`
  const play = async (cookie: string | undefined, dataDir: string) => {
    const words = ['explain', 'http://a.test/', '-f', '-', '--set', `dataDir=${dataDir}`]
    const { stdout } = await runPortico([...words, ...(cookie === undefined ? [] : ['--cookie', cookie])], { stdin })
    const line = (name: string) => new RegExp(`^  ${name} +(.*)$`, 'm').exec(stdout)?.[1]
    return [line('cookie'), line('sends')]
  }
  const mark = (service: string) => `version=${markService(Buffer.from('5a'.repeat(32), 'hex'), service)}`
  t.same(await play(undefined, folder), [
    'the answer sets version, which keeps the client there',
    'GET / to one of them',
  ])
  t.same(await play(mark('default/next'), folder), [
    'version keeps the client with default/next:80',
    'GET / to default/next:80',
  ])
  for (const other of [mark('default/gone'), mark('default/lost'), 'version=next']) {
    t.same((await play(other, folder))[1], 'GET / to one of them', other)
  }
  t.same(await play(mark('default/next'), `${folder}/none`), [
    'version keeps the client with one that is known where the gateway runs',
    'GET / to one of them',
  ])
  t.notOk(existsSync(`${folder}/none`), 'nothing is written')
})

t.test('a request that cannot be is a usage error', async (t) => {
  for (const [words, message] of [
    [['-H', 'X-Beta'], '"X-Beta" is no header field'],
    [['-X', 'G T'], '"G T" is no method that is served'],
    [['-X', 'TRACE'], '"TRACE" is no method that is served'],
    [['-H', 'Authorization: a', '-H', 'authorization: b'], 'is refused: authorization is repeated'],
    [['--client', 'here'], '"here" is no IP address'],
    [['--peer', 'here'], '"here" is no IP address'],
    [['--peer', '10.0.0.1', '--client', '10.0.0.2'], '--client connects by itself, and --peer for another'],
    [['--cookie', 'session'], '"session" is no cookie'],
    [['--cookie', 'a=b; c=d'], '"a=b; c=d" is no cookie'],
  ] as const) {
    const { status, stderr } = await explain(SHOP, ...words)
    t.equal(status, 2)
    t.match(stderr, message)
  }
})

t.test('the Host field says which host is asked, and the URL where the client connects to', async (t) => {
  const explain = async (...words: string[]) => {
    const { status, stdout } = await runPortico(['explain', ...words, '-f', 'shop.yaml'], { cwd })
    return { status, stdout }
  }
  const named = await explain('-H', 'Host: shop.localhost', 'http://127.0.0.1/api')
  t.equal(named.status, 0)
  t.match(named.stdout, 'host  shop.localhost  exact')
  t.match(named.stdout, 'Host: shop.localhost')
  t.equal((await explain('-H', 'Host;', 'http://shop.localhost/api')).status, 1, 'an empty one is none')
  const secure = await explain('-H', 'host: shop.localhost', 'https://127.0.0.1/api')
  t.match(secure.stdout, 'certificate  default         no tls section names this host', 'SNI is that of the URL')
})

t.test('fields without a value are written as for curl', async (t) => {
  const words = [`${SHOP}/x`, '-f', '-', '-o', 'json']
  const stdin = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {portico.dev/match-headers: X-Beta}}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
  const isTaken = async (field: string) =>
    JSON.parse((await runPortico(['explain', ...words, '-H', field], { stdin })).stdout).winner !== undefined
  t.equal(await isTaken('X-Beta;'), true)
  t.equal(await isTaken('X-Beta:'), false, 'curl does not send this one')
})

t.test('fields that say who the client is count where a trusted proxy sends them', async (t) => {
  const explain = async (...words: string[]) => {
    const { stdout } = await runPortico(['explain', `${SHOP}/x`, ...words, '-f', 'routing.yaml', '-o', 'json'], { cwd })
    const { client, winner } = JSON.parse(stdout)
    return [client?.address, client?.reason, winner.ingress]
  }
  const claim = ['-H', 'X-Forwarded-For: 10.1.2.3, 192.0.2.1']
  const trust = ['--trusted-proxies', '127.0.0.0/8,192.0.2.1']
  const leftMost = (field: string) => `the left-most address of ${field} that is read: trustedProxies names all`
  const first = (field: string) => `the right-most address of ${field} that trustedProxies does not name`
  t.same(await explain(...claim, ...trust), ['10.1.2.3', first('X-Forwarded-For'), 'default/office'])
  t.same(await explain(...claim, '--trusted-proxies', '127.0.0.1,192.0.2.1,10.0.0.0/8'), [
    '10.1.2.3',
    leftMost('X-Forwarded-For'),
    'default/office',
  ])
  const forwarded = ['-H', 'Forwarded: for=10.1.2.3;proto=https']
  t.same(await explain(...forwarded, ...trust), ['10.1.2.3', first('Forwarded'), 'default/office'])
  const reason = (peer: string) =>
    `fields that say who the client is are not believed: trustedProxies does not name ${peer}`
  t.same(await explain(...claim), ['127.0.0.1', reason('127.0.0.1'), 'default/shop'])
  t.same(await explain(...claim, ...trust, '--client', '198.51.100.7'), [
    '198.51.100.7',
    reason('198.51.100.7'),
    'default/shop',
  ])
  t.same(await explain('--client', '10.0.0.1'), [undefined, undefined, 'default/office'])
  t.same(await explain('--peer', '10.0.0.1'), [
    '10.0.0.1',
    'the connection comes from it, and no field names another',
    'default/office',
  ])
  const words = ['explain', `${SHOP}/x`, ...claim, ...trust, '-f', 'routing.yaml', '-o', 'json']
  t.same(JSON.parse((await runPortico(words, { cwd })).stdout).client.steps, [
    { source: 'peer', text: '127.0.0.1', verdict: 'trusted', reason: 'trustedProxies names 127.0.0.0/8' },
    { source: 'X-Forwarded-For', text: '192.0.2.1', verdict: 'trusted', reason: 'trustedProxies names 192.0.2.1' },
    { source: 'X-Forwarded-For', text: '10.1.2.3', verdict: 'client', reason: 'trustedProxies does not name 10.1.2.3' },
  ])
})

t.test('what a trusted proxy says of the scheme decides on the redirect to HTTPS', async (t) => {
  const explain = async (...words: string[]) =>
    (await runPortico(['explain', 'http://secure.localhost/login', ...words, '-f', 'shop.yaml'], { cwd })).stdout
  const said = ['--peer', '10.0.0.1', '-H', 'X-Forwarded-Proto: https']
  t.match(await explain(...said), 'answer  308')
  t.notMatch(await explain(...said, '--trusted-proxies', '10.0.0.1'), 'answer  308')
})

t.test('--cookie adds a cookie, and several stand together with those of -H', async (t) => {
  const stdin = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {portico.dev/match-cookies: "beta: yes\\ngroup: a\\nplan: x"}}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
  const isTaken = async (...words: string[]) => {
    const { stdout } = await runPortico(['explain', `${SHOP}/x`, '-f', '-', '-o', 'json', ...words], { stdin })
    return JSON.parse(stdout).winner !== undefined
  }
  t.equal(await isTaken('--cookie', 'beta=yes', '-H', 'Cookie: group=a', '--cookie', 'plan=x'), true)
  t.equal(await isTaken('--cookie', 'beta=yes', '--cookie', 'plan=x'), false)
})

t.test('-o json says the same as data', async (t) => {
  const { status, stdout } = await explain('https://shop.localhost/api/../carts?x=1', '-o', 'json')
  t.equal(status, 0)
  const explanation = JSON.parse(stdout)
  t.match(explanation, {
    url: 'https://shop.localhost/api/../carts?x=1',
    path: { forwarded: '/carts', query: '?x=1' },
    host: { hostname: 'shop.localhost', matched: 'shop.localhost', reason: 'exact' },
    certificate: { name: 'default' },
    winner: { path: '/', pathType: 'Prefix', backend: 'default/web:80', ingress: 'default/shop' },
    upstream: { service: 'default/web:80', endpoints: [{ address: '127.0.0.1:3000', state: 'ready' }] },
  })
  t.strictSame(
    explanation.candidates.map(({ path, verdict }: { path: string; verdict: string }) => `${path} ${verdict}`),
    ['/ wins', '/cart no', '/api no'],
  )
})

t.test('policies of a Service and an Ingress are shown', async (t) => {
  const stdin = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api, annotations: {portico.dev/retry-try-timeout: 2s}}
spec:
  rules:
    - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata:
  name: api
  annotations: {portico.dev/endpoints: "10.0.0.1:80", portico.dev/balancer: hash, portico.dev/hash-by: header:X-User}
spec: {ports: [{port: 80}]}
`
  const { stdout } = await runPortico(['explain', 'http://a.test/', '-f', '-'], { stdin })
  t.match(stdout, 'settings   balancer: hash, hash.by: header:X-User, retry.tryTimeout: 2s\n')
  const shared = stdin.replace('"10.0.0.1:80"', '"10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80", portico.dev/hash-subset: "2"')
  const several = await runPortico(['explain', 'http://a.test/', '-f', '-'], { stdin: shared })
  t.match(several.stdout, /or another: hash of header:X-User says which 2, and load which of them/)
})

/** An Ingress whose filters are played, with this YAML in place of its annotations. */
function explainFiltered(url: string, annotations: string, ...words: string[]): Promise<Finished> {
  const stdin = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: api, annotations: {${annotations}}}
spec:
  tls: [{hosts: [secure.test]}]
  rules:
    - http: {paths: [{path: /api, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
    - host: secure.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Service
metadata: {name: api, annotations: {portico.dev/endpoints: "10.0.0.1:80"}}
spec: {ports: [{port: 80}]}
`
  return runPortico(['explain', url, '-f', '-', ...words], { stdin })
}

t.test('filters are said in their order, one a line, and the answer of one of them is the answer', async (t) => {
  const maintenance =
    'portico.dev/maintenance: "true", portico.dev/maintenance-message: Back at ten., portico.dev/response-headers-set: "X-A: b"'
  const { status, stdout } = await explainFiltered('http://a.test/api', maintenance)
  t.equal(status, 1)
  const place = '<stdin>:3'
  t.match(
    stdout,
    `\n\n  filters  maintenance: 503 "Back at ten."  ${place}\n           headers: response set X-A  ${place}\n\n`,
  )
  t.match(stdout, /\n\n {2}answer {2}503: the filter maintenance answers\n$/)
  t.notMatch(stdout, 'sends')
  const json = JSON.parse((await explainFiltered('http://a.test/api', maintenance, '-o', 'json')).stdout)
  t.match(json, { answer: { status: 503 }, filters: ['maintenance: 503 "Back at ten."', 'headers: response set X-A'] })
  t.same(json.notPlayed, [])
  t.equal(json.sends, undefined)
  t.notMatch((await explain('http://shop.localhost/api/orders')).stdout, 'filter')
})

t.test('a redirect has its Location, those of hosts too, where no path matches as well', async (t) => {
  const redirect =
    'portico.dev/redirect-host: b.test, portico.dev/redirect-prefix: /v2, portico.dev/redirect-code: "301"'
  const found = await explainFiltered('http://a.test/api/x?y=z', redirect)
  t.equal(found.status, 0)
  t.match(found.stdout, 'answer  301: the filter redirect answers\n          Location: http://b.test/v2/x?y=z\n')
  const secured = await explainFiltered('http://secure.test/none/../%61?x', redirect, '--https-port', '8443')
  t.match(
    secured.stdout,
    'filters  https-redirect: 308 of plain HTTP to https://*, since a tls section names the host\n',
  )
  t.match(secured.stdout, 'Location: https://secure.test:8443/none/../%61?x\n')
  const port = await explainFiltered('http://secure.test/', redirect, '--https-port', '0')
  t.match(port.stdout, 'answer  308: the filter https-redirect answers\n')
  t.notMatch(port.stdout, 'Location')
  const own = await explainFiltered('https://b.test/v2', redirect)
  t.match(own.stdout, /answer {2}404 PORTICO_REQ_NO_ROUTE/, 'the route is not that of the filters')
})

t.test('a rewritten request is said as an endpoint gets it, and one that is refused as such', async (t) => {
  const rewrite =
    'portico.dev/rewrite-regex: ^/api(/.*)$, portico.dev/rewrite-replacement: $1, portico.dev/rewrite-host: b.test'
  const { status, stdout } = await explainFiltered('http://a.test/api/x?y', rewrite)
  t.equal(status, 0)
  t.match(stdout, 'sends      GET /x?y to http://10.0.0.1:80, Host: b.test, X-Forwarded-Proto: http …\n')
  const refused = await explainFiltered('http://a.test/api/%2e%2e/api/.%2f', rewrite)
  t.equal(refused.status, 0, refused.stdout)
  const broken = await explainFiltered(
    'http://a.test/api/..x',
    'portico.dev/rewrite-regex: ^/api/, portico.dev/rewrite-replacement: /a/../',
  )
  t.equal(broken.status, 1)
  t.match(broken.stdout, 'answer  400 PORTICO_REQ_BAD_PATH: the filter url-rewrite refuses it: ')
})

t.test('what the request does not decide is not played, and named', async (t) => {
  const guards = 'portico.dev/auth-url: "http://127.0.0.1:1/x", portico.dev/rate-limit: 5/m'
  const { status, stdout } = await explainFiltered('http://a.test/api', guards)
  t.equal(status, 0)
  t.match(
    stdout,
    'rate-limit: 5/m a client, 1 at once (not played: the number of earlier requests decides)  <stdin>:3\n',
  )
  t.match(stdout, 'within 5s (not played: the answer of its auth server decides)  <stdin>:3\n')
  t.match(stdout, 'X-Forwarded-Proto: http …, if rate-limit and forward-auth let it go on\n')
  const both = await explainFiltered('http://a.test/api', `${guards}, portico.dev/respond-status: "204"`)
  t.match(both.stdout, 'answer  204: the filter respond answers, if rate-limit and forward-auth let it go on\n')
  const json = JSON.parse((await explainFiltered('http://a.test/api', guards, '-o', 'json')).stdout)
  t.same([json.notPlayed, json.sends], [['rate-limit', 'forward-auth'], { target: '/api' }])
  const closed = await explainFiltered(
    'http://a.test/api',
    `${guards}, portico.dev/auth-timeout: none, portico.dev/respond-status: "204"`,
  )
  t.match(closed.stdout, /answer {2}503 PORTICO_GW_GUARD_INVALID: .*\n$/, 'filters of a closed route do not act')
})

t.test('settings take part: %2F is refused where they say so', async (t) => {
  t.equal((await explain('http://shop.localhost/a%2Fb')).status, 0)
  t.equal((await explain('http://shop.localhost/a%2Fb', '--paths-encoded-slash', 'reject')).status, 1)
  const own = ['--https-paths-encoded-slash', 'decode', '--https-paths-merge-slashes', 'always']
  t.match((await explain('https://shop.localhost/a%2F/b', ...own)).stdout, /path +\/a\/b +encoded slashes decoded, /)
})

t.test('settings with errors are told in full, and nothing is played with them', async (t) => {
  const { status, stdout, stderr } = await explain(
    'http://shop.localhost/api',
    '--set',
    'https.paths.encodedSlash=rejct',
  )
  t.equal(status, 1)
  t.equal(stdout, '')
  t.match(stderr, /error +PORTICO_SET_\w+ .*rejct/)
  t.match(stderr, 'no gateway starts with errors in its settings')
})

t.test('a declared length is held to the limit of the route, before its filters', async (t) => {
  const stdin = `${services.replace('portico.dev/endpoints', 'portico.dev/body-limit: 1Ki, portico.dev/allow-source-range: 10.0.0.0/8, portico.dev/endpoints')}`
  const send = async (url: string, length: number, ...words: string[]) => {
    const all = ['explain', url, '-f', '-', '-X', 'POST', '-H', `Content-Length: ${length}`, ...words]
    const { status, stdout } = await runPortico(all, { stdin })
    return [status, /answer +(.*)$/m.exec(stdout)?.[1]]
  }
  const refused = (limit: string) => [1, `413 PORTICO_REQ_TOO_LARGE: more than ${limit}`]
  t.same(
    await send('http://web.test/', 1025),
    refused('the body limit of the route (1 KiB: portico.dev/body-limit or upstream.bodyLimit)'),
  )
  t.match(await send('http://web.test/', 1024), [1, /^403 /])
  t.same(
    await send('http://web.test:30081/', 1025),
    refused('the body limit of the route (1 KiB: portico.dev/body-limit or upstream.bodyLimit)'),
  )
  t.same(await send('http://web.test:30081/', 1024), [0, undefined])
  t.same(await send('http://127.0.0.1:30080/', 1025), [0, undefined], 'the bytes of a connection are not read')
  const all = ['--set', 'limits.bodyBytes=10']
  t.same(await send('http://web.test/spare', 11, ...all), refused('limits.bodyBytes (10 bytes)'))
  t.same(await send('http://web.test/spare', 10, ...all), [0, undefined])
})

t.test('problems of the files are counted on stderr', async (t) => {
  const { stdout, stderr } = await runPortico(['explain', 'http://x.test/', '-f', '-'], { stdin: 'kind: [' })
  t.match(stderr, /1 error.*: portico check tells more/)
  t.match(stdout, '404')
})

t.test('the URL is cut without changing a byte of it', async (t) => {
  const read: readonly (readonly [string, ReturnType<typeof readUrl>])[] = [
    ['https://shop.localhost', { scheme: 'https', host: 'shop.localhost', path: '/' }],
    ['shop.localhost:8080/a//b/../%2e', { scheme: 'http', host: 'shop.localhost:8080', path: '/a//b/../%2e' }],
    ['HTTP://Shop.localhost?x', { scheme: 'http', host: 'Shop.localhost', path: '/?x' }],
    ['wss://shop.localhost/live#top', { scheme: 'https', host: 'shop.localhost', path: '/live' }],
    ['http://[::1]:80/\\', { scheme: 'http', host: '[::1]:80', path: '/\\' }],
  ]
  for (const [word, expected] of read) t.strictSame(readUrl(word), expected, word)
})

t.test('a word that is no URL is a usage error', async (t) => {
  for (const [url, message] of [
    ['ftp://shop.localhost/', 'ftp:// is not served'],
    ['/api', '"/api" names no host'],
  ] as const) {
    const { status, stderr } = await explain(url)
    t.equal(status, 2)
    t.match(stderr, message)
  }
})

const services = `kind: Service
apiVersion: v1
metadata: {name: api, annotations: {portico.dev/endpoints: "127.0.0.1:9001, 127.0.0.1:9002"}}
spec:
  type: NodePort
  ports:
    - {name: tcp, port: 80, nodePort: 30080}
    - {name: http, port: 81, nodePort: 30081, appProtocol: http}
---
kind: Service
apiVersion: v1
metadata:
  name: spare
  annotations:
    portico.dev/endpoints: "127.0.0.1:9001;backup, localhost:9002"
    portico.dev/host: endpoint
spec: {ports: [{port: 80}]}
---
kind: Ingress
apiVersion: networking.k8s.io/v1
metadata: {name: web}
spec:
  rules:
    - host: web.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}
          - {path: /spare, pathType: Prefix, backend: {service: {name: spare, port: {number: 80}}}}
`

async function explainServices(url: string, ...words: string[]): Promise<Finished> {
  return runPortico(['explain', url, '-f', '-', ...words], { stdin: services })
}

t.test('a port that a Service opens is explained by that, not by rules', async (t) => {
  const passed = await explainServices('http://127.0.0.1:30080/a')
  t.equal(passed.status, 0)
  t.match(passed.stdout, 'port  30080      NodePort default/api:80/TCP, L4  <stdin>:7')
  t.match(passed.stdout, 'sends      the bytes of each connection to 127.0.0.1:9001 (in turn with the others)')
  const served = await explainServices('http://web.test:30081/a')
  t.match(served.stdout, 'sends      GET /a to http://127.0.0.1:9001 (in turn with the others), Host: web.test:30081')
  const { listener } = JSON.parse((await explainServices('http://web.test:30081/a', '-o', 'json')).stdout)
  t.match(listener, { name: 'default/api:81/TCP', kind: 'NodePort', layer: 'L7', port: 30081 })
  t.equal((await explainServices('http://127.0.0.1:30081/../a')).status, 1)
  t.match((await explainServices('http://web.test:8080/a')).stdout, 'default/web, longest matching prefix')
})

t.test('which endpoint comes next, and with which Host, is as the Service says', async (t) => {
  const sends = async (url: string, setting: string) =>
    / sends {6}(.*?), X-F/.exec((await explainServices(url, '--set', setting)).stdout)?.[1]
  const url = 'http://web.test/'
  const next = 'GET / to http://127.0.0.1:9001 (or another:'
  t.equal(await sends(url, 'upstream.balancer=ewma'), `${next} ewma says which), Host: web.test`)
  t.match(
    await sends(url, 'upstream.balancer=hash'),
    /to http:\/\/127\.0\.0\.1:900\d \(by the hash of client-ip, unless it is busier than the others\), Host: web\.test$/,
  )
  t.equal(
    await sends(url, 'upstream.affinity.type=cookie'),
    `${next} affinity cookie keeps each client with its own), Host: web.test`,
  )
  const spare = await explainServices('http://web.test/spare')
  t.match(spare.stdout, /127\.0\.0\.1:9001 +ready, backup, annotation/)
  t.match(spare.stdout, 'GET /spare to http://localhost:9002, Host: localhost:9002')
})

const rules = (host: string, path = '/') =>
  `rules: [{host: ${host}, http: {paths: [{path: ${path}, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]`
const ingress = (name: string, spec: string) =>
  `---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: ${name}}\nspec: {${spec}}\n`
const WEB = `apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:9"}}
spec: {ports: [{port: 80}]}
`

t.test('of an Ingress that is not served it names the error, or the class, and the place', async (t) => {
  const stdin = [
    WEB,
    ingress('broken', rules('a.test', 'api')),
    ingress('foreign', `ingressClassName: other, ${rules("'*.b.test'")}`),
    ingress('good', `ingressClassName: own, ${rules('c.test', '/good')}`),
    ingress('half', `ingressClassName: own, defaultBackend: {}, ${rules('c.test')}`),
  ].join('')
  const ask = (url: string, ...words: string[]) =>
    runPortico(['explain', url, '-f', '-', '--set', 'ingressClasses=own', ...words], { stdin })
  const broken = await ask('http://a.test/')
  const error = 'spec.rules[0].http.paths[0].path: Invalid value: "api": must be an absolute path'
  t.equal(broken.status, 1)
  t.match(broken.stdout, `not  default/broken  not served: ${error}  <stdin>:9\n`)
  t.match(broken.stdout, `; Ingress default/broken, which has this host, is not served: ${error} (<stdin>:9)\n`)
  const foreign = await ask('http://x.b.test/')
  t.match(
    foreign.stdout,
    /; Ingress default\/foreign, .* class "other" is not among those the settings serve \(<stdin>:14\)/,
  )
  const half = await ask('http://c.test/elsewhere')
  t.match(half.stdout, /no path of this host matches, and .*; Ingress default\/half, .* \(<stdin>:24\)/)
  const served = await ask('http://c.test/good')
  t.equal(served.status, 0)
  t.match(served.stdout, /not +default\/half +not served: spec.defaultBackend/)
  const [lost] = JSON.parse((await ask('http://a.test/', '-o', 'json')).stdout).host.leftOut
  t.match(lost, { ingress: 'default/broken', reason: error, source: '<stdin>:9:53' })
  t.notMatch((await ask('http://d.test/')).stdout, /not served/)
})

t.test('it explains why clients refuse a certificate, and why the default one is served', async (t) => {
  const day = 86_400_000
  const secret = async (name: string, notBefore: number, notAfter: number) => {
    const [from, to] = [new Date(Date.now() + notBefore * day), new Date(Date.now() + notAfter * day)]
    const pem = await makeCertificate({ names: [`${name}.test`], notBefore: from, notAfter: to })
    const stringData = { 'tls.crt': pem.certificate, 'tls.key': pem.key }
    return `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/tls', metadata: { name }, stringData })}\n`
  }
  const tls = (host: string, secretName = host) =>
    ingress(host, `tls: [{hosts: [${host}.test], secretName: ${secretName}}], ${rules(`${host}.test`)}`)
  const stdin = [
    WEB,
    await secret('old', -30, -2),
    await secret('future', 2, 30),
    await secret('soon', -30, 3.5),
    await secret('good', -30, 300),
    tls('old'),
    tls('future'),
    tls('soon'),
    tls('good'),
    tls('other', 'good'),
  ].join('')
  const ask = async (host: string, ...words: string[]) => {
    const { stdout } = await runPortico(['explain', `https://${host}.test/`, '-f', '-', ...words], { stdin })
    return /^ {2}certificate .*$/m.exec(stdout)?.[0].replaceAll(/\d{4}-\d\d-\d\d/g, 'DAY')
  }
  t.match(await ask('old'), /default\/old +SNI exact, but it expired on DAY: clients refuse it/)
  t.match(await ask('future'), /default\/future +SNI exact, but it is not valid before DAY: clients refuse it/)
  t.match(await ask('soon'), /default\/soon +SNI exact, but it expires on DAY /)
  t.match(await ask('good'), /default\/good +SNI exact {2}<stdin>/)
  t.match(
    await ask('other'),
    /default +the default certificate is served: certificate default\/good does not cover other/,
  )
  t.match(await ask('none'), /no tls section names this host: the default certificate is served/)
  t.match(
    await ask('none', '--set', 'https.strictSni=true'),
    /no tls section names this host: the handshake is refused/,
  )
})

t.test('a port that nothing listens at is told, and one of a Service is not', async (t) => {
  const fault = async (url: string, ...words: string[]) =>
    / {2}port {2,}(\d* *\S.*)$/m.exec((await explainServices(url, ...words)).stdout)?.[1]
  t.match(await fault('http://web.test:9999/'), /^9999 +no listener has this port; explained as .* of http, 8080$/)
  t.match(await fault('http://web.test:8443/'), /^8443 +this is the port of https; http has 8080$/)
  t.match(await fault('https://web.test/', '--no-https'), /^https is off in the settings: nothing serves it$/)
  t.match(await fault('http://web.test:30081/'), /^30081 +NodePort default\/api/)
  for (const url of ['http://web.test/', 'http://web.test:8080/', 'https://web.test:8443/']) {
    t.equal(await fault(url), undefined, url)
  }
  t.equal(await fault('https://web.test:443/', '--https-redirect-port', '443'), undefined)
  t.equal(await fault('http://web.test:9999/', '--http-port', '0'), undefined)
  const { portFault } = JSON.parse((await explainServices('http://web.test:9999/', '-o', 'json')).stdout)
  t.match(portFault, /^no listener has this port/)
})

t.test('a host that a canary alone names says so', async (t) => {
  const stdin = `${WEB}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: share, annotations: {nginx.ingress.kubernetes.io/canary: "true"}}
spec: {${rules('can.test')}}
`
  const { status, stdout } = await runPortico(['explain', 'http://can.test/', '-f', '-'], { stdin })
  t.equal(status, 1)
  const reason = 'not served: no other Ingress has the host can.test: the canary serves nothing'
  t.match(stdout, `not  default/share  ${reason}  <stdin>:9\n`)
  t.match(stdout, `; Ingress default/share, which has this host, is ${reason} (<stdin>:9)\n`)
})
