import t from 'tap'
import type { RouteConditions } from '../../lib/model/conditions.ts'
import { compileConditions, holdsAll } from '../../lib/routing/predicates.ts'
import { makeRoutedRequest, type RequestWords } from '../helpers/routed-request.ts'

type Case = readonly [RouteConditions, text: string, holds: readonly RequestWords[], fails: readonly RequestWords[]]

const CASES: readonly Case[] = [
  [{ methods: ['GET', 'HEAD'] }, 'method GET, HEAD', [{}, { method: 'HEAD' }], [{ method: 'POST' }, { method: 'get' }]],
  [
    { headers: [{ name: 'x-env', type: 'exact', value: 'staging' }] },
    'header x-env: staging',
    [{ fields: { 'x-env': 'staging' } }],
    [{}, { fields: { 'x-env': 'Staging' } }, { fields: { 'x-env': '' } }],
  ],
  [
    { headers: [{ name: 'user-agent', type: 'regex', value: '(?i)curl/.*' }] },
    'header user-agent: ~(?i)curl/.*',
    [{ fields: { 'user-agent': 'Curl/8' } }],
    [{}, { fields: { 'user-agent': 'not curl/8' } }, { fields: { 'user-agent': 'curl' } }],
  ],
  [
    { headers: [{ name: 'x', type: 'regex', value: 'a|b' }] },
    'header x: ~a|b',
    [{ fields: { x: 'a' } }, { fields: { x: 'b' } }],
    [{ fields: { x: 'ab' } }, { fields: { x: 'cb' } }],
  ],
  [{ headers: [{ name: 'x', type: 'present' }] }, 'header x', [{ fields: { x: '' } }], [{}]],
  [{ headers: [{ name: 'x', type: 'absent' }] }, 'header !x', [{}], [{ fields: { x: '' } }]],
  [
    { query: [{ name: 'v', type: 'exact', value: '2 3' }] },
    'query v: 2 3',
    [{ query: '?v=2+3' }, { query: '?a&v=2%203&v=4' }, { query: '?%76=2+3' }],
    [{}, { query: '?v=4&v=2+3' }, { query: '?v' }, { query: '?av=2+3' }],
  ],
  [
    { query: [{ name: 'v', type: 'exact', value: '%zz' }] },
    'query v: %zz',
    [{ query: '?v=%zz' }],
    [{ query: '?v=zz' }],
  ],
  [{ query: [{ name: 'v', type: 'present' }] }, 'query v', [{ query: '?v' }, { query: '?v=' }], [{ query: '?w=v' }]],
  [{ query: [{ name: 'v', type: 'absent' }] }, 'query !v', [{}, { query: '?' }], [{ query: '?x&v' }]],
  [
    { cookies: [{ name: 'beta', type: 'exact', value: 'yes' }] },
    'cookie beta: yes',
    [{ fields: { cookie: 'a=1; beta=yes' } }],
    [{}, { fields: { cookie: 'beta=no' } }, { fields: { cookie: 'Beta=yes' } }],
  ],
  [
    { clientAddresses: ['10.0.0.0/8', 'fd00::/8'] },
    'client 10.0.0.0/8, fd00::/8',
    [{ client: '10.2.3.4' }, { client: '::ffff:10.2.3.4' }, { client: 'fd00::1' }],
    [{}, { client: '11.0.0.1' }, { client: '' }],
  ],
]

t.test('each condition holds where it should, and says what it is', async (t) => {
  for (const [conditions, text, holds, fails] of CASES) {
    const predicates = compileConditions(conditions)
    t.same(
      predicates.map((one) => one.text),
      [text],
    )
    for (const words of holds) t.ok(holdsAll(predicates, makeRoutedRequest(words)), `${text} ${JSON.stringify(words)}`)
    for (const words of fails)
      t.notOk(holdsAll(predicates, makeRoutedRequest(words)), `${text} ${JSON.stringify(words)}`)
  }
})

t.test('all conditions must hold, also two of one name', async (t) => {
  const predicates = compileConditions({
    methods: ['GET'],
    headers: [
      { name: 'x', type: 'regex', value: 'a.*' },
      { name: 'x', type: 'regex', value: '.*b' },
    ],
  })
  t.ok(holdsAll(predicates, makeRoutedRequest({ fields: { x: 'a-b' } })))
  t.notOk(holdsAll(predicates, makeRoutedRequest({ fields: { x: 'a' } })))
  t.notOk(holdsAll(predicates, makeRoutedRequest({ fields: { x: 'a-b' }, method: 'PUT' })))
  t.ok(holdsAll(compileConditions(undefined), makeRoutedRequest({})))
})
