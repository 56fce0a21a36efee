/** Passwords whose users stand in a file or in the environment, at every door. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { printDiagnostic } from '../../lib/base/print-diagnostic.ts'
import { loadConfiguration } from '../../lib/control/configuration.ts'
import { printFilters } from '../../lib/filters/registry.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import { startDoors } from '../doors/request-doors.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { endpointsOf, ONE_ROUTE, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'

/** `secret` as SHA-1. */
const HASH = '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='
const GUARD_INVALID = 'PORTICO_GW_GUARD_INVALID'

const printPolicy = (source: string): string => `---
apiVersion: portico.dev/v1alpha1
kind: RoutePolicy
metadata: {name: login}
spec: {targetRefs: [{kind: Ingress, name: web}], basicAuthSecret: ${source}}
`

const login = (user: string): readonly [string, string] => [
  'authorization',
  `Basic ${Buffer.from(`${user}:secret`).toString('base64')}`,
]

function makeFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'portico-users-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The filters of the route, or the code that it is closed with; and all that is said. */
async function load(manifests: string, flags: Readonly<Record<string, string>>, environment: NodeJS.ProcessEnv = {}) {
  const input = {
    sources: ['-'],
    stdin: ONE_ROUTE + manifests,
    flags: { ...flags, endpoints: 'default/web=127.0.0.1:1' },
  }
  const { model, diagnostics } = await loadConfiguration({ ...input, environment })
  const [route] = findIngressTable(model).hosts[0]!.routes
  const { action } = route!
  const said = diagnostics.map((item) => `${item.code} ${printDiagnostic(item)}`).join('\n')
  return { is: action.type === 'unavailable' ? action.code : printFilters(route!).join(), said }
}

t.test('at every door the users of a file and of a variable log in', async (t) => {
  const folder = makeFolder(t)
  const file = join(folder, 'users')
  writeFileSync(file, `alice:${HASH}\n`)
  const doors = await startDoors(t, { secretFolders: folder }, `${printPolicy(`{file: ${file}}`)}---\n`)
  for (const door of doors.names) {
    const ask = async (...fields: (readonly [string, string])[]) =>
      (await doors.ask(door, { host: 'gw.test', target: '/', fields })).status
    t.equal(await ask(), 401, door)
    t.equal(await ask(login('alice')), 200, door)
    t.equal(await ask(login('bob')), 401, door)
  }
})

t.test('what a policy or the settings name is used, and its source is shown without what it holds', async (t) => {
  const folder = makeFolder(t)
  const file = join(folder, 'users')
  writeFileSync(file, `alice:${HASH}\n`)
  const realm = 'realm "Restricted", tells X-Forwarded-User'
  const open = { secretFolders: folder }
  t.same(await load(printPolicy(`{file: ${file}}`), open), {
    is: `basic-auth: asks for the user of file ${file}, ${realm} (RoutePolicy default/login)`,
    said: '',
  })
  t.same(await load(printPolicy('{env: USERS}'), {}, { USERS: `a:${HASH}\nb:${HASH}` }), {
    is: `basic-auth: asks for one of 2 users of variable USERS, ${realm} (RoutePolicy default/login)`,
    said: '',
  })
  const settings = `---\napiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\nroutes: {basicAuthSecret: {file: ${file}}}\n`
  t.same(await load(settings, open), {
    is: `basic-auth: asks for the user of file ${file}, ${realm} (settings)`,
    said: '',
  })
  const closed = await load(settings, {})
  t.equal(closed.is, GUARD_INVALID)
  t.match(
    closed.said,
    /^PORTICO_SET_FIELD_VALUE .*routes.basicAuthSecret: file .*no file may be used.*all routes answer 503/s,
  )
})

t.test('what cannot be used closes the routes, and nothing of it is told', async (t) => {
  const folder = makeFolder(t)
  const file = join(folder, 'users')
  const mark = 'GEHEIM'
  writeFileSync(file, `alice:${mark}\n`)
  const open = { secretFolders: folder }
  const bad: readonly (readonly [string, Readonly<Record<string, string>>, NodeJS.ProcessEnv, RegExp])[] = [
    [`{file: ${file}}`, open, {}, /PORTICO_RES_FIELD_VALUE .*spec.basicAuthSecret: file .*users: line 1/],
    [`{file: ${file}}`, {}, {}, /no file may be used/],
    [`{file: /etc/passwd}`, open, {}, /it lies in no folder that secretFolders names/],
    [`{file: ${file}.gone}`, open, {}, /there is no such file/],
    ['{env: USERS}', {}, { USERS: mark }, /variable USERS: line 1/],
    ['{env: USERS}', {}, {}, /the environment has no variable USERS/],
    ['{env: PORTICO_ADMIN_TOKEN}', {}, { PORTICO_ADMIN_TOKEN: `x:${mark}` }, /variables of Portico itself/],
    ['{env: "a b"}', {}, {}, /it names neither a file nor a variable/],
    ['{fiel: /x}', {}, {}, /it names neither a file nor a variable/],
    ['{file: /x, env: X}', {}, {}, /it names neither a file nor a variable/],
    ['[users]', {}, {}, /it cannot be a list/],
    ['', {}, {}, /nothing stands here/],
    [`{file: ${file}}, basicAuthSecretType: auth-map`, open, {}, /spec.basicAuthSecretType: a file has no keys/],
    [
      `file:${file}`,
      open,
      {},
      /names no Secret.*\n.*write \{file: .*\}, \{env: USERS\} or, in a RoutePolicy, the name/s,
    ],
    [`"alice:${mark}"`, open, {}, /names no Secret/],
  ]
  for (const [source, flags, environment, expected] of bad) {
    const { is, said } = await load(printPolicy(source), flags, environment)
    t.equal(is, GUARD_INVALID, source)
    t.match(said, expected, source)
    t.notMatch(said, mark, source)
  }
  const annotation = ONE_ROUTE.slice(ONE_ROUTE.indexOf('---')).replace(
    'name: web}',
    `name: web, annotations: {portico.dev/basic-auth-secret: "file:${file}"}}`,
  )
  t.match(
    (await load(annotation.replace('name: web,', 'name: annotated,'), open)).said,
    /names no Secret.*in the namespace of the Ingress/s,
  )
})

t.test('a changed file counts for the requests after it, and one that is gone closes the routes', async (t) => {
  const folder = makeFolder(t)
  const file = join(folder, 'users')
  const write = (user: string): void => {
    writeFileSync(`${file}.new`, `${user}:${HASH}\n`)
    renameSync(`${file}.new`, file)
  }
  write('alice')
  const echoes = await startEchoes(t, 'web')
  const gateway = await runGateway(t, ONE_ROUTE + printPolicy(`{file: ${file}}`), {
    endpoints: endpointsOf(echoes),
    flags: { watch: 'true', secretFolders: folder },
  })
  const ask = async (user: string): Promise<number> => {
    const client = await connectRaw(gateway.http)
    const [name, value] = login(user)
    const { status } = await client.send(`GET / HTTP/1.1\r\nHost: a.test\r\n${name}: ${value}\r\n\r\n`).response()
    client.destroy()
    return status
  }
  t.equal(await ask('alice'), 200)
  t.equal(await ask('bob'), 401)
  write('bob')
  await until(async () => (await ask('bob')) === 200)
  t.equal(await ask('alice'), 401)
  const text = readFileSync(file)
  rmSync(file)
  await until(async () => (await ask('bob')) === 503)
  writeFileSync(file, text)
  await until(async () => (await ask('bob')) === 200)
})

t.test('what names a secret is shown, and what may be one is not, whatever is said of it', async (t) => {
  const explain = async (source: string): Promise<string> => {
    const older = printPolicy('{env: NONE}').replace('name: login', 'name: a')
    const { said } = await load(older + printPolicy(source), {}, { USERS: 'GEHEIM' })
    t.match(said, /PORTICO_ROUTE_POLICY_CONFLICT/)
    t.notMatch(said, /GEHEIM/)
    return said
  }
  for (const source of ['{env: USERS}', '{file: /x/USERS}', 'users']) {
    t.equal((await explain(source)).match(/ │ .*users\n.*\^{5}/gi)?.length, 2, source)
  }
  t.match(await explain('"alice:GEHEIM"'), /this names no Secret/)
  t.match(await explain('{path: GEHEIM}'), /it has "path", and names neither/)
  t.match(await explain('{GEHEIM: x}'), /it names neither/)
})
