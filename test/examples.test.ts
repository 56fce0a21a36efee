/**
 * Every example does what its README's table says: its own commands are run, and each request of the table is made. What people
 * run has fixed ports, which anybody may have where tests run: of a copy each is another, free one.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { type AddressInfo, createServer, isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { createBrotliDecompress, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { runPortico, serveHere } from './bin/process.ts'
import { findFreePorts } from './helpers/free-ports.ts'
import { keepChild } from './helpers/kept-child.ts'

type Row = { request: string; expected: string }
type Answer = { status: number; headers: http.IncomingHttpHeaders; cookie: string | undefined; body: string }

/** Needs Docker or Prometheus, not a request: `npm run test:external` runs it. */
const elsewhere = new Set(['docker-compose', 'demo', 'monitoring'])

/** Ports that an example opens, its Services' included; those of the gateway itself are not its own. */
const FIXED = /(?<![\d.])(?:19\d{3}|3018\d|8000)(?!\d)/g
const GATEWAY_PORTS = [8080, 8443, 8053, 9901]

const folders = readdirSync('examples', { withFileTypes: true }).filter((entry) => entry.isDirectory())
const names = folders.map(({ name }) => name).filter((name) => !elsewhere.has(name))

/** In order of their first place. */
function listFixedPorts(name: string): readonly string[] {
  const files = readdirSync(`examples/${name}`).map((file) => readFileSync(`examples/${name}/${file}`, 'utf8'))
  return [...new Set(files.flatMap((text) => text.match(FIXED) ?? []))]
}

/** The example with free ports in place of its own; also of those of this machine that somebody has. */
async function copyExample(
  name: string,
  folder: string,
): Promise<{ readme: string; isPort: (word: string) => boolean }> {
  const fixed = listFixedPorts(name)
  const free = await findFreePorts(fixed.length)
  const ports = new Map(fixed.map((port, index) => [port, String(free[index])]))
  cpSync(`examples/${name}`, folder, { recursive: true })
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), 'utf8')
    writeFileSync(
      join(folder, file),
      text.replace(FIXED, (port) => ports.get(port) as string),
    )
  }
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
    .replaceAll(' /tmp/', ` ${folder}/../`)
    .replaceAll(`examples/${name}`, folder)
  const taken = new Set(ports.values())
  return { readme, isPort: (word) => taken.has(word) }
}

t.before(async () => {
  for (const port of new Set([...GATEWAY_PORTS, ...names.flatMap(listFixedPorts).map(Number)])) {
    const server = createServer()
    // Whoever has it already does as well.
    await new Promise<void>((resolve) => server.once('error', () => resolve()).listen(port, resolve))
    t.teardown(() => server.close())
  }
})

t.test('no two examples have an endpoint at the same port', (t) => {
  const owners = new Map<string, string>()
  for (const name of names) {
    for (const port of listFixedPorts(name)) {
      // A Service's, on an address of its own.
      if (port === '8000') continue
      t.equal(owners.get(port), undefined, `${port} of ${name}`)
      owners.set(port, name)
    }
  }
  t.end()
})

t.test('an echo server says in one line that its port is taken', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { status, stderr } = spawnSync(process.execPath, ['examples/echo.mjs', String(port)], { encoding: 'utf8' })
  t.equal(status, 1)
  t.equal(stderr, `echo: port ${port} of 127.0.0.1 is taken: end what listens there\n`)
})

for (const name of names) {
  t.test(`examples/${name} does what its README says`, async (t) => {
    const original = readFileSync(`examples/${name}/README.md`, 'utf8')
    const folder = mkdtempSync(join(tmpdir(), 'portico-example-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const { readme, isPort } = await copyExample(name, join(folder, 'copy'))

    let arguments_: string[] | undefined
    let echo: ChildProcess | undefined
    for (const command of readCommands(readme)) {
      const words = command.replace(/ &$/, '').split(' ')
      if (command.startsWith('node examples/echo.mjs')) echo = await startEcho(t, words.slice(1))
      else if (command.startsWith('node bin/portico run')) arguments_ = words.slice(2)
      // What ends it comes last, and is tried last.
      else if (command === 'kill %1') t.ok(arguments_)
      // Its columns are as wide as the ports that people have.
      else if (command.startsWith('node bin/portico test')) t.match(await runPortico(words.slice(2)), { status: 0 })
      else if (command.startsWith('node bin/portico get')) await checkOutputs(t, original)
      else if (command.includes('make-secret.sh')) {
        if (spawnSync('openssl', ['version']).status !== 0) return t.comment('skipped: openssl is not installed')
        const made = spawnSync('sh', words.slice(0, words.indexOf('>')), { encoding: 'utf8' })
        t.equal(made.status, 0, made.stderr)
        writeFileSync(words.at(-1)!, made.stdout)
      } else t.fail(`a command this test does not know: ${command}`)
    }
    if (!arguments_) return t.fail('the README has no run command')
    t.equal(arguments_[1], '--local', 'nothing on a laptop is reachable from the network')
    const inputs = [...arguments_.slice(2), '--set', 'nodePorts.range=20000-29999']
    const check = await runPortico(['check', ...inputs])
    t.equal(check.status, 0, check.stdout + check.stderr)

    const portico = await serveHere(t, ['run', '--local', ...inputs])
    const ports = { 8080: portico.ports.http, 8443: portico.ports.https, 8053: portico.ports.dns ?? 0 }
    const rows = readRows(readme)
    t.ok(rows.length > 0, 'the README has a table of requests')
    const unopened = await findUnopened(portico.ports.admin)
    for (const row of rows) {
      const port = Number(/:(\d+)\//.exec(row.request)?.[1])
      if (unopened.has(port)) t.comment(`not opened: ${row.request}`)
      else await checkRow(t, row, ports, isPort)
    }
    if (rows.some(({ request }) => request.includes('.localhost'))) await checkOtherClients(t, readme, ports)
    t.match(readCommands(readme).at(-1), 'kill %1', 'it says how to end what it starts')
    echo?.kill()
    if (echo) await once(echo, 'exit')
  })
}

/** Without what stands behind them. */
function readCommands(readme: string): readonly string[] {
  return [...readme.matchAll(/^\$ (.*)$/gm)].map((match) => match[1]!.replace(/ +# .*/, ''))
}

/** Names below localhost do not resolve everywhere: what is said of that leads to what is served. */
async function checkOtherClients(t: Test, readme: string, ports: Record<number, number>): Promise<void> {
  const [, note] = /^(Other clients than curl and browsers[\s\S]*?)\n\n/m.exec(`${readme}\n\n`) ?? []
  const command = /`(curl .*)`/.exec(note ?? '')?.[1]
  if (command === undefined) t.match(note, /`ws:\/\/127\.0\.0\.1:8080\/socket`/)
  else t.equal((await request(command, ports)).status, 200, command)
}

/** What stands under a command, up to the next one or the end of the block. */
function readOutput(readme: string, command: string): string {
  const below = readme.slice(readme.indexOf(`$ ${command}\n`) + command.length + 3)
  return below.slice(0, below.search(/^(?:\$ |```)/m))
}

/** What was allocated on this machine before must not show. */
async function checkOutputs(t: Test, readme: string): Promise<void> {
  for (const command of readCommands(readme)) {
    if (!command.startsWith('node bin/portico get')) continue
    const { stdout } = await runPortico(command.split(' ').slice(2))
    t.equal(stdout, readOutput(readme, command), command)
  }
}

/** Ports of Services of which the gateway does not say whether they are open. */
async function findUnopened(admin: number): Promise<ReadonlySet<number>> {
  const answer = await fetch(`http://127.0.0.1:${admin}/api/v1/listeners`)
  const rows = (await answer.json()) as readonly { kind: string; port: number; state: string }[]
  return new Set(rows.filter(({ kind, state }) => kind !== 'Gateway' && state === '').map(({ port }) => port))
}

function readRows(readme: string): Row[] {
  return [...readme.matchAll(/^\| (.*?) \| (.*) \|$/gm)]
    .map((match) => ({ request: match[1]!, expected: match[2]! }))
    .filter((row) => row.request.includes('`'))
}

async function checkRow(
  t: Test,
  row: Row,
  ports: Record<number, number>,
  isPort: (word: string) => boolean,
): Promise<void> {
  const label = `${row.request} → ${row.expected}`
  const code = /`(.*?)`/.exec(row.request)![1]!
  if (code.startsWith('dig ')) {
    const words = code.split(' ').slice(1)
    const arguments_ = ['+tries=1', ...words.map((word) => (word === '8053' ? String(ports[8053]) : word))]
    const dug = await promisify(execFile)('dig', arguments_).catch(
      (error: NodeJS.ErrnoException & { stdout: string }) => error,
    )
    if ('code' in dug && dug.code === 'ENOENT') return void t.comment(`skipped: dig is not installed: ${label}`)
    const expected = [...row.expected.matchAll(/`(.*?)`/g)].map((match) => match[1]!)
    t.same(dug.stdout.trim().split('\n').sort(), expected.sort(), label)
    return
  }
  if (row.request.startsWith('WebSocket')) {
    const url = new URL(code)
    const socket = new WebSocket(`ws://127.0.0.1:${ports[Number(url.port)]}${url.pathname}`, {
      headers: { Host: url.host },
    })
    await once(socket, 'open')
    socket.send('hello')
    const [message] = await once(socket, 'message')
    t.equal(String(message), 'hello', label)
    socket.terminate()
    return
  }
  const redirect = /^(30\d) to `(.*?)`/.exec(row.expected)
  if (redirect) {
    const answer = await request(code, ports)
    t.equal(answer.status, Number(redirect[1]), label)
    const written = redirect[2]!
    const location = written.replace(/:(8080|8443)/, (_, port: string) => `:${ports[Number(port)]}`)
    // The port that the client named may be kept.
    t.ok([written, location].includes(answer.headers.location ?? ''), `${label}: ${answer.headers.location}`)
    return
  }
  if (/^\d{3}\b(?!\d)/.test(row.expected) && Number.parseInt(row.expected, 10) < 600) {
    t.equal((await request(code, ports)).status, Number.parseInt(row.expected, 10), label)
    return
  }
  const weights = [...row.expected.matchAll(/\b(\d{5})(?: (three times|once))?/g)].filter(([, port = '']) =>
    isPort(port),
  )
  t.ok(weights.length > 0, `the row says which port answers: ${label}`)
  if (row.expected.endsWith('the same each time')) {
    await checkSame(
      t,
      code,
      ports,
      weights.map((match) => Number(match[1])),
    )
    return
  }
  if (/ or \d{5}\b/.test(row.expected)) {
    const { port } = JSON.parse((await request(code, ports)).body) as { port: number }
    t.ok(weights.map((match) => Number(match[1])).includes(port), label)
    return
  }
  const expected = weights.flatMap((match) => Array(match[2] === 'three times' ? 3 : 1).fill(Number(match[1]))).sort()
  const seen: number[] = []
  for (const _ of expected) {
    const answer = await request(code, ports)
    t.equal(answer.status, 200, label)
    const echoed = JSON.parse(answer.body)
    seen.push(echoed.port)
    const header = /sees `([^:]+): (.*?)`/.exec(row.expected)
    if (header) t.equal(echoed.headers[header[1]!.toLowerCase()], header[2], label)
    const own = /with `([^:]+): (.*?)`/.exec(row.expected)
    if (own) t.equal(answer.headers[own[1]!.toLowerCase()], own[2], label)
    const target = /is asked for `(.*?)`/.exec(row.expected)
    if (target) t.equal(echoed.url, target[1], label)
    const bytes = /gets (\d+) bytes/.exec(row.expected)
    if (bytes) t.equal(echoed.bytes, Number(bytes[1]), label)
  }
  t.same(seen.sort(), expected, label)
}

/** `-b` and `-c` name a cookie jar, as curl has it. */
async function checkSame(
  t: Test,
  code: string,
  ports: Record<number, number>,
  among: readonly number[],
): Promise<void> {
  const seen = new Set<number>()
  let cookie: string | undefined
  for (let count = 0; count < 6; count++) {
    const answer = await request(cookie === undefined ? code : `curl -H 'Cookie: ${cookie}'${code.slice(4)}`, ports)
    if (code.includes(' -b jar -c jar ')) cookie = answer.cookie ?? cookie
    seen.add(JSON.parse(answer.body).port)
  }
  t.equal(seen.size, 1, `${code}: the same each time`)
  t.ok(among.includes([...seen][0]!), `${code}: one of ${among.join(', ')}`)
}

/** Makes the request of a `curl …` command with Node's own client, on the ports the gateway was given; `printf … | gzip |` gives its body. */
function request(command: string, ports: Record<number, number>): Promise<Answer> {
  const headers: Record<string, string> = command.includes(' --compressed ') ? { 'Accept-Encoding': 'gzip, br' } : {}
  const [, piped] = /^printf (\S+) \\?\| gzip \\?\| /.exec(command) ?? []
  for (const match of command.matchAll(/-H '([^:]+): (.*?)'/g)) headers[match[1]!] = match[2]!
  const [, credentials] = / -u (\S+) /.exec(command) ?? []
  const [, localAddress] = / --interface (\S+) /.exec(command) ?? []
  const url = new URL(command.split(' ').at(-1)!)
  const port = ports[Number(url.port)]
  const options = {
    // What a Service opens has an address and a port of its own.
    host: port === undefined ? url.hostname : '127.0.0.1',
    port: port ?? Number(url.port),
    method: piped === undefined ? 'GET' : 'POST',
    path: url.pathname + url.search,
    headers: { Host: url.host, ...headers },
    ...(isIP(url.hostname) === 0 && { servername: url.hostname }),
    rejectUnauthorized: false,
    agent: false as const,
    ...(credentials !== undefined && { auth: credentials }),
    ...(localAddress !== undefined && { localAddress }),
  }
  return new Promise((resolve, reject) => {
    const call = (url.protocol === 'https:' ? https : http).request(options, async (response) => {
      const { headers } = response
      const isCompressed = headers['content-encoding'] === 'br'
      const body = await text(isCompressed ? response.pipe(createBrotliDecompress()) : response)
      resolve({ status: response.statusCode!, headers, cookie: headers['set-cookie']?.[0]?.replace(/;.*/, ''), body })
    })
    call.on('error', reject)
    call.end(piped === undefined ? undefined : gzipSync(piped))
  })
}

async function startEcho(t: Test, words: string[]): Promise<ChildProcess> {
  const child = keepChild(spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] }))
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  for await (const chunk of child.stdout) {
    output += chunk
    if (output.split('\n').length > words.length - 1) return child
  }
  throw new Error('the echo server did not start')
}
