/** Rotation by size, with processes that write all the while. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { LogRotation } from '../../lib/telemetry/log-rotation.ts'
import { keepChild } from '../helpers/kept-child.ts'

function rotate(path: string, bytes: number, oldFiles: number) {
  let rotations = 0
  const troubles: string[] = []
  const rotation = new LogRotation({
    path,
    limits: () => ({ bytes, oldFiles }),
    onRotated: () => void rotations++,
    onTrouble: (reason) => void troubles.push(reason),
    tickMs: 1_000_000,
  })
  rotation.close()
  return { look: () => rotation.look(), rotations: () => rotations, troubles }
}

t.test('the newest is kept, the oldest deleted, and their number is bounded', async (t) => {
  const path = join(t.testdir(), 'access.log')
  const { look, rotations } = rotate(path, 3, 2)
  await look()
  t.equal(rotations(), 0, 'there is no file')
  for (const text of ['one', 'two', 'three', 'four']) {
    writeFileSync(path, text)
    await look()
    t.notOk(existsSync(path))
  }
  t.equal(rotations(), 4)
  writeFileSync(path, '12')
  await look()
  t.equal(rotations(), 4, 'it is not large enough')
  t.same(readdirSync(join(path, '..')).sort(), ['access.log', 'access.log.1', 'access.log.2'])
  t.equal(readFileSync(`${path}.1`, 'utf8'), 'four')
  t.equal(readFileSync(`${path}.2`, 'utf8'), 'three')
  const smaller = rotate(path, 1, 1)
  await smaller.look()
  t.same(readdirSync(join(path, '..')).sort(), ['access.log.1'])
  t.equal(readFileSync(`${path}.1`, 'utf8'), '12')
  const off = rotate(`${path}.1`, 0, 1)
  await off.look()
  t.equal(off.rotations(), 0)
  const none = rotate(`${path}.1`, 1, 0)
  await none.look()
  t.same(readdirSync(join(path, '..')), [])
})

t.test('what cannot be renamed is told once', async (t) => {
  const path = join(
    t.testdir({ 'access.log': 'text', 'access.log.1': { a: 'a folder cannot be replaced' } }),
    'access.log',
  )
  const { look, troubles, rotations } = rotate(path, 1, 1)
  await look()
  await look()
  t.equal(troubles.length, 1)
  t.equal(rotations(), 0)
})

t.test('no line is lost or mixed while two processes write and a third one rotates', async (t) => {
  const folder = t.testdir()
  const path = join(folder, 'access.log')
  const module = pathToFileURL(join(import.meta.dirname, '../../lib/telemetry/log-file.js')).href
  const program = (letter: string) => `
import { LogFile } from ${JSON.stringify(module)}
const file = new LogFile({ path: ${JSON.stringify(path)}, onTrouble: (reason) => { throw new Error(reason) } })
process.on('message', () => file.reopen())
let left = 5_000
const next = () => {
  const lines = []
  for (let index = 0; index < 50; index++) lines.push('${letter}'.repeat(100 + (left % 100)) + left-- + '\\n')
  file.write(lines)
  if (left > 0) setTimeout(next, 2)
  else file.flush(() => { process.disconnect() })
}
next()`
  const children = ['a', 'b'].map((letter) =>
    keepChild(
      spawn(process.execPath, ['--input-type=module', '-e', program(letter)], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    ),
  )
  const rotation = new LogRotation({
    path,
    limits: () => ({ bytes: 100_000, oldFiles: 100 }),
    onRotated: () => {
      for (const child of children) if (child.connected) child.send('reopen')
    },
    onTrouble: (reason) => t.fail(reason),
    tickMs: 10,
  })
  await Promise.all(children.map((child) => once(child, 'close')))
  rotation.close()
  // A rotation may be under way.
  await sleep(200)
  const files = readdirSync(folder)
  t.ok(files.length > 1, `${files.length} files`)
  const lines = files.flatMap((name) => readFileSync(join(folder, name), 'utf8').split('\n').slice(0, -1))
  t.equal(lines.length, 10_000)
  t.same(
    lines.filter((line) => !/^(?:a+|b+)\d+$/.test(line)),
    [],
  )
  t.equal(new Set(lines).size, 10_000)
})
