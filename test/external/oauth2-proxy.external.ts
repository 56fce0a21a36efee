/** A real oauth2-proxy as the auth server, with its own login by htpasswd. Needs Go, which builds it. */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { printFiltered } from '../filters/filtered.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { keepChild } from '../helpers/kept-child.ts'
import { connectRaw, findAll } from '../helpers/raw-client.ts'
import { endpointsOf, type RunningGateway, runGateway, startEchoes } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'

const VERSION = 'v7.15.6'
const hasGo = spawnSync('go', ['version']).status === 0
const folder = mkdtempSync(join(tmpdir(), 'portico-oauth2-proxy-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

/** The program of the environment variable OAUTH2_PROXY, or one that Go builds. */
function build(): string {
  const { OAUTH2_PROXY } = process.env
  if (OAUTH2_PROXY !== undefined) return OAUTH2_PROXY
  const words = ['install', `github.com/oauth2-proxy/oauth2-proxy/v7@${VERSION}`]
  const { status, stderr } = spawnSync('go', words, { env: { ...process.env, GOBIN: folder }, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return join(folder, 'oauth2-proxy')
}

/** No OIDC server is asked: users log in with a password of the htpasswd file. */
async function startOauth2Proxy(t: Test): Promise<number> {
  const port = await findFreePort()
  const htpasswd = join(folder, 'htpasswd')
  writeFileSync(htpasswd, `anna:{SHA}${createHash('sha1').update('geheim').digest('base64')}\n`)
  const flags = {
    'http-address': `127.0.0.1:${port}`,
    upstream: 'static://202',
    'htpasswd-file': htpasswd,
    'cookie-secret': '0123456789abcdef',
    'cookie-secure': 'false',
    provider: 'github',
    'client-id': 'x',
    'client-secret': 'x',
    'email-domain': '*',
    'reverse-proxy': 'true',
    'trusted-proxy-ip': '127.0.0.1',
    'set-xauthrequest': 'true',
    'whitelist-domain': 'a.test',
  }
  const words = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  const child = keepChild(spawn(build(), words, { stdio: ['ignore', 'pipe', 'pipe'] }))
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk))
  t.teardown(() => child.kill())
  await until(async () => child.exitCode !== null || (await isOpen(port)))
  if (child.exitCode !== null) throw new Error(output)
  return port
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true))
    socket.on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

async function send(port: number, text: string) {
  const client = await connectRaw(port)
  const response = await client.send(`${text.trim().replaceAll('\n', '\r\n')}\r\n\r\n`).response()
  client.destroy()
  return { ...response, field: (name: string) => findAll(response.headers, name), text: response.body.toString() }
}

/** Logs in at the gateway under /oauth2, as a browser would, and gives the session's cookie. */
async function logIn({ http }: RunningGateway, back: string): Promise<{ cookie: string; location: string }> {
  const body = `username=anna&password=geheim&rd=${encodeURIComponent(back)}`
  const answer = await send(
    http,
    `POST /oauth2/sign_in HTTP/1.1\nHost: a.test\nContent-Type: application/x-www-form-urlencoded\nContent-Length: ${body.length}\n\n${body}`,
  )
  const cookie = answer.field('set-cookie').find((each) => each.startsWith('_oauth2_proxy='))
  return { cookie: cookie?.split(';')[0] ?? '', location: answer.field('location')[0] ?? '' }
}

async function startBoth(t: Test, annotations: Readonly<Record<string, string>>) {
  const port = await startOauth2Proxy(t)
  const guarded = printFiltered({
    'auth-url': `http://127.0.0.1:${port}/oauth2/auth`,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is the value of an annotation.
    'auth-signin': 'http://${request.authority}/oauth2/sign_in',
    'auth-response-headers': 'X-Auth-Request-User, X-Auth-Request-Email',
    ...annotations,
  })
  const manifests = `${guarded}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: login}
spec: {rules: [{http: {paths: [{path: /oauth2, pathType: Prefix, backend: {service: {name: login, port: {number: 80}}}}]}}]}
---
apiVersion: v1
kind: Service
metadata: {name: login}
spec: {ports: [{port: 80}]}
`
  const endpoints = { ...endpointsOf(await startEchoes(t, 'web')), login: [port] }
  return runGateway(t, manifests, { endpoints })
}

t.test('a user logs in, comes back, and is known to the endpoint', { skip: !hasGo && 'Go is missing' }, async (t) => {
  const running = await startBoth(t, {})
  const anonymous = await send(running.http, 'GET /shop?a=b&c=d HTTP/1.1\nHost: a.test')
  t.equal(anonymous.status, 302)
  const [location = ''] = anonymous.field('location')
  t.equal(location, `http://a.test/oauth2/sign_in?rd=${encodeURIComponent('http://a.test/shop?a=b&c=d')}`)
  const page = await send(running.http, `GET ${location.slice('http://a.test'.length)} HTTP/1.1\nHost: a.test`)
  t.match(page.text, 'name="rd" value="http://a.test/shop?a=b&amp;c=d"', 'the page to sign in keeps the way back')
  const { cookie, location: back } = await logIn(running, 'http://a.test/shop?a=b&c=d')
  t.equal(back, 'http://a.test/shop?a=b&c=d')
  const known = await send(
    running.http,
    `GET /shop HTTP/1.1\nHost: a.test\nX-Auth-Request-User: root\nCookie: ${cookie}`,
  )
  t.equal(known.status, 200)
  t.match(known.text, /anna/)
  t.notMatch(known.text, /root/)
  const forged = await send(running.http, `GET /shop HTTP/1.1\nHost: a.test\nCookie: ${cookie}x`)
  t.equal(forged.status, 302)
})

t.test('its answers are kept by the cookie of the session', { skip: !hasGo && 'Go is missing' }, async (t) => {
  const running = await startBoth(t, {
    'auth-cache-key': 'cookie:_oauth2_proxy',
    'auth-cache-duration': '202 5m',
    'auth-timeout': '2s',
  })
  const { cookie } = await logIn(running, '/')
  const visit = () => send(running.http, `GET / HTTP/1.1\nHost: a.test\nCookie: ${cookie}`)
  t.equal((await visit()).status, 200)
  t.match(await visit(), { status: 200, text: /anna/ })
  const out = await send(running.http, `GET /oauth2/sign_out HTTP/1.1\nHost: a.test\nCookie: ${cookie}`)
  t.equal(out.status, 302)
  t.equal((await visit()).status, 200, 'until the time is over')
})
