import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../../../lib/base/clock.ts'
import { type FileManifests, FileReader } from '../../../lib/providers/files/file-reader.ts'

const LIMITS = { maxBytes: 100_000, maxCount: 100 }

function createFolder(t: Test, files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'portico-file-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

function createProvider(sources: readonly string[]): FileReader {
  return new FileReader({ sources, clock: systemClock })
}

function serviceYaml(name: string): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: 80}]}\n`
}

function names(manifests: FileManifests): string[] {
  return manifests.resources.map(({ meta }) => meta.name)
}

function codes(manifests: FileManifests): string[] {
  return manifests.diagnostics.filter(({ severity }) => severity !== 'info').map(({ code }) => code)
}

t.test('all sources are read, a file that two of them name once', async (t) => {
  const folder = createFolder(t, {
    'a.yaml': serviceYaml('a'),
    'b.yaml': `${serviceYaml('b')}---\n${serviceYaml('c')}`,
  })
  const manifests = await createProvider([folder, join(folder, 'a.yaml')]).read(LIMITS)
  t.same(names(manifests), ['a', 'b', 'c'])
  t.same([manifests.files, manifests.objects, codes(manifests)], [2, 3, []])
})

t.test('CF-26 an unchanged file is not decoded again, and the fingerprint stays', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a'), 'b.yaml': serviceYaml('b') })
  const provider = createProvider([folder])
  const first = await provider.read(LIMITS)
  writeFileSync(join(folder, 'a.yaml'), serviceYaml('a'))
  const second = await provider.read(LIMITS)
  t.equal(second.resources[0], first.resources[0])
  t.equal(second.fingerprint, first.fingerprint)
  t.same([first.changed.length, second.changed], [2, []])
})

t.test('many files come as few do: in their order, each with its own problems', async (t) => {
  const many = Array.from({ length: 60 }, (_, index) => `s${String(index).padStart(2, '0')}`)
  // Together more than is read without threads.
  const filler = `# ${'x'.repeat(5_000)}\n`
  const files = Object.fromEntries(many.map((name) => [`${name}.yaml`, filler + serviceYaml(name)]))
  const folder = createFolder(t, { ...files, 's10.yaml': `${filler}a: [1\n---\n${serviceYaml('s10')}` })
  const provider = createProvider([folder])
  const first = await provider.read(LIMITS)
  t.same(names(first), many)
  t.match(first.diagnostics, [{ code: 'PORTICO_YAML_SYNTAX', position: { line: 2 } }])
  t.same(first.resources[20]?.origin.locate(['metadata', 'name']).line, 4)
  writeFileSync(join(folder, 's20.yaml'), serviceYaml('changed'))
  const second = await provider.read(LIMITS)
  t.same(names(second), many.with(20, 'changed'))
  t.equal(second.resources[21], first.resources[21])
})

t.test('a file written within the granularity of its time stamp is read again', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a') })
  const provider = createProvider([folder])
  const time = new Date()
  utimesSync(join(folder, 'a.yaml'), time, time)
  await provider.read(LIMITS)
  for (const name of ['b', 'c', 'd']) {
    writeFileSync(join(folder, 'a.yaml'), serviceYaml(name))
    utimesSync(join(folder, 'a.yaml'), time, time)
    t.same(names(await provider.read(LIMITS)), [name])
  }
})

t.test('changes are listed by file', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a'), 'b.yaml': serviceYaml('b'), 'c.yaml': serviceYaml('c') })
  const provider = createProvider([folder])
  const first = await provider.read(LIMITS)
  writeFileSync(join(folder, 'a.yaml'), serviceYaml('a2'))
  rmSync(join(folder, 'b.yaml'))
  writeFileSync(join(folder, 'd.yaml'), serviceYaml('d'))
  const second = await provider.read(LIMITS)
  t.same(names(second), ['a2', 'c', 'd'], 'the objects of a removed file go')
  t.same(second.changed.map((name) => basename(name)).sort(), ['a.yaml', 'b.yaml', 'd.yaml'])
  t.not(second.fingerprint, first.fingerprint)
})

t.test('CF-01 a file with a syntax error keeps its last good version, and says so', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a'), 'b.yaml': serviceYaml('b') })
  const provider = createProvider([folder])
  const first = await provider.read(LIMITS)
  writeFileSync(join(folder, 'a.yaml'), 'kind: [')
  const broken = await provider.read(LIMITS)
  t.same([names(broken), codes(broken)], [['a', 'b'], ['PORTICO_YAML_SYNTAX']])
  t.match(broken.diagnostics[0]?.notes.at(-1)?.message, /^still serving .*a\.yaml as of \d\d:\d\d:\d\d$/)
  t.not(broken.fingerprint, first.fingerprint, 'a new problem is news')
  t.equal((await provider.read(LIMITS)).fingerprint, broken.fingerprint, 'and then no longer')
  writeFileSync(join(folder, 'a.yaml'), serviceYaml('a2'))
  const mended = await provider.read(LIMITS)
  t.same([names(mended), codes(mended)], [['a2', 'b'], []])
})

t.test('CF-01 an object that an API server would refuse keeps the last good version of its whole file', async (t) => {
  const ingress = (pathType: string) =>
    'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\n' +
    `spec: {rules: [{http: {paths: [{path: /, ${pathType}, backend: {service: {name: a, port: {number: 80}}}}]}}]}\n`
  const good = `${serviceYaml('a')}---\n${ingress('pathType: Prefix')}`
  const folder = createFolder(t, { 'a.yaml': good, 'b.yaml': serviceYaml('b') })
  const provider = createProvider([folder])
  t.same((await provider.read(LIMITS)).kept, [])
  const edits = [
    ['a misspelt field', good.replace('pathType', 'pathTyp'), 'PORTICO_RES_FIELD_REQUIRED'],
    ['a bad value', good.replace('port: 80', 'port: 99999'), 'PORTICO_RES_FIELD_VALUE'],
    ['a wrong type', good.replace('port: 80', 'port: http'), 'PORTICO_RES_FIELD_TYPE'],
    [
      'an annotation that cannot be used',
      good.replace('name: a}', 'name: a, annotations: {portico.dev/endpoints: "127.0.0.1"}}'),
      'PORTICO_ANN_VALUE',
    ],
  ] as const
  for (const [name, text, code] of edits) {
    writeFileSync(join(folder, 'a.yaml'), text.replace('name: i}', 'name: renamed}'))
    const manifests = await provider.read(LIMITS)
    t.same([names(manifests), manifests.refused], [['a', 'i', 'b'], []], `${name}: nothing of the new text is used`)
    t.ok(codes(manifests).includes(code), name)
    t.match(manifests.kept, [{ text: /^still serving .*a\.yaml as of \d\d:\d\d:\d\d$/ }])
    t.match(manifests.kept[0]?.reasons.at(-1)?.notes.at(-1)?.message, /^still serving .*a\.yaml as of/)
  }
  writeFileSync(join(folder, 'a.yaml'), good)
  const mended = await provider.read(LIMITS)
  t.same([names(mended), codes(mended), mended.kept], [['a', 'i', 'b'], [], []])
})

t.test('objects with errors are refused, and the rest of a file that never was good is used', async (t) => {
  const broken = (name: string) => serviceYaml(name).replace('port: 80', 'port: 99999')
  const folder = createFolder(t, { 'a.yaml': `${broken('a')}---\n${serviceYaml('b')}` })
  const provider = createProvider([folder])
  const first = await provider.read(LIMITS)
  t.same([names(first), first.refused.map(({ meta }) => meta.name), first.kept], [['b'], ['a'], []])
  writeFileSync(join(folder, 'a.yaml'), `${broken('a')}---\n${serviceYaml('c')}`)
  const second = await provider.read(LIMITS)
  t.same([names(second), second.kept], [['c'], []])
})

t.test(
  'a file that is broken from the start gives what can be read of it, and does not hold back the others',
  async (t) => {
    const folder = createFolder(t, { 'a.yaml': `${serviceYaml('a')}---\nkind: [\n`, 'b.yaml': serviceYaml('b') })
    const provider = createProvider([folder])
    const first = await provider.read(LIMITS)
    t.same([names(first), codes(first)], [['a', 'b'], ['PORTICO_YAML_SYNTAX']])
    writeFileSync(join(folder, 'a.yaml'), `${serviceYaml('a2')}---\nkind: [\n`)
    t.same(names(await provider.read(LIMITS)), ['a2', 'b'], 'no broken version counts as the last good one')
  },
)

t.test('CF-18 a file that is cut to nothing keeps its last good version', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a'), 'b.yaml': serviceYaml('b') })
  const provider = createProvider([folder])
  await provider.read(LIMITS)
  writeFileSync(join(folder, 'a.yaml'), '')
  const emptied = await provider.read(LIMITS)
  t.same(names(emptied), ['a', 'b'])
  t.match(emptied.diagnostics, [{ code: 'PORTICO_FILE_EMPTY', notes: [{ message: /^still serving/ }] }])
})

t.test('CF-21 a file that cannot be read any more keeps its last good version', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a'), 'b.yaml': serviceYaml('b') })
  const provider = createProvider([folder])
  await provider.read(LIMITS)
  writeFileSync(join(folder, 'a.yaml'), 'x'.repeat(LIMITS.maxBytes + 1))
  const large = await provider.read(LIMITS)
  t.same([names(large), codes(large)], [['a', 'b'], ['PORTICO_FILE_TOO_LARGE']])
  t.equal((await provider.read(LIMITS)).fingerprint, large.fingerprint, 'and is told once')
  if (process.getuid?.() !== 0) {
    chmodSync(join(folder, 'b.yaml'), 0)
    const denied = await provider.read(LIMITS)
    t.same(
      [names(denied), codes(denied)],
      [
        ['a', 'b'],
        ['PORTICO_FILE_TOO_LARGE', 'PORTICO_FILE_UNREADABLE'],
      ],
    )
  }
})

t.test('CF-20 a folder that is gone, or replaced by an empty one, keeps its manifests until it is back', async (t) => {
  const parent = createFolder(t, {})
  const folder = join(parent, 'k8s')
  const put = (name: string) => {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'a.yaml'), serviceYaml(name))
  }
  put('a')
  const provider = createProvider([folder])
  await provider.read(LIMITS)
  const other = join(parent, 'other')
  mkdirSync(other)
  rmSync(folder, { recursive: true })
  const gone = await provider.read(LIMITS)
  t.same([names(gone), codes(gone)], [['a'], ['PORTICO_FILE_NOT_FOUND']])
  t.match(gone.diagnostics[0]?.notes.at(-1)?.message, /^still serving .*k8s as of/)
  // Made before the other is removed, so that it is another folder for certain.
  renameSync(other, folder)
  const empty = await provider.read(LIMITS)
  t.same([names(empty), codes(empty)], [['a'], ['PORTICO_FILE_EMPTY']])
  put('b')
  const back = await provider.read(LIMITS)
  t.same([names(back), codes(back)], [['b'], []])
})

t.test('deleting the only manifest of a folder removes its objects, as with other files left', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a') })
  const provider = createProvider([folder])
  const first = await provider.read(LIMITS)
  rmSync(join(folder, 'a.yaml'))
  const empty = await provider.read(LIMITS, new Set([join(folder, 'a.yaml')]))
  t.same([names(empty), codes(empty), empty.kept], [[], ['PORTICO_FILE_EMPTY'], []])
  t.not(empty.fingerprint, first.fingerprint)
  t.same(names(await provider.read(LIMITS)), [], 'and stays away')
  writeFileSync(join(folder, 'b.yaml'), serviceYaml('b'))
  t.same(names(await provider.read(LIMITS)), ['b'])
})

t.test('a pattern that no longer matches keeps its last files', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a') })
  const provider = createProvider([join(folder, '*.yaml')])
  await provider.read(LIMITS)
  rmSync(join(folder, 'a.yaml'))
  const gone = await provider.read(LIMITS)
  t.same([names(gone), codes(gone)], [['a'], ['PORTICO_FILE_NOT_FOUND']])
})

t.test('CF-20 a file given by itself keeps its last good version when it is deleted', async (t) => {
  const file = join(createFolder(t, { 'a.yaml': serviceYaml('a') }), 'a.yaml')
  const provider = createProvider([file])
  await provider.read(LIMITS)
  rmSync(file)
  const gone = await provider.read(LIMITS)
  t.same([names(gone), codes(gone)], [['a'], ['PORTICO_FILE_NOT_FOUND']])
  writeFileSync(file, serviceYaml('b'))
  t.same(names(await provider.read(LIMITS)), ['b'])
})

t.test('CF-19 a mounted ConfigMap is read through its links, once, and every swap counts', async (t) => {
  const folder = createFolder(t, {})
  const swap = (version: number) => {
    mkdirSync(join(folder, `..v${version}`))
    writeFileSync(join(folder, `..v${version}`, 'a.yaml'), serviceYaml(`a${version}`))
    symlinkSync(`..v${version}`, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    if (version > 0) rmSync(join(folder, `..v${version - 1}`), { recursive: true })
  }
  swap(0)
  symlinkSync('..data/a.yaml', join(folder, 'a.yaml'))
  const provider = createProvider([folder])
  t.same(names(await provider.read(LIMITS)), ['a0'])
  for (let version = 1; version <= 10; version++) {
    swap(version)
    t.same(names(await provider.read(LIMITS)), [`a${version}`])
  }
})

t.test('all files and folders found are to be watched', async (t) => {
  const folder = createFolder(t, { 'a.yaml': serviceYaml('a') })
  mkdirSync(join(folder, 'sub'))
  writeFileSync(join(folder, 'sub', 'b.yaml'), serviceYaml('b'))
  const { stamps } = await createProvider([folder]).read(LIMITS)
  for (const path of [folder, join(folder, 'sub'), join(folder, 'a.yaml'), join(folder, 'sub', 'b.yaml')]) {
    t.ok(stamps.has(path), path)
  }
})

t.test('CF-31 any change of a file makes reading never throw, and the others stay', async (t) => {
  const valid = `${serviceYaml('a')}---\n${serviceYaml('c')}`
  const folder = createFolder(t, { 'a.yaml': valid, 'b.yaml': serviceYaml('b') })
  const provider = createProvider([folder])
  await provider.read(LIMITS)
  let seed = 42
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  const pieces = [
    '[',
    '{',
    ':',
    '- ',
    '\t',
    '\0',
    '&a ',
    '*a',
    '!!js/function ',
    '"',
    "'",
    '|',
    '\n---\n',
    '\uFEFF',
    'é',
    '~',
    '% ',
  ]
  let lost = 0
  for (let turn = 0; turn < 300; turn++) {
    const at = random(valid.length)
    const text = valid.slice(0, at) + (pieces[random(pieces.length)] ?? '') + valid.slice(at + random(8))
    writeFileSync(join(folder, 'a.yaml'), text)
    const manifests = await provider.read(LIMITS)
    if (!names(manifests).includes('b')) lost++
  }
  t.equal(lost, 0)
})
