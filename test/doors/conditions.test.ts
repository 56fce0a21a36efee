/** Conditions of routes at every door, in process and with workers, and while they change. */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { runGateway } from '../helpers/running-gateway.ts'
import { type DoorRequest, startDoors } from './request-doors.ts'

const HOST = 'cond.test'

/** An Ingress that answers with its own name. */
function nameItself(
  name: string,
  annotations: Readonly<Record<string, string>> = {},
  path = '/',
  pathType = 'Prefix',
): string {
  const own = Object.entries({ 'respond-body': name, ...annotations }).map(([key, value]) => [
    `portico.dev/${key}`,
    value,
  ])
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ${name}, annotations: ${JSON.stringify(Object.fromEntries(own))}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: ${JSON.stringify(path)}, pathType: ${pathType}, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
}

const ROUTES = [
  nameItself('plain'),
  nameItself('methods', { 'match-methods': 'PUT, DELETE' }),
  nameItself('headers', { 'match-headers': 'X-Env: staging\n!X-Off' }),
  nameItself('expression', { 'match-headers': 'X-Env: ~dev-[0-9]+' }),
  nameItself('query', { 'match-query': 'v: a b' }),
  nameItself('cookies', { 'match-cookies': 'beta: 1\nsession' }),
  nameItself('clients', { 'match-client-addresses': '203.0.113.0/24, 2001:db8::/32' }),
  nameItself('pattern', { 'path-type': 'regex' }, '/v[0-9]+/', 'ImplementationSpecific'),
  nameItself('first', { priority: '5', 'match-query': 'first' }, '/'),
  nameItself('unread', { 'match-headers': 'X-Env: ~(' }, '/unread'),
  nameItself('unread-beside', { 'match-headers': 'X-Env: ~(' }, '/'),
  nameItself('inner', { 'match-client-addresses': '10.0.0.0/8, nobody' }, '/inner'),
  nameItself('inner-plain', {}, '/inner'),
].join('')

/** What the answer to each request holds: the name of an Ingress, or a code. */
const CASES: readonly (readonly [name: string, request: DoorRequest, answer: string])[] = [
  ['no condition holds', {}, 'plain'],
  ['a method', { method: 'PUT' }, 'methods'],
  ['a method in small letters is another', { method: 'put' }, 'plain'],
  ['a field', { fields: [['x-env', 'staging']] }, 'headers'],
  ['another value', { fields: [['x-env', 'Staging']] }, 'plain'],
  [
    'a field that must not be there',
    {
      fields: [
        ['x-env', 'staging'],
        ['x-off', ''],
      ],
    },
    'plain',
  ],
  ['an expression', { fields: [['x-env', 'dev-12']] }, 'expression'],
  ['an expression is about the whole value', { fields: [['x-env', 'dev-12b']] }, 'plain'],
  ['a parameter, decoded', { target: '/x?a=1&v=a%20b' }, 'query'],
  ['a parameter with a plus', { target: '/x?v=a+b&v=c' }, 'query'],
  ['a parameter within another', { target: '/x?w=v=a+b' }, 'plain'],
  ['two cookies', { fields: [['cookie', 'session=; beta=1']] }, 'cookies'],
  ['one of two cookies', { fields: [['cookie', 'beta=1; xsession=1']] }, 'plain'],
  ['the client behind a trusted proxy', { fields: [['x-forwarded-for', '203.0.113.7']] }, 'clients'],
  ['an IPv6 client', { fields: [['x-forwarded-for', '2001:db8::7']] }, 'clients'],
  ['another client', { fields: [['x-forwarded-for', '203.0.114.7']] }, 'plain'],
  ['the proxy nearest to us counts', { fields: [['x-forwarded-for', '203.0.113.7, 198.51.100.1']] }, 'plain'],
  ['an address goes before a method', { method: 'PUT', fields: [['x-forwarded-for', '203.0.113.7']] }, 'clients'],
  ['a regular expression', { target: '/v12/a' }, 'pattern'],
  ['no regular expression', { target: '/va/a' }, 'plain'],
  ['an encoded path is matched as it is meant', { target: '/%76%31/a' }, 'pattern'],
  ['a priority', { method: 'PUT', target: '/v1/?first' }, 'first'],
  ['what cannot be read is closed', { target: '/unread/x' }, 'PORTICO_GW_GUARD_INVALID'],
  ['and closed for all', { target: '/unread/x', fields: [['x-env', '(']] }, 'PORTICO_GW_GUARD_INVALID'],
  ['a list of clients that cannot be read lets nobody past', { target: '/inner' }, 'PORTICO_GW_GUARD_INVALID'],
]

t.test('I-62, I-63 at every door the first route whose conditions hold serves', async (t) => {
  const doors = await startDoors(t, { trustedProxies: '127.0.0.0/8' }, ROUTES)
  for (const door of doors.names) {
    for (const [name, asked, expected] of CASES) {
      const { status, body = '' } = await doors.ask(door, { host: HOST, ...asked })
      t.equal(/"code":"(\w+)"/.exec(body)?.[1] ?? body, expected, `${door}: ${name}`)
      t.equal(status, expected.startsWith('PORTICO_') ? 503 : 200)
    }
  }
  const crumbs: DoorRequest = {
    host: HOST,
    fields: [
      ['cookie', 'session=x'],
      ['cookie', 'beta=1'],
    ],
  }
  t.match(await doors.ask('HTTP/2', crumbs), { body: 'cookies' }, 'HTTP/2 sends cookies one by one')
})

t.test('an upgrade is a request like others', async (t) => {
  const doors = await startDoors(t, {}, ROUTES)
  const upgrade = [
    ['connection', 'upgrade'],
    ['upgrade', 'websocket'],
    ['sec-websocket-version', '13'],
    ['sec-websocket-key', 'dGhlIHNhbXBsZSBub25jZQ=='],
  ] as const
  for (const door of doors.names.filter((name) => name !== 'HTTP/2')) {
    t.match(await doors.ask(door, { host: HOST, fields: upgrade }), { status: 200, body: 'plain' }, door)
    const fields = [...upgrade, ['x-env', 'dev-1']] as const
    t.match(await doors.ask(door, { host: HOST, fields }), { status: 200, body: 'expression' }, door)
  }
})

t.test('a peer that is not trusted says nothing of the client', async (t) => {
  const doors = await startDoors(t, {}, ROUTES)
  for (const door of doors.names) {
    const fields = [['x-forwarded-for', '203.0.113.7']] as const
    t.match(await doors.ask(door, { host: HOST, fields }), { body: 'plain' }, door)
  }
})

async function ask(port: number, headers: Readonly<Record<string, string>>): Promise<string> {
  const asked = request({ port, host: '127.0.0.1', agent: false, headers: { host: HOST, ...headers } }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  return `${response.statusCode} ${await text(response)}`
}

for (const workers of ['0', '2']) {
  t.test(`a change of a condition holds for the next request, with workers: ${workers}`, async (t) => {
    const service = '---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n'
    const write = (annotations: Readonly<Record<string, string>>) =>
      `${service}${nameItself('stable')}${nameItself('beta', annotations)}`
    const gateway = await runGateway(t, write({ 'match-headers': 'X-Beta: 1' }), {
      endpoints: { web: [1] },
      flags: { workers, 'https.enabled': 'false' },
    })
    const askAll = async (headers: Readonly<Record<string, string>>) => {
      // Each connection goes to the next worker.
      const answers = await Promise.all(Array.from({ length: 8 }, () => ask(gateway.http, headers)))
      return [...new Set(answers)].join()
    }
    t.equal(await askAll({ 'x-beta': '1' }), '200 beta')
    t.equal(await askAll({ 'x-beta': '2' }), '200 stable')
    await gateway.change(write({ 'match-headers': 'X-Beta: 2' }))
    t.equal(await askAll({ 'x-beta': '1' }), '200 stable')
    t.equal(await askAll({ 'x-beta': '2' }), '200 beta')
    await gateway.change(write({ 'match-headers': 'X-Beta: ~[' }))
    t.equal(await askAll({ 'x-beta': '2' }), '200 stable', 'closed behind the other route of its path')
    await gateway.change(write({ 'match-headers': 'X-Beta: ~[', 'rate-limit': '9/s' }))
    t.match(await askAll({ 'x-beta': '2' }), /^503 .*PORTICO_GW_GUARD_INVALID/, 'a guard lets nothing past')
    await gateway.change(write({ 'match-cookies': 'beta' }))
    t.equal(await askAll({ cookie: 'beta=' }), '200 beta')
    t.equal(await askAll({}), '200 stable')
  })
}
