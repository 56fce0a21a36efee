import t, { type Test } from 'tap'
import { diffModels } from '../../lib/report/diff.ts'
import { type DoorRequest, startDoors } from '../doors/request-doors.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { translateText } from '../translate/manifests.ts'
import { ask, printFiltered, printOfHost, startFiltered } from './filtered.ts'

/** "secret" in each. */
const SHA = '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='
const APR1 = '$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/'
const BCRYPT = '$2y$04$EoGpIvGKFTSl4fmIJAG3SO4Gq7hkrpGO0m7b7y4Yh.10AgG33RNI2'
const SHA256 = '$5$ab$uBQPK5nh89waaCXDSRwBxzVzl.pS5fPkZnKN7HXbvj6'
const SHA512 = '$6$ab$2lDVylRMp48hlYZZFOCx/xnhJEsGPynJ17rt2um9Gb8wX6ygI4uDxg3Bg43pp/Hv397hwWfT8mciHws9eE4sR/'

function printSecret(name: string, data: Readonly<Record<string, string>>): string {
  return `---\napiVersion: v1\nkind: Secret\nmetadata: {name: ${name}}\nstringData: ${JSON.stringify(data)}\n`
}

const USERS = printSecret('users', {
  auth: `# one of each\nalice:${SHA}\nbob:${APR1}\ncarol:${BCRYPT}\ndan:${SHA256}\neve:${SHA512}\nJürgen:${SHA}\n`,
})

function encode(user: string, password: string): string {
  return Buffer.from(`${user}:${password}`).toString('base64')
}

function login(user: string, password: string, more: DoorRequest = {}): DoorRequest {
  return { ...more, fields: [['authorization', `Basic ${encode(user, password)}`], ...(more.fields ?? [])] }
}

t.test('users with their passwords come in, and endpoints get the user and no password', async (t) => {
  const doors = await startFiltered(t, { 'basic-auth-secret': 'users' }, '/', USERS)
  for (const door of doors.names) {
    for (const user of ['alice', 'bob', 'carol', 'dan', 'eve', 'Jürgen']) {
      for (const time of ['first', 'again']) {
        const spoofed: DoorRequest = {
          fields: [
            ['x-forwarded-user', 'root'],
            ['x-other', 'kept'],
          ],
        }
        const { status, upstream } = await ask(doors, door, login(user, 'secret', spoofed))
        t.equal(status, 200, `${door} ${user} ${time}`)
        t.notOk(upstream.some((line) => /^authorization/i.test(line)))
        t.ok(upstream.includes('x-other: kept'))
      }
    }
    const { status } = await ask(doors, door, { fields: [['authorization', `bAsIc   ${encode('alice', 'secret')}`]] })
    t.equal(status, 200, 'the scheme in other letters')
    t.equal((await ask(doors, door, { host: 'gw.test' })).status, 200, 'other Ingresses ask for nothing')
  }
})

t.test('all others are answered 401 with the realm, and no endpoint sees them', async (t) => {
  const doors = await startFiltered(t, { 'basic-auth-secret': 'users', 'basic-auth-realm': 'A "B" \\' }, '/', USERS)
  const field = (value: string): DoorRequest => ({ fields: [['authorization', value]] })
  const wrong: readonly DoorRequest[] = [
    {},
    login('alice', 'wrong'),
    login('alice', ''),
    login('alice', 'secret '),
    login('nobody', 'secret'),
    login('', 'secret'),
    login('alice:secret', ''),
    // A user's hash is no password.
    login('alice', SHA),
    login('ALICE', 'secret'),
    login('alice', 'x'.repeat(600)),
    field(`Bearer ${encode('alice', 'secret')}`),
    field(encode('alice', 'secret')),
    field('Basic'),
    field('Basic '),
    field('Basic %%%'),
    field(`Basic ${Buffer.from('alice').toString('base64')}`),
    field(`Basic ${encode('alice', 'secret')}=`),
    field(`Basic ${encode('alice', 'secret')}, Basic x`),
    field(`Basic ${encode('alice', 'secret').replace(/.$/, '')}`),
    field(`Negotiate x, Basic ${encode('alice', 'secret')}`),
    login('bob', 'secret', { method: 'POST', body: 'upload' }),
  ]
  for (const door of doors.names) {
    for (const request of wrong.slice(0, -1)) {
      const { status, field, body, upstream } = await ask(doors, door, request)
      t.equal(status, 401, `${door} ${JSON.stringify(request).slice(0, 90)}`)
      t.same(field('www-authenticate'), ['Basic realm="A \\"B\\" \\\\", charset="UTF-8"'])
      t.match(body, /"code":"PORTICO_REQ_UNAUTHORIZED"/)
      t.same(upstream, [])
    }
    const { status, upstream } = await ask(doors, door, wrong.at(-1)!)
    t.equal(status, 200)
    t.equal(upstream.at(-1), 'upload')
  }
})

t.test('a Secret may have a user a key, and the fields of endpoints may be others', async (t) => {
  const annotations = {
    'basic-auth-secret': 'people',
    'basic-auth-secret-type': 'auth-map',
    'basic-auth-user-header': 'X-WebAuth-User',
    'basic-auth-keep-authorization': 'true',
  }
  const people = printSecret('people', { alice: SHA, 'bob.b': `${BCRYPT}\n` })
  const doors = await startDoors(t, { underscoresInHeaders: 'keep' }, `${printOfHost(annotations)}${people}---\n`)
  for (const door of doors.names) {
    const spoofed: DoorRequest = {
      fields: [
        ['x-webauth-user', 'root'],
        ['x_webauth_user', 'root'],
        ['x-webauth_user', 'root'],
      ],
      body: 'x',
      trailers: [
        ['x-webauth-user', 'root'],
        ['x-kept', '1'],
      ],
    }
    const { status, upstream } = await ask(doors, door, login('bob.b', 'secret', spoofed))
    t.equal(status, 200, door)
    t.same(
      upstream.filter((line) => /user/i.test(line)),
      ['x-webauth-user: bob.b'],
    )
    t.ok(upstream.includes(`authorization: Basic ${encode('bob.b', 'secret')}`))
    t.ok(upstream.includes('x-kept: 1'))
    t.equal((await ask(doors, door, login('auth', 'secret'))).status, 401)
  }
})

async function start(t: Test, manifests: string, flags: Readonly<Record<string, string>> = {}) {
  const echoes = await startEchoes(t, 'web')
  const running = await runGateway(t, manifests, { endpoints: endpointsOf(echoes), flags })
  const send = async (user: string, password: string) => {
    const client = await connectRaw(running.http)
    const head = `GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic ${encode(user, password)}\r\n\r\n`
    const { status } = await client.send(head).response()
    client.destroy()
    return status
  }
  return { running, send, requests: echoes.web.requests }
}

for (const workers of ['0', '1']) {
  t.test(`a changed Secret counts at once, and a missing one closes the routes; workers: ${workers}`, async (t) => {
    const ingress = printFiltered({ 'basic-auth-secret': 'users' })
    const users = (auth: string) => ingress + printSecret('users', { auth })
    const { running, send, requests } = await start(t, users(`alice:${SHA}`), { workers, 'https.enabled': 'false' })
    t.same([await send('alice', 'secret'), await send('alice', 'secret')], [200, 200])
    const { headers } = requests.at(-1)!
    t.equal(headers[headers.indexOf('X-Forwarded-User') + 1], 'alice')
    // Of "pässwörd".
    const other = '{SHA}9Rfd8dMqES/xrVXGbRsSyzjn6Pc='
    await running.change(users(`alice:${other}`))
    t.same([await send('alice', 'secret'), await send('alice', 'pässwörd')], [401, 200])
    await running.change(users(`bob:${SHA}`))
    t.same([await send('alice', 'pässwörd'), await send('bob', 'secret')], [401, 200])
    await running.change(ingress)
    t.equal(await send('bob', 'secret'), 503)
    await running.change(users(`bob:${SHA}`))
    t.equal(await send('bob', 'secret'), 200)
    await running.change(ingress + printSecret('users', { other: `bob:${SHA}` }))
    t.equal(await send('bob', 'secret'), 503, 'without the key')
    await running.change(users('bob:secret'))
    t.equal(await send('bob', 'secret'), 503, 'with a plain password')
  })
}

t.test('each request of a connection is judged by its own credentials, and by the users of its time', async (t) => {
  const ingress = printFiltered({ 'basic-auth-secret': 'users' })
  const users = (auth: string) => ingress + printSecret('users', { auth })
  const both = users(`alice:${SHA}\nbobby:${SHA}`)
  const { running, requests } = await start(t, both)
  const client = await connectRaw(running.http)
  const send = async (user: string, password: string) => {
    const head = `GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic ${encode(user, password)}\r\n\r\n`
    const { status } = await client.send(head).response()
    const { headers } = requests.at(-1)!
    return status === 200 ? headers[headers.indexOf('X-Forwarded-User') + 1] : status
  }
  const wrong = ['secreT', 'Secret', 'secre', 'secrets', '']
  for (const user of ['alice', 'bobby', 'alice', 'bobby']) {
    t.same([await send(user, 'secret'), await send(user, 'secret')], [user, user])
    for (const password of wrong) t.equal(await send(user, password), 401, `${user} ${password}`)
    t.equal(await send(user, 'secret'), user, 'after a wrong password')
  }
  await running.change(users(`alice:${SHA}`))
  t.same([await send('bobby', 'secret'), await send('alice', 'secret')], [401, 'alice'])
  await running.change(users(`bobby:${SHA}`))
  t.same([await send('alice', 'secret'), await send('bobby', 'secret')], [401, 'bobby'])
  client.destroy()
})

t.test('a costly hash is asked once: for requests at the same time, for later ones, and over reloads', async (t) => {
  // Of "secret": each check takes half a second and more.
  const costly =
    '$6$rounds=500000$saltsalt$fsEPmTrMK7txVikOqTfbB3C1gpKgPk/JZMljxrwVK0QxxjYgDQ8DmbZNOM9vsK/48G3J10yOuwZUi1487qkwH/'
  const manifests = (more: object) =>
    printFiltered({ 'basic-auth-secret': 'users', ...more }) + printSecret('users', { auth: `alice:${costly}` })
  const { running, send } = await start(t, manifests({}))
  const measure = async (count: number): Promise<number> => {
    const began = performance.now()
    const statuses = await Promise.all(Array.from({ length: count }, () => send('alice', 'secret')))
    t.ok(statuses.every((status) => status === 200))
    return performance.now() - began
  }
  const first = await measure(20)
  t.ok(first < 20_000)
  const again = await measure(20)
  t.ok(again < first / 2, `${first} ms, then ${again} ms`)
  await running.change(manifests({ 'request-headers-set': 'X-A: b' }))
  const after = await measure(20)
  t.ok(after < first / 2, `${after} ms after a reload`)
})

t.test('what cannot be used closes the routes, and nothing of the Secret is told', async (t) => {
  const service =
    '---\napiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:1"}}\nspec: {ports: [{port: 80}]}\n'
  const translate = (annotations: object, more: string) => {
    const ingress = printFiltered(annotations).split('---\n')[1]!
    const { model, diagnostics } = translateText(ingress + service + more)
    return { action: model.tables[0]?.hosts[0]?.routes[0]?.action, diagnostics }
  }
  const secret = { 'basic-auth-secret': 'users' }
  const map = { ...secret, 'basic-auth-secret-type': 'auth-map' }
  const cases: readonly (readonly [annotations: object, more: string, message: RegExp, help: RegExp])[] = [
    [secret, '', /Secret "users" not found in namespace "default"$/, /^add it to the manifests;/],
    [secret, printSecret('user', { auth: 'x' }), /Secret "users" not found/, /^did you mean "user"\?/],
    [
      secret,
      printSecret('users', { auth: 'x' }).replace('{name: users}', '{name: users, namespace: other}'),
      /Secret "users" not found/,
      /^it is in namespace "other", and only objects of that namespace reach it/,
    ],
    [secret, printSecret('users', { Auth: `TOPSECRET:${SHA}` }), /Secret users has no key "auth"$/, /auth-map/],
    [secret, printSecret('users', { auth: 'TOPSECRET' }), /the key "auth" of Secret users: line 1 has/, /htpasswd -nB/],
    [secret, printSecret('users', { auth: '' }), /the key "auth" of Secret users: names no user/, /htpasswd/],
    [
      map,
      printSecret('users', { TOPSECRET: 'TOPSECRET' }),
      /Secret users: key number 1 has a hash of another/,
      /htpasswd/,
    ],
    [map, printSecret('users', {}), /Secret users: names no user/, /htpasswd/],
    [{ 'basic-auth-secret': 'other/users' }, USERS, /this names no Secret/, /in the namespace of the Ingress/],
    [{ 'basic-auth-secret': '' }, USERS, /this names no Secret/, /./],
    [{ ...secret, 'basic-auth-secret-type': 'htpasswd' }, USERS, /neither "auth-file" nor "auth-map"/, /./],
    [{ ...secret, 'basic-auth-realm': 'ä' }, USERS, /"ä" is no realm/, /ASCII/],
    [
      { ...secret, 'basic-auth-user-header': 'X-Forwarded-For' },
      USERS,
      /X-Forwarded-For is written by the gateway/,
      /./,
    ],
    [{ ...secret, 'basic-auth-user-header': 'x_real_ip' }, USERS, /x_real_ip is written by the gateway/, /./],
    [{ ...secret, 'basic-auth-user-header': 'Host' }, USERS, /Host is written by the gateway/, /./],
    [{ 'basic-auth-realm': 'x' }, USERS, /it says nothing without basic-auth-secret/, /./],
  ]
  for (const [annotations, more, message, help] of cases) {
    const { action, diagnostics } = translate(annotations, more)
    t.match(action, { type: 'unavailable', code: 'PORTICO_GW_GUARD_INVALID' }, String(message))
    t.match(diagnostics, [{ severity: 'error', message, help }])
    t.match(diagnostics[0]?.help, /until then the routes of this Ingress answer 503$/)
    t.notMatch(JSON.stringify(diagnostics), /TOPSECRET/)
    // What is wrong stands in the Secret.
    const place = /Secret users( has|:)/.test(diagnostics[0]?.message ?? '') ? ['users'] : []
    const here = (diagnostics[0]?.notes ?? []).filter((note) => note.message === 'the Secret is here')
    t.same(
      here.map(({ position }) => position?.excerpt.trim()),
      place,
    )
  }
  t.equal(translate(secret, '').diagnostics[0]?.code, 'PORTICO_REF_SECRET_NOT_FOUND')
  t.same(translate(secret, USERS).diagnostics, [])
})

t.test('a changed password shows in the diff as a mark, which tells nothing of it', async (t) => {
  const translate = (hash: string) =>
    translateText(printFiltered({ 'basic-auth-secret': 'users' }) + printSecret('users', { auth: `alice:${hash}` }))
      .model
  const changes = diffModels(translate(SHA), translate(BCRYPT))
  t.match(changes, [
    { type: 'changed', detail: /^secrets of filters basic-auth [0-9a-f]{8} → basic-auth [0-9a-f]{8}$/ },
  ])
  t.same(diffModels(translate(SHA), translate(SHA)), [])
})
