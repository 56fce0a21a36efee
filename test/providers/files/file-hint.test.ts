/** A read of the paths that events named comes to what a read of everything does. */
import { linkSync, mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import { type FileManifests, FileReader } from '../../../lib/providers/files/file-reader.ts'

const LIMITS = { maxBytes: 100_000, maxCount: 100 }

function createFolder(t: Test): string {
  // Where the folder of temporary files is a link, nothing below it is plain.
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'portico-hint-')))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

function createProvider(folder: string): FileReader {
  return new FileReader({ sources: [folder], clock: systemClock })
}

function printService(name: string, more = ''): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: 80}]${more}}\n`
}

/** What was read, in words: each object with its places. */
function describe({ resources, refused, diagnostics, files, objects }: FileManifests): unknown {
  const place = ({ kind, meta, origin }: FileManifests['resources'][number]) =>
    [kind, meta.name, origin.locate(['metadata', 'name']), origin.locate(['spec', 'ports', 0, 'port'])] as const
  return [resources.map(place), refused.map(place), diagnostics, files, objects]
}

const DOCUMENTS = [
  printService('a'),
  printService('b', ', type: NodePort'),
  `# longer\n${printService('c')}`,
  `# of the same length as another\n${printService('d')}`,
  printService('e', ', nobody: knows'),
  'kind: [\n',
  'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n',
  'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n',
  '',
  '{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "j"}, "spec": {"ports": [{"port": 80}]}}',
]

t.test('after any edit the result and all positions equal those of a fresh read', async (t) => {
  let kept = 0
  const edit = fc.record({ file: fc.nat(2), slots: fc.array(fc.nat(DOCUMENTS.length - 1), { maxLength: 5 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 2, maxLength: 8, size: 'max' }), async (edits) => {
      const folder = createFolder(t)
      for (const name of ['0.yaml', '1.yaml', '2.yaml']) writeFileSync(join(folder, name), printService(`f${name[0]}`))
      const provider = createProvider(folder)
      let before = await provider.read(LIMITS)
      for (const { file, slots } of edits) {
        const path = join(folder, `${file}.yaml`)
        const text = slots.map((slot, index) => (DOCUMENTS[slot] as string).replace('{name: ', `{name: n${index}`))
        writeFileSync(join(folder, '.new'), [printService(`f${file}`), ...text].join('---\n'))
        renameSync(join(folder, '.new'), path)
        const hinted = await provider.read(LIMITS, new Set([path, join(folder, '.new')]))
        // One that has a last good version shows that in place of the present one.
        if (hinted.kept.length === 0)
          t.strictSame(describe(hinted), describe(await createProvider(folder).read(LIMITS)))
        kept += hinted.resources.filter((resource) => before.resources.includes(resource)).length
        before = hinted
      }
    }),
    { numRuns: 25, seed: 20_260_102 },
  )
  t.ok(kept > 100, `what did not change stays the same object (${kept})`)
})

t.test('a document on the same lines stays the same object, one that moved does not', async (t) => {
  const folder = createFolder(t)
  const path = join(folder, 'a.yaml')
  const provider = createProvider(folder)
  const write = (...documents: string[]): Promise<FileManifests> => {
    writeFileSync(path, documents.join('---\n'))
    return provider.read(LIMITS, new Set([path]))
  }
  const [a, b] = (await write(printService('a'), printService('b'))).resources
  const [otherA, sameB] = (await write(printService('aaa'), printService('b'))).resources
  t.not(otherA, a)
  t.equal(sameB, b)
  t.match(sameB?.origin.locate(['metadata', 'name']), { line: 8, excerpt: 'metadata: {name: b}' })
  const [, movedB] = (await write(`# a line more\n${printService('aaa')}`, printService('b'))).resources
  t.not(movedB, b)
  t.match(movedB?.origin.locate(['metadata', 'name']), { line: 9, excerpt: 'metadata: {name: b}' })
})

t.test('added, deleted and renamed files are found by the paths of events', async (t) => {
  const folder = createFolder(t)
  const at = (name: string): string => join(folder, name)
  const provider = createProvider(folder)
  const read = async (...hints: string[]): Promise<string[]> =>
    (await provider.read(LIMITS, new Set(hints.map(at)))).resources.map(({ meta }) => meta.name)
  writeFileSync(at('a.yaml'), printService('a'))
  t.same(await read(), ['a'])
  writeFileSync(at('b.yaml'), printService('b'))
  t.same(await read('b.yaml'), ['a', 'b'])
  renameSync(at('b.yaml'), at('c.yaml'))
  t.same(await read('b.yaml', 'c.yaml'), ['a', 'b'])
  mkdirSync(at('sub'))
  writeFileSync(at('sub/d.yaml'), printService('d'))
  t.same(await read('sub'), ['a', 'b', 'd'])
  rmSync(at('a.yaml'))
  t.same(await read('a.yaml'), ['b', 'd'])
})

t.test('an event for a path that no walk reads causes no check', async (t) => {
  const folder = createFolder(t)
  writeFileSync(join(folder, 'a.yaml'), printService('a'))
  const provider = createProvider(folder)
  const first = await provider.read(LIMITS)
  writeFileSync(join(folder, 'b.yaml'), printService('b'))
  writeFileSync(join(folder, 'notes.log'), 'a line')
  const hints = new Set(['.a.yaml.swp', '4913', 'notes.log'].map((name) => join(folder, name)))
  const second = await provider.read(LIMITS, hints)
  t.equal(second.fingerprint, first.fingerprint)
  t.equal(second.resources.length, 1, 'b.yaml was not looked for, since no event named it')
  t.equal((await provider.read(LIMITS)).resources.length, 2)
})

for (const [what, link] of [
  ['links', (from: string, to: string) => symlinkSync(from, to)],
  ['files of several names', (from: string, to: string) => linkSync(from, to)],
] as const) {
  t.test(`CF-19 where there are ${what}, an event causes a check of everything`, async (t) => {
    const folder = createFolder(t)
    const outside = createFolder(t)
    writeFileSync(join(outside, 'a.yaml'), printService('a'))
    link(join(outside, 'a.yaml'), join(folder, 'a.yaml'))
    const provider = createProvider(folder)
    await provider.read(LIMITS)
    writeFileSync(join(outside, 'a.yaml'), printService('other'))
    const { resources } = await provider.read(LIMITS, new Set([join(outside, '..data')]))
    t.same(
      resources.map(({ meta }) => meta.name),
      ['other'],
    )
  })
}
