/** The undocumented members of Node: none is touched outside lib/platform, and where one is missing the answer is the one that changes least. */
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { Duplex } from 'node:stream'
import t from 'tap'
import { allowHalfOpen, takeParserListeners } from '../../lib/platform/http-server.ts'
import { canBindForWorkers } from '../../lib/platform/listening-socket.ts'
import { canFindCarriers, countQueued, findDescriptor, hasPeer } from '../../lib/platform/socket-internals.ts'

const LIB = join(process.cwd(), 'lib')

/** What reaches behind the documentation, each with an example that stands in lib/platform. */
const REACHES: readonly [pattern: RegExp, example: string][] = [
  [/[\w)\]!]\??\._[a-z]/i, '._handle'],
  [/\b_(handle|parent|createServerHandle|events|readableState|writableState|httpMessage|tlsOptions)\b/, '_parent'],
  [/\bgetOwnPropertySymbols\b/, 'getOwnPropertySymbols'],
  // Of an event: listeners that Node has added itself.
  [/\.(rawListeners|listeners)\([^)\s]/, ".listeners('data')"],
  [/\bhttpAllowHalfOpen\b/, 'httpAllowHalfOpen'],
  [/\.emit\('listening'/, ".emit('listening'"],
  [/\bprocess\.binding\b|\binternalBinding\b|'node:internal/, ''],
]

function listFiles(): readonly (readonly [name: string, text: string])[] {
  return readdirSync(LIB, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => [name, readFileSync(join(LIB, name), 'utf8')])
}

t.test('no file outside lib/platform touches one', async (t) => {
  const [inside, outside] = [listFiles().filter(isPlatform), listFiles().filter((file) => !isPlatform(file))]
  t.ok(outside.length > 100)
  for (const [pattern, example] of REACHES) {
    const found = outside.flatMap(([name, text]) => (findReach(pattern, text) ? [name] : []))
    t.same(found, [], String(pattern))
    const used = inside.some(([, text]) => findReach(pattern, text) && text.includes(example))
    t.equal(used, example !== '', `${pattern} is found where it is used`)
  }
})

function isPlatform([name]: readonly [name: string, text: string]): boolean {
  return name.startsWith('platform/')
}

function findReach(pattern: RegExp, text: string): boolean {
  return text.split('\n').some((line) => !/^\s*(\/?\*|\/\/)/.test(line) && pattern.test(line))
}

t.test('this Node has all of them', async (t) => {
  t.ok(canBindForWorkers)
  t.ok(canFindCarriers())
  t.ok('httpAllowHalfOpen' in createServer())
})

t.test('a socket without the handle that is expected', async (t) => {
  for (const handle of [undefined, null, {}]) {
    const socket = { _handle: handle } as unknown as Socket
    t.equal(findDescriptor(socket), undefined)
    t.equal(hasPeer(socket), true, 'nothing is cut')
    t.equal(countQueued(socket), 0)
  }
})

t.test('a server of node:http without the option, and a connection that it does not read by listeners', async (t) => {
  const server = {} as ReturnType<typeof createServer>
  allowHalfOpen(server)
  t.same(server, {})
  const socket = new Duplex({ read: () => {} }) as Socket
  t.equal(takeParserListeners(socket), undefined)
  const data = () => {}
  socket.on('data', data)
  t.equal(takeParserListeners(socket), undefined, 'an end is read as well')
  t.same(socket.listeners('data'), [data], 'and nothing is taken')
})
