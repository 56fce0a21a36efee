/** Lists of addresses, `satisfy` and limits (IP, AC, RL), at all doors. */
import t from 'tap'
import { askHost, optionsOf, startNginx, translateOne } from './nginx-ingress.ts'

const USERS = `apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: "alice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="}
`
const ALICE = `Basic ${Buffer.from('alice:secret').toString('base64')}`
const BEHIND_PROXY = { trustedProxies: '127.0.0.0/8' }
const from = (client: string) => ['x-forwarded-for', client] as const

t.test('IP1 IP4 whitelist-source-range, allowlist-source-range and denylist-source-range', async (t) => {
  const doors = await startNginx(
    t,
    {
      white: { nginx: { 'whitelist-source-range': '10.0.0.0/8, 2001:db8::/32' } },
      allow: { nginx: { 'allowlist-source-range': '10.0.0.0/8', 'whitelist-source-range': '0.0.0.0/0' } },
      deny: { nginx: { 'denylist-source-range': '10.0.0.66' } },
      both: { nginx: { 'whitelist-source-range': '10.0.0.0/8', 'denylist-source-range': '10.0.0.66' } },
    },
    '',
    {},
    BEHIND_PROXY,
  )
  const cases: readonly (readonly [host: string, client: string, status: number])[] = [
    ['white', '10.1.2.3', 200],
    ['white', '2001:db8::7', 200],
    ['white', '192.0.2.1', 403],
    ['allow', '10.1.2.3', 200],
    ['allow', '192.0.2.1', 403],
    ['deny', '10.0.0.66', 403],
    ['deny', '192.0.2.1', 200],
    ['both', '10.0.0.66', 403],
    ['both', '10.0.0.67', 200],
    ['both', '192.0.2.1', 403],
  ]
  for (const door of doors.names) {
    for (const [host, client, status] of cases) {
      const answer = await askHost(doors, door, host, { fields: [from(client)] })
      t.equal(answer.status, status, `${door} ${host} ${client}`)
    }
  }
})

t.test('IP6 an IPv4 client that a socket tells as IPv6 is the IPv4 client', async (t) => {
  const doors = await startNginx(
    t,
    { mapped: { nginx: { 'whitelist-source-range': '10.0.0.0/8' } } },
    '',
    {},
    BEHIND_PROXY,
  )
  for (const door of doors.names) {
    t.equal((await askHost(doors, door, 'mapped', { fields: [from('::ffff:10.0.0.1')] })).status, 200, door)
  }
})

t.test(
  'AC1 AC2 satisfy: any lets in by address or by password; a denied client stays out, other than in nginx',
  async (t) => {
    const list = { 'whitelist-source-range': '10.0.0.0/8', 'auth-type': 'basic', 'auth-secret': 'users' }
    const doors = await startNginx(
      t,
      {
        any: { nginx: { ...list, satisfy: 'any', 'denylist-source-range': '10.0.0.66' } },
        all: { nginx: { ...list, satisfy: 'all' } },
        usual: { nginx: list },
      },
      USERS,
      {},
      BEHIND_PROXY,
    )
    const cases: readonly (readonly [host: string, client: string, isKnown: boolean, status: number])[] = [
      ['any', '10.0.0.1', false, 200],
      ['any', '192.0.2.1', true, 200],
      ['any', '192.0.2.1', false, 401],
      ['any', '10.0.0.66', true, 403],
      ['all', '10.0.0.1', false, 401],
      ['all', '192.0.2.1', true, 403],
      ['all', '10.0.0.1', true, 200],
      ['usual', '10.0.0.1', false, 401],
    ]
    for (const door of doors.names) {
      for (const [host, client, isKnown, status] of cases) {
        const fields = [from(client), ...(isKnown ? [['authorization', ALICE] as const] : [])]
        t.equal((await askHost(doors, door, host, { fields })).status, status, `${door} ${host} ${client} ${isKnown}`)
      }
    }
  },
)

t.test('RL2 limit-rps and limit-burst-multiplier let a burst and one request through at once', async (t) => {
  const cases: readonly (readonly [nginx: Record<string, string>, limits: readonly object[]])[] = [
    [{ 'limit-rps': '10' }, [{ count: 10, period: 1000, burst: 51 }]],
    [{ 'limit-rps': '10', 'limit-burst-multiplier': '1' }, [{ count: 10, period: 1000, burst: 11 }]],
    [{ 'limit-rpm': '30' }, [{ count: 30, period: 60_000, burst: 151 }]],
  ]
  for (const [nginx, limits] of cases) t.match(optionsOf(translateOne(nginx).route, 'rate-limit'), { limits })
  const doors = await startNginx(t, { rps: { nginx: { 'limit-rpm': '1', 'limit-burst-multiplier': '2' } } })
  const door = doors.names[0]!
  const statuses: number[] = []
  for (let count = 0; count < 4; count++) statuses.push((await askHost(doors, door, 'rps')).status)
  t.same(statuses.slice(0, 3), [200, 200, 200])
  t.equal(statuses[3]! >= 400, true, 'the burst of two and one request are through')
})

t.test('RL3 limit-rps and limit-rpm hold together', async (t) => {
  const { route } = translateOne({ 'limit-rps': '5', 'limit-rpm': '100' })
  t.match(optionsOf(route, 'rate-limit'), {
    limits: [
      { count: 5, period: 1000, burst: 26, by: 'client' },
      { count: 100, period: 60_000, burst: 501, by: 'client' },
    ],
  })
})

t.test('RL4 limit-connections bounds the requests under way of a client', async (t) => {
  const { route } = translateOne({ 'limit-connections': '7' })
  t.match(optionsOf(route, 'concurrency-limit'), { limits: [{ count: 7, by: 'client' }], exempt: undefined })
})

t.test('RL5 clients of limit-whitelist and limit-allowlist have no limit', async (t) => {
  for (const name of ['limit-whitelist', 'limit-allowlist']) {
    const { route } = translateOne({ 'limit-rps': '1', 'limit-connections': '1', [name]: '10.0.0.0/8' })
    for (const filter of ['rate-limit', 'concurrency-limit']) {
      t.match(optionsOf(route, filter), { exempt: ['10.0.0.0/8'] }, `${name} ${filter}`)
    }
  }
  t.same(translateOne({ 'limit-whitelist': '10.0.0.0/8' }).diagnostics, [], 'alone it does nothing')
})

t.test('RL7 0 is no limit', async (t) => {
  const { route, diagnostics } = translateOne({ 'limit-rps': '0', 'limit-rpm': '0', 'limit-connections': '0' })
  t.equal(route.filters, undefined)
  t.same(diagnostics, [])
})

t.test('RL1 the difference: clients of one /64 network of IPv6 are counted as one', async (t) => {
  const doors = await startNginx(
    t,
    { net: { nginx: { 'limit-rpm': '1', 'limit-burst-multiplier': '1' } } },
    '',
    {},
    BEHIND_PROXY,
  )
  const door = doors.names[0]!
  const ask = async (client: string) => (await askHost(doors, door, 'net', { fields: [from(client)] })).status
  t.equal(await ask('2001:db8::1'), 200)
  t.equal(await ask('2001:db8::2'), 200)
  t.not(await ask('2001:db8::3'), 200)
  t.equal(await ask('2001:db8:0:1::1'), 200, 'another network')
})

t.test('limit-rate and limit-rate-after, in KB', async (t) => {
  const cases: readonly (readonly [nginx: Record<string, string>, rate: string | undefined])[] = [
    [{ 'limit-rate': '500' }, '512000'],
    [{ 'limit-rate': '1' }, '4096'],
    [{ 'limit-rate': '500', 'limit-rate-after': '1024' }, '1048576'],
    [{ 'limit-rate': '0', 'limit-rate-after': '1024' }, undefined],
  ]
  for (const [nginx, rate] of cases) {
    const { route, diagnostics } = translateOne(nginx)
    const options = route.filters === undefined ? undefined : JSON.stringify(route.filters)
    if (rate === undefined) t.equal(options, undefined)
    else t.match(options, rate, JSON.stringify(nginx))
    t.same(diagnostics, [])
  }
})
