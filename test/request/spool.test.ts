/** A spool by itself: what is written comes out, whatever the user takes, and nothing is left behind. */
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { Spool, type SpoolUser } from '../../lib/request/spool.ts'
import type { Spools } from '../../lib/request/spools.ts'
import { makeSettings } from '../helpers/settings.ts'
import { chooseFolder, makeSpools } from '../helpers/spools.ts'
import { until } from '../helpers/until.ts'

/** Takes what a test lets it take. */
class Taker implements SpoolUser {
  taken: Buffer[] = []
  empties = 0
  rooms = 0
  full: string | undefined = undefined
  lost: Error | undefined = undefined
  broken: Error | undefined = undefined
  onTake: (chunk: Buffer) => boolean = () => true
  onEmpty: () => void = () => {}

  takeSpooled(chunk: Buffer): boolean {
    // Lent.
    this.taken.push(Buffer.from(chunk))
    return this.onTake(chunk)
  }

  onSpoolEmpty(): void {
    this.empties++
    this.onEmpty()
  }

  onSpoolRoom(): void {
    this.rooms++
  }

  onSpoolFull(why: string): void {
    this.full = why
  }

  onSpoolLost(error: Error): void {
    this.lost = error
  }

  breakOff(error: Error): void {
    this.broken = error
  }

  get bytes(): Buffer {
    return Buffer.concat(this.taken)
  }
}

/** Lent, as chunks of connections are. */
function write(spool: Spool, bytes: Buffer): boolean {
  const lent = Buffer.from(bytes)
  const hasRoom = spool.write(lent)
  lent.fill(0)
  return hasRoom
}

async function writeAll(spool: Spool, taker: Taker, body: Buffer, size: number): Promise<void> {
  for (let at = 0; at < body.length; at += size) {
    const { rooms } = taker
    if (!write(spool, body.subarray(at, at + size))) await until(() => taker.rooms > rooms)
  }
}

/** Descriptors of files without a name in a folder. */
function countOpen(folder: string): number {
  const links = readdirSync('/proc/self/fd').flatMap((number) => {
    try {
      return [readlinkSync(`/proc/self/fd/${number}`)]
    } catch {
      return []
    }
  })
  return links.filter((link) => link.startsWith(folder)).length
}

async function checkGone(t: Test, spools: Spools, folder: string): Promise<void> {
  await until(() => spools.fileBytes === 0 && countOpen(folder) === 0)
  t.equal(spools.memoryBytes, 0)
  if (existsSync(folder)) t.same(readdirSync(folder), [], 'no file has a name')
}

t.test('a body comes out as it went in, as often as it is asked for', async (t) => {
  const folder = chooseFolder(t)
  const spools = makeSpools(t, { folder })
  for (const [length, size] of [
    [10, 3],
    [65_536, 65_536],
    [65_537, 16_384],
    [1_000_000, 65_536],
    [1_000_000, 50_000],
    [300_000, 100],
  ] as const) {
    const taker = new Taker()
    const spool = new Spool(spools, 'client', taker, Number.POSITIVE_INFINITY)
    const body = randomBytes(length)
    await writeAll(spool, taker, body, size)
    t.equal(spool.length, length)
    t.equal(taker.taken.length, 0, 'nothing is given before it is asked for')
    for (let n = 1; n <= 2; n++) {
      taker.taken = []
      spool.rewind()
      await until(() => taker.empties === n)
      t.ok(taker.bytes.equals(body), `${length} bytes in pieces of ${size}, time ${n}`)
    }
    if (length > 65_536) {
      t.ok(spools.fileBytes > 0, 'in a file')
      t.ok(spools.memoryBytes <= 2 * 65_536, `${spools.memoryBytes} bytes in memory`)
      await until(() => existsSync(folder))
      t.equal(statSync(folder).mode & 0o777, 0o700)
    } else t.equal(spools.fileBytes, 0, 'in memory alone')
    spool.drop()
    await checkGone(t, spools, folder)
  }
})

t.test('another user of the body begins at its start, in the midst of a read too', async (t) => {
  const spools = makeSpools(t)
  const taker = new Taker()
  const spool = new Spool(spools, 'client', taker, Number.POSITIVE_INFINITY)
  const body = randomBytes(500_000)
  await writeAll(spool, taker, body, 30_000)
  for (let n = 1; n <= 20; n++) {
    taker.taken = []
    spool.rewind()
    for (let turn = 0; turn < n; turn++) await new Promise((resolve) => setImmediate(resolve))
    spool.stop()
    if (n % 2 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  taker.taken = []
  spool.rewind()
  const { empties } = taker
  await until(() => taker.empties > empties)
  t.ok(taker.bytes.equals(body))
  spool.drop()
})

t.test('a user that takes now and then gets all of it in order, and the file is used again', async (t) => {
  const folder = chooseFolder(t)
  const spools = makeSpools(t, { folder })
  const taker = new Taker()
  const spool = new Spool(spools, 'client', taker, Number.POSITIVE_INFINITY)
  taker.onTake = () => Math.random() < 0.5
  taker.onEmpty = () => spool.clear()
  const pieces: Buffer[] = []
  for (let n = 0; n < 400; n++) {
    const piece = randomBytes(1 + Math.floor(Math.random() * 65_536))
    pieces.push(piece)
    const { rooms, empties } = taker
    const hasRoom = write(spool, piece)
    if (n % 3 === 0) spool.resume()
    if (!hasRoom)
      await until(() => {
        spool.resume()
        return taker.rooms > rooms || taker.empties > empties
      })
    if (n % 100 === 99)
      await until(() => {
        spool.resume()
        return spool.length === 0
      })
  }
  t.ok(taker.bytes.equals(Buffer.concat(pieces)))
  t.ok(spools.fileBytes < 5_000_000, `the file has ${spools.fileBytes} bytes at most`)
  spool.drop()
  await checkGone(t, spools, folder)
})

t.test('what is dropped in the midst of anything leaves nothing', async (t) => {
  const folder = chooseFolder(t)
  const spools = makeSpools(t, { folder })
  for (let n = 0; n < 60; n++) {
    const taker = new Taker()
    const spool = new Spool(spools, 'client', taker, Number.POSITIVE_INFINITY)
    for (let piece = 0; piece < n % 7; piece++) write(spool, randomBytes(40_000))
    for (let turn = 0; turn < n; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      if (turn === 10) spool.rewind()
    }
    spool.drop()
    spool.drop()
    const { taken } = taker
    await new Promise((resolve) => setTimeout(resolve, 2))
    t.equal(taker.taken, taken, 'and gives nothing')
  }
  await checkGone(t, spools, folder)
})

t.test('too much is told, and what is there still comes out', async (t) => {
  const refused = async (changes: Record<string, unknown>, max: number, why: RegExp, most: number) => {
    const { buffering } = makeSettings(changes)
    const folder = chooseFolder(t)
    const spools = makeSpools(t, { folder, limits: () => buffering })
    const taker = new Taker()
    const spool = new Spool(spools, 'client', taker, max)
    const pieces: Buffer[] = []
    while (taker.full === undefined) {
      const piece = randomBytes(60_000)
      pieces.push(piece)
      const { rooms } = taker
      if (!write(spool, piece)) await until(() => taker.rooms > rooms || taker.full !== undefined)
    }
    t.match(taker.full, why)
    const body = Buffer.concat(pieces)
    t.ok(body.length <= most, `${body.length} bytes`)
    spool.resume()
    await until(() => taker.empties === 1)
    t.ok(taker.bytes.equals(body))
    spool.clear()
    t.ok(spool.hasRoom, 'then there is room again')
    spool.drop()
    await checkGone(t, spools, folder)
  }
  const endless = Number.POSITIVE_INFINITY
  await refused({}, 200_000, /more than 200000 bytes wait/, 330_000)
  await refused({ 'buffering.disk': 400_000 }, endless, /buffering\.disk is used up/, 330_000)
  await refused({ 'buffering.disk': 0 }, endless, /buffering\.disk is used up/, 130_000)
  await refused({ 'buffering.memory': 100_000, 'buffering.disk': 0 }, endless, /is used up/, 130_000)
})

t.test('one client gets half of the files at most', async (t) => {
  const { buffering } = makeSettings({ 'buffering.disk': 1_000_000 })
  const spools = makeSpools(t, { limits: () => buffering })
  const fill = async (client: string) => {
    const taker = new Taker()
    const spool = new Spool(spools, client, taker, Number.POSITIVE_INFINITY)
    while (taker.full === undefined && spool.length < 450_000) {
      const { rooms } = taker
      if (!write(spool, randomBytes(50_000))) await until(() => taker.rooms > rooms || taker.full !== undefined)
    }
    return { spool, isRefused: taker.full !== undefined }
  }
  const [first, second, other] = [await fill('a'), await fill('a'), await fill('b')]
  t.same([first.isRefused, second.isRefused, other.isRefused], [false, true, false])
  for (const { spool } of [first, second, other]) spool.drop()
  await until(() => spools.fileBytes === 0)
  const again = await fill('a')
  t.notOk(again.isRefused, 'what is given back counts no more')
  again.spool.drop()
})

t.test('many bodies share the memory: once half of it is used up they go to files early', async (t) => {
  const { buffering } = makeSettings({ 'buffering.memory': 2_000_000 })
  const spools = makeSpools(t, { limits: () => buffering })
  const spooled = Array.from({ length: 200 }, () => {
    const taker = new Taker()
    return { taker, spool: new Spool(spools, 'client', taker, Number.POSITIVE_INFINITY), body: randomBytes(50_000) }
  })
  let most = 0
  for (let at = 0; at < 50_000; at += 5_000) {
    for (const { spool, taker, body } of spooled) {
      const { rooms } = taker
      const hasRoom = write(spool, body.subarray(at, at + 5_000))
      most = Math.max(most, spools.memoryBytes)
      if (!hasRoom) await until(() => taker.rooms > rooms)
    }
  }
  t.ok(most < 2_000_000, `${most} bytes`)
  t.ok(spools.fileBytes > 0)
  for (const { spool, taker, body } of spooled) {
    spool.rewind()
    await until(() => taker.empties === 1)
    t.ok(taker.bytes.equals(body))
    spool.drop()
  }
  await until(() => spools.fileBytes === 0 && spools.memoryBytes === 0)
})

t.test('a folder that cannot be made leaves memory alone', async (t) => {
  const folder = chooseFolder(t)
  writeFileSync(folder, 'a file')
  const warnings: string[] = []
  const spools = makeSpools(t, { folder: join(folder, 'bodies'), warn: (message) => warnings.push(message) })
  await spools.prepare()
  t.match(warnings, [/bodies: ENOTDIR$/], dirname(folder))
  await spools.prepare()
  t.equal(warnings.length, 1, 'once')
  const taker = new Taker()
  const spool = new Spool(spools, 'client', taker, Number.POSITIVE_INFINITY)
  const body = randomBytes(130_000)
  write(spool, body.subarray(0, 65_536))
  write(spool, body.subarray(65_536))
  await until(() => warnings.length === 2)
  t.equal(taker.full, undefined, 'as much as memory takes')
  write(spool, Buffer.alloc(10_000))
  t.match(taker.full, /cannot be written: .*ENOTDIR/)
  spool.rewind()
  t.ok(taker.bytes.subarray(0, body.length).equals(body))
  spool.drop()
  t.equal(spools.memoryBytes, 0)
})

t.test('short descriptors are left to connections', async (t) => {
  const watched: number[] = []
  const reserve = { isReleased: false, watch: (descriptor: number) => watched.push(descriptor) }
  const spools = makeSpools(t, { reserve })
  const file = await spools.open('client')
  t.same(watched, [file.fd])
  await spools.close(file, 0, 'client')
  reserve.isReleased = true
  await t.rejects(spools.open('client'), /file descriptors are short/)
})

t.test('a bug of the user costs its request alone', async (t) => {
  const spools = makeSpools(t)
  const taker = new Taker()
  const spool = new Spool(spools, 'client', taker, Number.POSITIVE_INFINITY)
  await writeAll(spool, taker, randomBytes(200_000), 50_000)
  const { error } = console
  console.error = () => {}
  t.teardown(() => {
    console.error = error
  })
  taker.onTake = () => {
    throw new Error('a bug')
  }
  spool.rewind()
  await until(() => taker.broken !== undefined)
  t.match(taker.broken?.message, /a bug/)
  spool.drop()
  await until(() => spools.fileBytes === 0)
})
