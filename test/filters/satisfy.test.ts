import t, { type Test } from 'tap'
import { GatewayError } from '../../lib/base/errors.ts'
import { type Filter, type FilterOutcome, type FilterRequest, PendingOutcome } from '../../lib/filters/spec.ts'
import { listSteps } from '../../lib/filters/steps.ts'
import { runPortico } from '../bin/process.ts'
import { type Doors, startDoors } from '../doors/request-doors.ts'
import { startAuth } from './auth-server.ts'
import { ask, printOfHost, startFiltered, translateFiltered } from './filtered.ts'

const USERS = `apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}
`
const ALICE = `Basic ${Buffer.from('alice:secret').toString('base64')}`
const WRONG = `Basic ${Buffer.from('alice:wrong').toString('base64')}`
const LOGIN = 'x-login: alice'
const INSIDE = '10.0.0.1'
const OUTSIDE = '203.0.113.1'
const DENIED = '10.0.0.66'

async function start(t: Test, annotations: Readonly<Record<string, string>>): Promise<Doors> {
  return startDoors(t, { trustedProxies: '127.0.0.0/8' }, `${printOfHost(annotations)}${USERS}---\n`)
}

type Case = readonly [client: string, authorization: string | undefined, status: number, user?: string]

/** Clients send the `claimed` fields themselves. */
async function checkCases(
  t: Test,
  doors: Doors,
  cases: readonly Case[],
  claimed: readonly string[] = ['x-login'],
): Promise<void> {
  for (const door of doors.names) {
    for (const [client, authorization, status, user] of cases) {
      const answer = await ask(doors, door, {
        fields: [
          ['x-forwarded-for', client],
          ...claimed.map((name) => [name, 'root'] as const),
          ...(authorization === undefined ? [] : [['authorization', authorization] as const]),
        ],
      })
      const label = `${door} ${client} ${authorization}`
      t.equal(answer.status, status, label)
      t.equal(answer.upstream.length > 0, status === 200, 'endpoints see only what may pass')
      t.equal(answer.field('www-authenticate').length, status === 401 ? 1 : 0, label)
      t.same(
        answer.upstream.filter((line) => /^(?:x-login|x-user|authorization):/.test(line)),
        user === undefined ? [] : [user],
        'endpoints are told who was let in, and by nobody else',
      )
    }
  }
}

const LISTS = {
  'allow-source-range': '10.0.0.0/8',
  'deny-source-range': DENIED,
  'basic-auth-secret': 'users',
  'basic-auth-user-header': 'X-Login',
}

t.test('any: the address or the password is enough, and a denied client stays out', async (t) => {
  await checkCases(t, await start(t, { ...LISTS, satisfy: 'any' }), [
    [INSIDE, undefined, 200],
    [INSIDE, WRONG, 200],
    [INSIDE, ALICE, 200],
    [OUTSIDE, undefined, 401],
    [OUTSIDE, WRONG, 401],
    [OUTSIDE, ALICE, 200, LOGIN],
    [OUTSIDE, ALICE, 200, LOGIN],
    [DENIED, ALICE, 403],
    [DENIED, undefined, 403],
  ])
})

t.test('all, and without the annotation: both are needed', async (t) => {
  for (const satisfy of [{ satisfy: 'all' }, {}] as readonly Record<string, string>[]) {
    await checkCases(t, await start(t, { ...LISTS, ...satisfy }), [
      [INSIDE, undefined, 401],
      [INSIDE, WRONG, 401],
      [INSIDE, ALICE, 200, LOGIN],
      [OUTSIDE, undefined, 403],
      [OUTSIDE, ALICE, 403],
      [DENIED, ALICE, 403],
    ])
  }
})

t.test('any: an auth server is asked last, and only about those whom nothing else lets in', async (t) => {
  const auth = await startAuth(t, ({ headers }, response) => {
    const status = headers['x-forwarded-for'] === '203.0.113.9' ? 200 : 302
    response.writeHead(status, status === 200 ? { 'X-User': 'sso' } : { Location: 'https://login.test/' }).end()
  })
  const annotations = { ...LISTS, 'auth-url': auth.url, 'auth-response-headers': 'X-User', satisfy: 'any' }
  const doors = await start(t, annotations)
  await checkCases(
    t,
    doors,
    [
      [INSIDE, undefined, 200],
      [INSIDE, WRONG, 200],
      [OUTSIDE, ALICE, 200, LOGIN],
      [DENIED, ALICE, 403],
    ],
    ['x-login', 'x-user'],
  )
  t.equal(auth.asked.length, 0)
  await checkCases(
    t,
    doors,
    [
      [OUTSIDE, undefined, 302],
      [OUTSIDE, WRONG, 302],
      ['203.0.113.9', undefined, 200, 'x-user: sso'],
      ['203.0.113.9', WRONG, 200, 'x-user: sso'],
    ],
    ['x-login', 'x-user'],
  )
  t.equal(auth.asked.length, 4 * doors.names.length)
})

t.test('any: the 403 of an auth server does not hide that a password would do', async (t) => {
  const auth = await startAuth(t, (_request, response) => response.writeHead(403).end())
  const doors = await start(t, {
    'basic-auth-secret': 'users',
    'basic-auth-user-header': 'X-Login',
    'auth-url': auth.url,
    satisfy: 'any',
  })
  await checkCases(t, doors, [
    [OUTSIDE, undefined, 401],
    [OUTSIDE, ALICE, 200, LOGIN],
  ])
})

t.test('any: an allowed address does not make the answer of a route that asks itself', async (t) => {
  const doors = await start(t, { 'allow-source-range': '0.0.0.0/0', 'auth-url': 'http://127.0.0.1:1/', satisfy: 'any' })
  for (const door of doors.names) {
    const { status, upstream } = await ask(doors, door, { fields: [['x-portico-auth-question', '1']] })
    t.match({ status, upstream }, { status: 503, upstream: [] }, door)
  }
})

t.test('another value closes the routes', async (t) => {
  const { route, diagnostics } = translateFiltered({ satisfy: 'some', 'allow-source-range': '10.0.0.0/8' })
  t.match(route?.action, { code: 'PORTICO_GW_GUARD_INVALID' })
  t.match(diagnostics, [
    { code: 'PORTICO_ANN_VALUE', message: 'portico.dev/satisfy: "some" is neither "all" nor "any"' },
  ])
  const doors = await startFiltered(t, { satisfy: 'some' })
  for (const door of doors.names) t.equal((await ask(doors, door, {})).status, 503, door)
})

t.test('portico explain plays an address that is enough, and names what it cannot play where it is not', async (t) => {
  const explain = async (client: string) => {
    const words = ['explain', 'http://satisfy.localhost/', '-f', 'examples/filters', '--client', client, '-o', 'json']
    return JSON.parse((await runPortico(words)).stdout)
  }
  t.match(await explain('127.0.0.1'), { answer: null, notPlayed: [] })
  t.match(await explain('127.0.0.66'), { answer: null, notPlayed: ['basic-auth'] })
})

t.test('any: what another object promises to check is checked', async (t) => {
  const service = `apiVersion: v1
kind: Service
metadata: {name: other, annotations: {portico.dev/endpoints: "127.0.0.1:1", portico.dev/allow-source-range: 10.0.0.0/8}}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: other, annotations: {portico.dev/satisfy: any, portico.dev/basic-auth-secret: users}}
spec: {rules: [{host: other.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: other, port: {number: 80}}}}]}}]}
---
`
  const doors = await startDoors(t, { trustedProxies: '127.0.0.0/8' }, `---\n${service}${USERS}---\n`)
  const statuses = { [INSIDE]: [401, 502], [OUTSIDE]: [403, 403] }
  for (const door of doors.names) {
    for (const [client, [without, withPassword]] of Object.entries(statuses)) {
      const from = ['x-forwarded-for', client] as const
      const send = async (fields: readonly (readonly [string, string])[]) =>
        (await ask(doors, door, { host: 'other.test', fields })).status
      t.equal(await send([from]), without, `${door} ${client}`)
      t.equal(await send([from, ['authorization', ALICE]]), withPassword, `${door} ${client} with a password`)
    }
  }
})

/** A check whose outcome comes later. */
function createLate() {
  let settle: (outcome: FilterOutcome) => void = () => {}
  let isCancelled = false
  let count = 0
  const filter: Filter = {
    check() {
      count++
      const outcome = new Promise<FilterOutcome>((resolve) => {
        settle = resolve
      })
      return new PendingOutcome(outcome, () => {
        isCancelled = true
      })
    },
  }
  return {
    filter,
    settle: (outcome: FilterOutcome) => settle(outcome),
    isCancelled: () => isCancelled,
    count: () => count,
  }
}

t.test('a client that leaves ends the check that is under way, and no later one begins', async (t) => {
  const [first, second, third] = [createLate(), createLate(), createLate()]
  const filters = [{ joinsChecks: true }, first.filter, second.filter, third.filter]
  const [step, ...more] = listSteps(filters)
  t.same(more, [])
  const pending = step!.request({} as FilterRequest) as PendingOutcome
  first.settle(new GatewayError('PORTICO_REQ_UNAUTHORIZED'))
  await new Promise((resolve) => setImmediate(resolve))
  t.same([first.count(), second.count(), third.count()], [1, 1, 0])
  pending.cancel()
  t.same([first.isCancelled(), second.isCancelled()], [false, true])
  second.settle(new GatewayError('PORTICO_REQ_CLIENT_DENIED'))
  t.match(await pending.outcome, { code: 'PORTICO_REQ_UNAUTHORIZED' }, '401 counts more than 403')
  t.equal(third.count(), 0)
})
