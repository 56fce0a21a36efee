import t, { type Test } from 'tap'
import { findFilter } from '../../lib/filters/registry.ts'
import { runPortico } from '../bin/process.ts'
import { type Doors, startDoors } from '../doors/request-doors.ts'
import { ask, printOfHost, startFiltered, translateFiltered } from './filtered.ts'

/** The doors of an Ingress with these annotations, behind a proxy that is trusted: a request names its client. */
function startBehindProxy(t: Test, annotations: object): Promise<Doors> {
  return startDoors(t, { trustedProxies: '127.0.0.0/8' }, printOfHost(annotations))
}

async function checkClients(t: Test, doors: Doors, statuses: Readonly<Record<string, number>>): Promise<void> {
  for (const door of doors.names) {
    for (const [client, status] of Object.entries(statuses)) {
      const answer = await ask(doors, door, { fields: [['x-forwarded-for', client]] })
      t.equal(answer.status, status, `${door} ${client}`)
      if (status === 200) continue
      t.match(answer.body, /"code":"PORTICO_REQ_CLIENT_DENIED".*"The address of the client is not allowed here\."/)
      t.same(answer.upstream, [], 'no endpoint sees it')
    }
  }
}

t.test('the lists go by the client that a trusted proxy names, and deny wins', async (t) => {
  const doors = await startBehindProxy(t, {
    'allow-source-range': '10.0.0.0/8, 192.0.2.7 2001:db8::/32\n  ::ffff:198.51.100.0/120',
    'deny-source-range': '10.0.0.66, 2001:db8:bad::/48, 192.0.2.8',
  })
  await checkClients(t, doors, {
    '10.1.2.3': 200,
    '10.0.0.66': 403,
    '::ffff:10.0.0.66': 403,
    '::ffff:10.0.0.65': 200,
    '192.0.2.7': 200,
    '192.0.2.8': 403,
    '198.51.100.9': 200,
    '203.0.113.1': 403,
    '2001:db8:1::1': 200,
    '2001:db8:bad::1': 403,
    '2001:DB8:BAD:0::1': 403,
    '::1': 403,
    // The proxy itself names a client: the last one before it counts.
    '10.1.2.3, 203.0.113.1': 403,
    '203.0.113.1, 10.1.2.3': 200,
  })
})

t.test('a list of refused clients alone lets all others in', async (t) => {
  const doors = await startBehindProxy(t, { 'deny-source-range': '10.0.0.0/8' })
  await checkClients(t, doors, { '10.1.2.3': 403, '11.0.0.1': 200, '::1': 200 })
})

t.test('without a trusted proxy the address of the connection counts, whatever the client says', async (t) => {
  const admits = await startFiltered(t, { 'allow-source-range': '127.0.0.1' })
  const refuses = await startFiltered(t, { 'allow-source-range': '10.0.0.0/8' })
  for (const door of admits.names) {
    for (const name of ['x-forwarded-for', 'x-real-ip', 'forwarded', 'true-client-ip']) {
      const claim = (value: string) => ({ fields: [[name, name === 'forwarded' ? `for=${value}` : value] as const] })
      t.equal((await ask(admits, door, claim('192.0.2.1'))).status, 200, `${door} ${name}`)
      t.equal((await ask(refuses, door, claim('10.0.0.1'))).status, 403, `${door} ${name}`)
    }
  }
})

t.test('a list that cannot be read closes the routes, and is an error that says what to write', async (t) => {
  const bad = {
    '10.0.0.0/33': /^portico.dev\/allow-source-range: "10\.0\.0\.0\/33" is not a CIDR range/,
    '10.0.0.1, office': /"office" is not a CIDR range/,
    '10.0.0.1;10.0.0.2': /"10\.0\.0\.1;10\.0\.0\.2" is not a CIDR range/,
    '10.0.0.1-10.0.0.9': /is not a CIDR range/,
    '!10.0.0.1': /is not a CIDR range/,
    '1.2.3': /"1\.2\.3" is not a CIDR range/,
    '': /it names no address/,
    ' , ': /it names no address/,
  }
  for (const [text, message] of Object.entries(bad)) {
    const { route, diagnostics } = translateFiltered({ 'allow-source-range': text })
    t.match(route?.action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, text)
    t.match(diagnostics, [
      {
        code: 'PORTICO_ANN_VALUE',
        severity: 'error',
        message,
        help: /^write addresses and CIDR ranges with commas between, .*; until then the routes of this Ingress answer 503$/,
      },
    ])
  }
  const doors = await startFiltered(t, { 'allow-source-range': '127.0.0.1', 'deny-source-range': 'x' })
  for (const door of doors.names) {
    const { status, body, upstream } = await ask(doors, door, {})
    t.match({ status, body, upstream }, { status: 503, body: /PORTICO_GW_GUARD_INVALID/, upstream: [] }, door)
  }
})

t.test('a list may be as long as annotations can be, and is printed short', async (t) => {
  const ranges = Array.from({ length: 20_000 }, (_, at) => `10.${at >> 8}.${at & 255}.1`)
  const { route, diagnostics } = translateFiltered({ 'deny-source-range': ranges.join(',') })
  t.same(diagnostics, [])
  const [filter] = route?.filters ?? []
  t.equal((filter!.options.deny as readonly string[]).length, 20_000)
  t.equal(
    findFilter('source-range').print(filter!.options),
    'refuses 10.0.0.1 10.0.1.1 10.0.2.1 10.0.3.1 10.0.4.1 and 19995 more',
  )
  const more = translateFiltered({ 'deny-source-range': `${ranges.join(',')},::1` })
  t.match(more.diagnostics, [{ message: /it has more than 20000 ranges/ }])
})

t.test('portico explain plays the lists for the client that is named', async (t) => {
  const explain = async (...words: readonly string[]) => {
    const url = 'http://source-range.localhost/'
    return (await runPortico(['explain', url, '-f', 'examples/filters', '-o', 'json', ...words])).stdout
  }
  const filters = ['source-range: refuses 127.0.0.66, admits 127.0.0.0/8 192.168.0.0/16 ::1 fd00::/8']
  t.match(JSON.parse(await explain('--client', '192.168.1.1')), { filters, answer: null, notPlayed: [] })
  for (const [client, why] of [
    ['127.0.0.66', 'is in deny-source-range'],
    ['203.0.113.9', 'is not in allow-source-range'],
  ] as const) {
    const reason = `the filter source-range refuses it: ${client} ${why}`
    const answer = { status: 403, code: 'PORTICO_REQ_CLIENT_DENIED', reason }
    t.match(JSON.parse(await explain('--client', client)), { filters, answer })
  }
})
