/** Lines on real file descriptors: order, full pipes, full disks, closed readers. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { LogDestination } from '../../lib/telemetry/log-destination.ts'
import { keepChild } from '../helpers/kept-child.ts'

function flush(destination: LogDestination): Promise<void> {
  return new Promise((resolve) => destination.flush(resolve))
}

t.test('lines arrive whole and in order', async (t) => {
  const path = join(t.testdir(), 'log')
  const fd = openSync(path, 'w')
  const destination = new LogDestination({ fd })
  let expected = ''
  for (let index = 0; index < 2000; index++) {
    const line = `${index} ${'ä'.repeat(index % 50)}\n`
    expected += line
    destination.write(line)
    if (index % 400 === 0) await flush(destination)
  }
  await flush(destination)
  closeSync(fd)
  t.equal(readFileSync(path, 'utf8'), expected)
  t.equal(destination.dropped, 0)
})

t.test('flush answers at once when nothing waits', async (t) => {
  let isDone = false
  new LogDestination({ fd: 1 }).flush(() => {
    isDone = true
  })
  t.ok(isDone)
})

t.test('LC-13 lines that do not fit are dropped and counted, and the log says how many', async (t) => {
  const path = join(t.testdir(), 'log')
  const fd = openSync(path, 'w')
  const destination = new LogDestination({ fd, maxPending: 100 })
  for (let index = 0; index < 10; index++) destination.write(`${'x'.repeat(39)}\n`)
  t.equal(destination.dropped, 8)
  await flush(destination)
  destination.write('later\n')
  await flush(destination)
  closeSync(fd)
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
  t.equal(lines.filter((line) => line.startsWith('xxx')).length, 2)
  t.match(JSON.parse(lines.find((line) => line.startsWith('{')) ?? ''), { level: 'warn', lines: 8 })
  t.equal(lines.at(-1), 'later')
})

t.test('LC-13 a full disk costs lines, and nothing else', async (t) => {
  const fd = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(fd))
  const destination = new LogDestination({ fd })
  for (let index = 0; index < 3; index++) {
    destination.write('lost\n')
    await flush(destination)
  }
  t.equal(destination.dropped, 3, 'what tells of dropped lines is none of them')
})

function writerSource(program: string): string {
  const module = pathToFileURL(join(import.meta.dirname, '../../lib/telemetry/log-destination.js')).href
  return `import { LogDestination } from ${JSON.stringify(module)}\n${program}`
}

/** Runs a program that logs to its standard output, which is a pipe to this process. */
function runWriter(program: string) {
  const source = writerSource(`const destination = new LogDestination({ fd: 1, maxPending: 1_000_000 })
const line = 'x'.repeat(999) + '\\n'
${program}`)
  const words = ['--input-type=module', '-e', source]
  return keepChild(spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] }))
}

t.test('LC-13 a reader that stalls holds up neither the event loop nor the memory', async (t) => {
  const child = runWriter(`
for (let index = 0; index < 20_000; index++) destination.write(line)
let turns = 0
const turn = () => {
  if (++turns < 100) setTimeout(turn, 1)
  else {
    process.stderr.write(JSON.stringify({ turns, dropped: destination.dropped }))
    process.exit(0)
  }
}
turn()`)
  let report = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (report += text))
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
  const { turns, dropped } = JSON.parse(report) as { turns: number; dropped: number }
  t.equal(turns, 100)
  t.ok(dropped >= 18_000, `${dropped} dropped`)
  child.stdout.destroy()
})

t.test('LC-13 a reader that has gone ends the log, not the process', async (t) => {
  const child = runWriter(`
destination.write('first\\n')
process.stdin.on('error', () => {})
const again = () => {
  destination.write(line)
  if (destination.dropped > 5) {
    process.stderr.write('alive')
    process.exit(0)
  }
  setTimeout(again, 5)
}
again()`)
  let report = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (report += text))
  child.stdout.once('data', () => child.stdout.destroy())
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
  t.equal(report, 'alive')
})

t.test('lines of two processes that share a pipe stay whole', async (t) => {
  const program = (letter: string) => `
const destination = new LogDestination({ fd: 1 })
let left = 2_000
const next = () => {
  for (let index = 0; index < 50; index++) destination.write('${letter}'.repeat(100 + (left-- % 200)) + '\\n')
  if (left > 0) setImmediate(next)
  else destination.flush(() => process.exit(0))
}
next()
setTimeout(() => {}, 60_000)`
  const [one, two] = ['a', 'b'].map((letter) => writerSource(program(letter)))
  // The pipe is full most of the time, so that large writes are written in part.
  const script =
    '("$0" --input-type=module -e "$1" & "$0" --input-type=module -e "$2" & wait) | (sleep 0.5; dd bs=1000 2>/dev/null)'
  const words = ['-c', script, process.execPath, one ?? '', two ?? '']
  const child = keepChild(spawn('sh', words, { stdio: ['ignore', 'pipe', 'inherit'], detached: true }), { group: true })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  await once(child, 'close')
  const lines = output.trimEnd().split('\n')
  t.equal(lines.length, 4_000)
  t.same(
    lines.filter((line) => !/^(a+|b+)$/.test(line)),
    [],
  )
})
