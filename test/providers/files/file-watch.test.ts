import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FileWatch, type FileWatchOptions } from '../../../lib/providers/files/file-watch.ts'
import { readStamp } from '../../../lib/source/stamp.ts'

const NEVER = 3_600_000

/** A watch over `paths`, and a promise for each change it sees. */
async function watchPaths(t: Test, paths: readonly string[], options: Partial<FileWatchOptions>) {
  let resolve: (() => void) | undefined
  const watch = new FileWatch({ ...options, onChange: () => resolve?.() })
  // A watch alone does not keep the process alive.
  const alive = setInterval(() => {}, NEVER)
  t.teardown(() => {
    clearInterval(alive)
    watch.close()
  })
  const update = async () => {
    await watch.update(new Map(await Promise.all(paths.map(async (path) => [path, await readStamp(path)] as const))))
  }
  await update()
  return {
    /** Makes a change and waits until it was seen. */
    async change(make: () => void) {
      const seen = new Promise<void>((done) => {
        resolve = done
      })
      make()
      await seen
      await update()
    },
  }
}

/** A folder whose entries are old enough to be relied on. */
function createFolder(t: Test, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'portico-watch-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text)
    age(join(folder, name))
  }
  age(folder)
  return folder
}

function age(path: string): void {
  utimesSync(path, 1_000_000_000, 1_000_000_000)
}

const NO_EVENTS: Partial<FileWatchOptions> = {
  intervalMs: 10,
  watchFolder: () => {
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  },
}

for (const [how, options] of [
  ['by events', { intervalMs: NEVER }],
  ['CF-22 by looking, where there are no events', NO_EVENTS],
] as const) {
  t.test(`${how}: a file is written in place, cut and rewritten, and replaced by a rename`, async (t) => {
    const folder = createFolder(t, { 'a.yaml': 'one' })
    const file = join(folder, 'a.yaml')
    const watched = await watchPaths(t, [folder, file], options)
    await watched.change(() => writeFileSync(file, 'two'))
    await watched.change(() => writeFileSync(file, ''))
    await watched.change(() => writeFileSync(file, 'three'))
    for (let turn = 0; turn < 3; turn++) {
      await watched.change(() => {
        writeFileSync(join(folder, '.a.swp'), `turn ${turn}`)
        renameSync(join(folder, '.a.swp'), file)
      })
    }
    t.pass('all were seen')
  })

  t.test(`${how}: a file given by itself is seen through its folder`, async (t) => {
    const file = join(createFolder(t, { 'a.yaml': 'one' }), 'a.yaml')
    const watched = await watchPaths(t, [file], options)
    await watched.change(() => rmSync(file))
    await watched.change(() => writeFileSync(file, 'back'))
    t.pass('both were seen')
  })

  t.test(`${how}: files come to a folder and go`, async (t) => {
    const folder = createFolder(t, {})
    const watched = await watchPaths(t, [folder], options)
    await watched.change(() => writeFileSync(join(folder, 'new.yaml'), 'one'))
    await watched.change(() => rmSync(join(folder, 'new.yaml')))
    t.pass('both were seen')
  })

  t.test(`${how}: CF-19 a ConfigMap is swapped ten times`, async (t) => {
    const folder = createFolder(t, {})
    const swap = (version: number) => {
      mkdirSync(join(folder, `..v${version}`))
      writeFileSync(join(folder, `..v${version}`, 'a.yaml'), `version ${version}`)
      symlinkSync(`..v${version}`, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
      if (version > 0) rmSync(join(folder, `..v${version - 1}`), { recursive: true })
    }
    swap(0)
    symlinkSync('..data/a.yaml', join(folder, 'a.yaml'))
    const watched = await watchPaths(t, [join(folder, 'a.yaml')], options)
    for (let version = 1; version <= 10; version++) await watched.change(() => swap(version))
    t.pass('every swap was seen')
  })

  t.test(`${how}: a file is changed where a link leads`, async (t) => {
    const real = createFolder(t, { 'a.yaml': 'one' })
    const folder = createFolder(t, {})
    symlinkSync(join(real, 'a.yaml'), join(folder, 'link.yaml'))
    const watched = await watchPaths(t, [join(folder, 'link.yaml')], options)
    await watched.change(() => writeFileSync(join(real, 'a.yaml'), 'two'))
    t.pass('it was seen')
  })

  t.test(`${how}: CF-20 a folder is removed and comes back`, async (t) => {
    const parent = createFolder(t, {})
    const folder = join(parent, 'k8s')
    mkdirSync(folder)
    writeFileSync(join(folder, 'a.yaml'), 'one')
    age(join(folder, 'a.yaml'))
    age(folder)
    age(parent)
    const watched = await watchPaths(t, [folder, join(folder, 'a.yaml')], options)
    await watched.change(() => rmSync(folder, { recursive: true }))
    await watched.change(() => mkdirSync(folder))
    await watched.change(() => writeFileSync(join(folder, 'a.yaml'), 'two'))
    t.pass('all was seen')
  })
}

t.test('CF-22 the lack of events is told once', async (t) => {
  const folder = createFolder(t, { 'a.yaml': 'one' })
  mkdirSync(join(folder, 'sub'))
  const reasons: string[] = []
  await watchPaths(t, [folder, join(folder, 'sub'), join(folder, 'a.yaml')], {
    ...NO_EVENTS,
    onFallback: (reason) => reasons.push(reason),
  })
  t.same(reasons, ['ENOSPC'])
})

t.test('a change of rights alone is seen', async (t) => {
  const folder = createFolder(t, { 'a.yaml': 'one' })
  const before = await readStamp(join(folder, 'a.yaml'))
  chmodSync(join(folder, 'a.yaml'), 0o600)
  t.not(await readStamp(join(folder, 'a.yaml')), before)
})

t.test('a path that leads nowhere has a stamp too', async (t) => {
  t.equal(await readStamp(join(createFolder(t, {}), 'none')), 'ENOENT')
})
