/** Cases and requests that a seed repeats. Each area has some of each, and requests that every seed asks. */
import { Random } from '../../fuzz/random.ts'
import type { WrittenIngress, WrittenIngresses } from '../../translate/ingress/nginx/nginx-ingress.ts'
import type { REPLIES } from './backend.ts'
import type { AskedFor, Case, Places } from './case.ts'

type Annotations = WrittenIngress['nginx']
type Paths = NonNullable<WrittenIngress['paths']>
type Field = readonly [name: string, value: string]

export function makeCases(seed: number, places: Places): readonly Case[] {
  const maker = new Maker(new Random(seed))
  maker.paths()
  maker.expressions()
  maker.rewriting()
  maker.redirects()
  maker.hosts()
  maker.sizes()
  maker.rates()
  maker.ranges()
  maker.passwords()
  maker.authServer(places)
  maker.satisfy(places)
  maker.requestFields()
  maker.answerFields()
  maker.errors()
  maker.cors()
  maker.snippets()
  return maker.cases
}

const basic = (user: string): Field => [
  'Authorization',
  `Basic ${Buffer.from(`${user}:${user}-password`).toString('base64')}`,
]
const ANNA = basic('anna')
const CLIENTS = ['127.0.0.1', '127.0.0.2', '127.1.0.1', '127.1.2.3', '127.2.0.1']

class Maker {
  readonly cases: Case[] = []
  readonly #random: Random
  #count = 0

  constructor(random: Random) {
    this.#random = random
  }

  #add(
    area: string,
    nginx: Annotations,
    requests: readonly AskedFor[],
    paths?: Paths,
    more: (host: string) => WrittenIngresses = () => ({}),
  ): void {
    const name = `${area}-${this.#count++}`
    const host = `${name}.test`
    // The age says which Ingress of a host is the first (G7).
    const first: WrittenIngress = { nginx, host, created: '2026-01-01T00:00:00Z', ...(paths && { paths }) }
    this.cases.push({ area, host, ingresses: { [name]: first, ...more(host) }, requests })
  }

  #times<T>(count: number, make: (at: number) => T): readonly T[] {
    return Array.from({ length: count }, (_, at) => make(at))
  }

  #some<T>(choices: readonly T[], most: number): readonly T[] {
    const left = [...choices]
    return this.#times(1 + this.#random.below(most), () => left.splice(this.#random.below(left.length), 1)[0]!).filter(
      (each) => each !== undefined,
    )
  }

  #maybe(annotations: Annotations): Annotations {
    return this.#random.oneIn(2) ? annotations : {}
  }

  /** Redirects and auth servers are told paths as they came: without dots, so that these are one difference and not many. */
  #target(dots: readonly string[] = ['..', '.']): string {
    const random = this.#random
    // Slashes to merge beside dots are a difference of their own.
    const isDouble = random.oneIn(8)
    const odd = isDouble ? [] : dots
    const path = this.#times(random.below(4), () =>
      random.pick(['a', 'b', 'api', 'API', 'v1', 'x.html', '%41pi', 'a%20b', 'caf%C3%A9', ...odd]),
    )
    const end = random.mostly(['', '', '/'], 8, ['//', ...odd.map((each) => `/${each}`)])
    const isMerged = end === '//' && path.some((each) => dots.includes(each))
    const last = path.length === 0 || isMerged ? '' : end
    return `/${path.join(isDouble ? '//' : '/')}${last}${random.pick(['', '', '?q=1', '?a=b&c=%2F'])}`
  }

  /** R1 */
  paths(): void {
    const random = this.#random
    this.#add(
      'paths',
      {},
      ['/a', '/a/b', '/ab'].map((target) => ({ target })),
      [['/a', 'ImplementationSpecific']],
    )
    this.#add('paths', {}, [{ target: '/a//../b' }], [['/a', 'Prefix']])
    for (let at = 0; at < 6; at++) {
      const paths = this.#some(['/a', '/api', '/api/v1', '/b', '/a/b'], 4).map(
        (path) => [path, random.pick(['Prefix', 'Exact', 'ImplementationSpecific'])] as const,
      )
      const requests: AskedFor[] = [{ target: '/nowhere' }]
      for (const [path] of paths)
        requests.push({ target: path }, { target: `${path}/` }, { target: `${path}x` }, { target: `${path}/x?y` })
      requests.push(...this.#times(6, () => ({ target: this.#target() })))
      const isWhole = random.oneIn(2)
      this.#add('paths', {}, requests, isWhole ? [...paths, ['/', 'Prefix']] : paths)
    }
  }

  /** R2, R3 */
  expressions(): void {
    const random = this.#random
    const choices = ['/api', '/api/[a-z]{1,3}', '/a(pi)?/v[0-9]+', '/.*\\.html', '/a/b$', '/b(/|$)', '/api/v1']
    for (let at = 0; at < 5; at++) {
      const paths = this.#some(choices, 3).map((path) => [path, 'ImplementationSpecific'] as const)
      const others: Paths = [[random.pick(['/exact', '/api/v']), 'Exact']]
      const requests: AskedFor[] = [
        '/exact',
        '/EXACT/below',
        '/exacter',
        '/api',
        '/API/v1',
        '/api/vx',
        '/b',
        '/a/b/c',
        '/x.html',
      ].map((target) => ({ target }))
      requests.push(...this.#times(6, () => ({ target: this.#target() })))
      this.#add('expressions', { 'use-regex': 'true' }, requests, paths, (host) => ({
        [`other-${at}`]: { nginx: {}, host, paths: others, created: '2026-01-02T00:00:00Z' },
      }))
    }
  }

  /** R4, R5, XP1 */
  rewriting(): void {
    const random = this.#random
    const choices: readonly (readonly [path: string, target: string])[] = [
      ['/api(/|$)(.*)', '/$2'],
      ['/api', '/'],
      ['/api', '/inner'],
      ['/api/(.*)/(.*)', '/$2/$1'],
      ['/a(p)?(i)?/?(.*)', '/x$1y$2/$3'],
      ['/(a|b)/?(.*)', '/z/$1-$2'],
      ['/api/?(.*)', '/q/$1?'],
      ['/old', 'http://new.test/at'],
    ]
    for (const [path, target] of choices) {
      const nginx = {
        'rewrite-target': target,
        ...this.#maybe({ 'x-forwarded-prefix': random.pick(['/pre', '/pre/$1']) }),
      }
      const requests: AskedFor[] = [
        '/api',
        '/api/',
        '/api/x',
        '/API/x/y?z=1',
        '/a',
        '/b/c',
        '/apix',
        '/old',
        '/api/a%20b',
        '/api/%3Fx',
      ].map((each) => ({ target: each }))
      requests.push(...this.#times(4, () => ({ target: this.#target() })))
      this.#add('rewriting', nginx, requests, [[path, 'ImplementationSpecific']])
    }
    this.#add(
      'rewriting',
      { 'rewrite-target': '/$1', 'x-forwarded-prefix': '/pre/$1' },
      [{ target: '/api/caf%C3%A9' }],
      [['/api/(.*)', 'ImplementationSpecific']],
    )
  }

  /** RD, AR, SSL */
  redirects(): void {
    const random = this.#random
    const url = () =>
      random.pick(['https://new.test', 'http://new.test/', 'https://new.test/a?b=c', 'https://new.test:8443/x'])
    const choices: readonly (() => Annotations)[] = [
      () => ({
        'permanent-redirect': url(),
        ...this.#maybe({ 'permanent-redirect-code': random.pick(['300', '303', '307', '308', '309', '200']) }),
      }),
      () => ({
        'temporal-redirect': url(),
        ...this.#maybe({ 'temporal-redirect-code': random.pick(['301', '303', '307', '308', '299']) }),
      }),
      () => ({ 'temporal-redirect': url(), 'permanent-redirect': 'https://permanent.test/' }),
      () => ({ 'app-root': random.pick(['/app', '/deep/er/']) }),
      () => ({ 'app-root': '/app' }),
      () => ({ 'force-ssl-redirect': 'true' }),
      () => ({ 'app-root': '/app', 'force-ssl-redirect': 'true' }),
    ]
    for (const [at, choose] of choices.entries()) {
      const targets = ['/', '/?a=b', '/a/b?c=d', '/a/', '/a//b', '/a/?c=d']
      const requests: AskedFor[] = [...targets, ...this.#times(3, () => this.#target([]))].map((target) => ({
        target,
        ...(random.oneIn(4) && { method: random.pick(['HEAD', 'POST', 'OPTIONS']) }),
      }))
      requests.push({ target: '/', host: `redirects-${this.#count}.test:8080` })
      this.#add('redirects', choose(), requests, at === 4 ? [['/app']] : undefined)
    }
    this.#add('redirects', { 'permanent-redirect': 'https://new.test', 'permanent-redirect-code': '300' }, [
      { target: '/' },
    ])
    // RD6, G9
    this.#add('redirects', { 'permanent-redirect': 'https://new.test', 'allowlist-source-range': '10.0.0.0/8' }, [
      { target: '/' },
    ])
    this.#add('redirects', { 'permanent-redirect': 'https://new.test', 'force-ssl-redirect': 'true' }, [
      { target: '/x' },
    ])
  }

  /** WW, SA */
  hosts(): void {
    for (const isWww of [true, false]) {
      const name = `www-${this.#count++}`
      const host = `${isWww ? 'www.' : ''}${name}.test`
      const other = `${isWww ? '' : 'www.'}${name}.test`
      const requests = ['/', '/a?b=c', '/a/', this.#target([])].flatMap((target) => [
        { target },
        { target, host: other },
      ])
      this.cases.push({
        area: 'hosts',
        host,
        ingresses: { [name]: { nginx: { 'from-to-www-redirect': 'true' }, host } },
        requests,
      })
    }
    this.#add('hosts', { 'server-alias': 'alias.test,*.wild.test' }, [
      { target: '/', host: 'alias.test' },
      { target: '/a', host: 'ALIAS.test' },
      { target: '/a', host: 'x.wild.test' },
      { target: '/a', host: 'wild.test' },
      { target: '/a', host: 'unknown.test' },
    ])
  }

  /** BS */
  sizes(): void {
    const random = this.#random
    for (const [size, bytes] of [
      ['100', 100],
      ['1k', 1024],
      ['2K', 2048],
      ['0', 5000],
      [undefined, 5000],
    ] as const) {
      const lengths = [0, 1, bytes - 1, bytes, bytes + 1, random.below(3 * bytes)]
      const requests = lengths.flatMap((length): AskedFor[] => {
        const asked = { method: random.pick(['POST', 'PUT', 'PATCH']), target: '/upload', body: 'x'.repeat(length) }
        return [asked, { ...asked, isChunked: true }]
      })
      this.#add('sizes', size === undefined ? {} : { 'proxy-body-size': size }, requests)
    }
    this.#add('sizes', {}, [
      { method: 'POST', target: '/', body: 'x'.repeat(2 ** 20) },
      { method: 'POST', target: '/', body: 'x'.repeat(2 ** 20 + 1) },
    ])
  }

  /** RL: by the minute, so that nothing comes back while the test asks. */
  rates(): void {
    const random = this.#random
    for (let at = 0; at < 3; at++) {
      const rate = 1 + random.below(3)
      const multiplier = random.pick([undefined, 1, 2, 3])
      const nginx = { 'limit-rpm': String(rate), ...(multiplier && { 'limit-burst-multiplier': String(multiplier) }) }
      const count = rate * (multiplier ?? 5) + 4
      const requests = this.#times(count, (index): AskedFor => ({ target: index % 2 === 0 ? '/one' : '/two/x' }))
      this.#add('rates', nginx, [...requests, { target: '/one', from: '127.0.0.9' }], [['/one'], ['/two']])
    }
    // RL2 and the order: a limit counts before a password is asked for
    this.#add(
      'rates',
      {
        'limit-rpm': '1',
        'limit-burst-multiplier': '1',
        'auth-type': 'basic',
        'auth-secret': 'users',
        'auth-realm': 'x',
      },
      this.#times(4, () => ({ target: '/' })),
    )
  }

  /** IP */
  ranges(): void {
    const lists = [
      '127.0.0.1',
      '127.0.0.0/24',
      '127.1.0.0/16',
      '10.0.0.0/8, 127.1.2.3',
      '127.0.0.0/8',
      '::1, 127.2.0.1/32',
    ]
    const choices: readonly Annotations[] = this.#times(6, (at) => {
      const [allow, deny] = [this.#random.pick(lists), this.#random.pick(lists)]
      if (at < 2) return { [at === 0 ? 'whitelist-source-range' : 'allowlist-source-range']: allow }
      return at < 4
        ? { 'denylist-source-range': deny }
        : { 'allowlist-source-range': allow, 'denylist-source-range': deny }
    })
    for (const nginx of choices)
      this.#add(
        'ranges',
        nginx,
        CLIENTS.map((from) => ({ target: this.#target(), from, fields: [['X-Forwarded-For', '10.1.1.1']] })),
      )
  }

  /** BA */
  passwords(): void {
    const fields: readonly (readonly Field[])[] = [
      [],
      [ANNA],
      [basic('bert')],
      [basic('carl')],
      [['Authorization', `Basic ${Buffer.from('anna:wrong').toString('base64')}`]],
      [['authorization', ANNA[1].replace('Basic', 'basic')]],
      [['Authorization', 'Bearer x']],
      [['Authorization', 'Basic !!!']],
    ]
    for (const realm of ['Please log in', 'a "b" c'])
      this.#add(
        'passwords',
        { 'auth-type': 'basic', 'auth-secret': 'users', 'auth-realm': realm },
        fields.map((each) => ({ target: this.#target(), fields: each })),
      )
  }

  /** EA */
  authServer({ auth }: Places): void {
    const random = this.#random
    const url = `http://127.0.0.1:${auth}/check`
    const requests = (): readonly AskedFor[] =>
      [undefined, 'in', 'bare', 'no', 'broken', random.pick(['in', 'no'])].map((key, at) => ({
        target: this.#target([]),
        method: random.pick(['GET', 'POST', 'PUT']),
        fields: [
          ['X-User', 'forged'],
          ['Cookie', 'a=b'],
          ['X-Forwarded-For', '10.9.8.7'],
          ...(key === undefined ? [] : [['X-Key', key] as Field]),
        ],
        ...(at % 2 === 0 && { body: 'body' }),
      }))
    const all: readonly Annotations[] = [
      {},
      { 'auth-response-headers': 'X-User, X-Groups' },
      { 'auth-method': 'POST', 'auth-response-headers': 'X-User' },
      { 'auth-always-set-cookie': 'true' },
      { 'auth-signin': 'https://login.test/start' },
      { 'auth-signin': 'https://login.test/start?x=1', 'auth-signin-redirect-param': 'back' },
      { 'auth-signin': 'https://login.test/start?rd=https://fixed.test' },
      { 'auth-request-redirect': '/back' },
    ]
    for (const nginx of all) {
      // A body is not asked for with a GET.
      const asked = requests().map((each) =>
        each.method === 'GET' ? { target: each.target, fields: each.fields! } : { ...each, body: each.body ?? '' },
      )
      this.#add('auth', { 'auth-url': `${url}${random.pick(['', '?x=1'])}`, ...nginx }, asked)
    }
  }

  /** AC */
  satisfy({ auth }: Places): void {
    const guards: readonly Annotations[] = [
      { 'auth-type': 'basic', 'auth-secret': 'users', 'auth-realm': 'x' },
      { 'auth-url': `http://127.0.0.1:${auth}/check` },
    ]
    for (const guard of guards)
      for (const satisfy of ['any', 'all'])
        this.#add(
          'satisfy',
          { ...guard, satisfy, 'allowlist-source-range': '127.1.0.0/16', 'denylist-source-range': '127.1.2.3' },
          CLIENTS.flatMap((from): AskedFor[] => [
            { target: '/', from },
            { target: '/', from, fields: [ANNA, ['X-Key', 'in']] },
            {
              target: '/',
              from,
              fields: [
                ['Authorization', 'Basic eDp5'],
                ['X-Key', 'no'],
              ],
            },
          ]),
        )
  }

  /** G11, UV1 */
  requestFields(): void {
    const random = this.#random
    const choices: readonly Field[] = [
      ['X-Forwarded-For', '10.1.2.3, 10.4.5.6'],
      ['X-Forwarded-Host', 'forged.test'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Port', '1'],
      ['X-Real-IP', '10.1.1.1'],
      ['X-Request-ID', 'mine-1'],
      ['Proxy', 'http://evil.test'],
      ['Accept', 'text/html'],
      ['Accept-Encoding', 'gzip'],
      ['Cookie', 'a=b; c=d'],
      ['User-Agent', 'test'],
      ['X-Empty', ''],
      ['TE', 'trailers'],
      ['Range', 'bytes=0-1'],
      ['If-None-Match', '"x"'],
      ['Authorization', 'Bearer y'],
      ['X-Scheme', 'forged'],
      ['X-Original-Forwarded-For', 'forged'],
    ]
    for (let at = 0; at < 4; at++) {
      const host = `fields-${this.#count}.test`
      const requests = this.#times(8, (): AskedFor => {
        const method = random.pick(['GET', 'DELETE', 'POST', 'PROPFIND', 'OPTIONS'])
        return {
          method,
          target: this.#target(),
          fields: this.#some(choices, 6),
          ...(method === 'POST' && { body: 'hello' }),
        }
      })
      this.#add('fields', at % 2 === 0 ? {} : { 'upstream-vhost': 'inner.test' }, [
        ...requests,
        { target: '/', fields: choices.slice(0, 7) },
        {
          target: '/a/./b/../c?d',
          fields: [
            ['TE', 'trailers'],
            ['X-Scheme', 'forged'],
          ],
        },
        { target: '/', host: host.toUpperCase() },
        { target: '/', host: `${host}:8080` },
        { target: '/', fields: [['X_Under', '1']] },
      ])
    }
  }

  #replies(names: readonly (keyof typeof REPLIES)[]): readonly AskedFor[] {
    return names.flatMap((name): AskedFor[] => [
      {
        target: this.#target(),
        fields: [
          ['X-Reply', name],
          ['Accept', 'text/html'],
        ],
      },
      { method: 'HEAD', target: '/', fields: [['X-Reply', name]] },
    ])
  }

  /** proxy-cookie-*, proxy-redirect-*, custom-headers, G13 */
  answerFields(): void {
    const all: readonly Annotations[] = [
      {},
      { 'proxy-cookie-path': '/app/ /', 'proxy-cookie-domain': 'inner.test outer.test' },
      { 'proxy-cookie-path': '/ /below/' },
      { 'proxy-redirect-from': 'http://inner.test/app/', 'proxy-redirect-to': '/' },
      { 'proxy-redirect-from': 'http://inner.test/', 'proxy-redirect-to': 'https://outer.test/x/' },
      { 'proxy-redirect-from': 'off' },
      { 'custom-headers': 'fields' },
    ]
    for (const nginx of all)
      this.#add(
        'answers',
        nginx,
        this.#replies(['well', 'cookies', 'inner', 'outer', 'path', 'cors', 'teapot', 'busy']),
      )
  }

  /** CE */
  errors(): void {
    const replies = this.#replies(['well', 'forbidden', 'missing', 'teapot', 'broken', 'busy'])
    const posted: AskedFor = { method: 'POST', target: '/a/b?c', body: 'hello', fields: [['X-Reply', 'broken']] }
    const lists = ['404,503', '403, 500', '418', '500,503,404,403']
    for (const list of lists)
      this.#add('errors', { 'custom-http-errors': list, 'default-backend': 'pages' }, [...replies, posted])
    this.#add(
      'errors',
      { 'custom-http-errors': '500', 'default-backend': 'pages', 'disable-proxy-intercept-errors': 'true' },
      [...replies, posted],
    )
  }

  /** CO */
  cors(): void {
    const origins = [
      undefined,
      'https://a.test',
      'http://a.test:8080',
      'https://x.a.test',
      'https://x.y.a.test',
      'https://A.test',
      'null',
      'https://evil.test',
    ]
    const all: readonly Annotations[] = [
      {},
      { 'cors-allow-origin': 'https://a.test', 'cors-expose-headers': 'X-A, X-B', 'cors-max-age': '600' },
      {
        'cors-allow-origin': 'https://*.a.test, http://a.test:8080',
        'cors-allow-credentials': 'false',
        'cors-max-age': '60',
      },
      {
        'cors-allow-origin': 'https://a.test',
        'cors-allow-methods': 'GET, PUT',
        'cors-allow-headers': 'X-One, X-Two',
        'cors-max-age': '60',
      },
    ]
    for (const nginx of all)
      this.#add(
        'cors',
        { 'enable-cors': 'true', ...nginx },
        origins.flatMap((origin): AskedFor[] => {
          const fields: readonly Field[] = origin === undefined ? [] : [['Origin', origin]]
          const reply = this.#random.pick(['well', 'cors', 'missing', 'broken'])
          return [
            { target: '/', fields: [...fields, ['X-Reply', reply]] },
            { method: 'OPTIONS', target: '/', fields: [...fields, ['Access-Control-Request-Method', 'PUT']] },
            { method: 'OPTIONS', target: '/', fields },
          ]
        }),
      )
  }

  /** SN: `more_*` is of a module that a plain nginx lacks. */
  snippets(): void {
    const location = [
      'add_header X-Added "one two" always;',
      'proxy_hide_header X-Powered-By;',
      'proxy_set_header X-Set "$host";',
      'proxy_set_header X-User-Agent $http_user_agent;',
      'if ($request_method = DELETE) { return 405; }',
      'if ($http_x_block = "yes") { return 403; }',
      'if ($arg_old) { return 301 https://new.test$request_uri; }',
      'if ($cookie_beta ~* "^on") { return 302 /beta; }',
      'deny 127.1.2.3;',
      'rewrite ^/old/(.*)$ /new/$1 break;',
    ]
    for (let at = 0; at < 6; at++) {
      const requests: AskedFor[] = [
        { target: '/old/x?y=1' },
        { method: 'DELETE', target: '/' },
        { target: '/?old=1' },
        {
          target: '/',
          fields: [
            ['X-Block', 'yes'],
            ['User-Agent', 'curl'],
          ],
        },
        {
          target: '/',
          fields: [
            ['Cookie', 'beta=ONE'],
            ['X-Set', 'forged'],
          ],
        },
        { target: '/', from: '127.1.2.3' },
        { target: '/', fields: [['X-Reply', 'missing']] },
      ]
      const nginx = { 'configuration-snippet': this.#some(location, 3).join('\n') }
      this.#add('snippets', nginx, requests)
    }
    const server = [
      'if ($http_user_agent ~* "bot") { return 403; }',
      'location = /health { return 200 "fine"; }',
      'if ($request_method = TRACE) { return 405; }',
    ]
    for (const text of server)
      this.#add('snippets', { 'server-snippet': text }, [
        { target: '/health' },
        { target: '/', fields: [['User-Agent', 'GoogleBot']] },
        { target: '/health/x', fields: [['User-Agent', 'Mozilla']] },
      ])
  }
}
