import { execFileSync } from 'node:child_process'
import { chmodSync, linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { findFiles } from '../../lib/source/file-finder.ts'
import { readSource, sourceFromText } from '../../lib/source/read-source.ts'

const LIMITS = { maxCount: 1000, maxBytes: 1024 * 1024 }

/** Writes files below `root`: a string is a file's text, `-> target` a link. */
function writeTree(root: string, tree: Readonly<Record<string, string>>): void {
  for (const [name, content] of Object.entries(tree)) {
    const file = path.join(root, name)
    mkdirSync(path.dirname(file), { recursive: true })
    if (content.startsWith('-> ')) symlinkSync(content.slice(3), file)
    else writeFileSync(file, content)
  }
}

async function find(
  root: string,
  ...names: readonly string[]
): Promise<{ found: string[]; watch: string[]; printed: string[] }> {
  const diagnostics = new DiagnosticList()
  const absolute = names.map((name) => path.join(root, name))
  const { paths, watch } = await findFiles(absolute, LIMITS, diagnostics)
  const relative = (file: string): string => path.relative(root, file)
  const printed = diagnostics.items.map(({ code, message }) => `${code} ${message.replaceAll(printable(root), 'ROOT')}`)
  return { found: paths.map(relative), watch: watch.map(relative), printed }
}

/** How a path is shown: relative where that is shorter. */
function printable(file: string): string {
  const relative = path.relative(process.cwd(), file)
  return relative.length < file.length ? relative : file
}

async function read(
  file: string,
  maxBytes: number = LIMITS.maxBytes,
): Promise<{ text: string | undefined; printed: string[] }> {
  const diagnostics = new DiagnosticList()
  const source = await readSource(file, { maxBytes }, diagnostics)
  const printed = diagnostics.items.map(({ code, message, position }) => {
    return `${position ? `${position.line}:${position.column} ` : ''}${code} ${message.replace(printable(file), 'FILE')}`
  })
  return { text: source?.text, printed }
}

t.test('a folder is walked in order, hidden files and other kinds left out', async (t) => {
  const root = t.testdir({
    'b.yaml': '',
    'a.yml': '',
    'c.json': '',
    'D.YAML': '',
    'readme.md': '',
    '.hidden.yaml': '',
    '.git': { 'x.yaml': '' },
    node_modules: { 'x.yaml': '' },
    sub: { deep: { 'z.yaml': '' }, 'a.yaml': '' },
  })
  const { found, watch, printed } = await find(root, '.')
  t.same(found, ['D.YAML', 'a.yml', 'b.yaml', 'c.json', 'sub/a.yaml', 'sub/deep/z.yaml'])
  t.same(watch, ['', 'sub', 'sub/deep'])
  t.same(printed, [])
})

t.test('names come in the order given, each file once', async (t) => {
  const root = t.testdir({ 'a.yaml': '', 'b.yaml': '', sub: { 'c.yaml': '' }, '.h.yaml': '', 'any.txt': '' })
  t.same((await find(root, 'sub', 'b.yaml', '.', 'b.yaml', 'sub')).found, ['sub/c.yaml', 'b.yaml', 'a.yaml'])
  t.same(
    (await find(root, '.h.yaml', 'any.txt')).found,
    ['.h.yaml', 'any.txt'],
    'a file that is named is read whatever its name',
  )
})

t.test('globs match manifests, sorted', async (t) => {
  const root = t.testdir({
    'b.yaml': '',
    'a.yaml': '',
    'a.txt': '',
    sub: { 'c.yaml': '', 'd.json': '' },
    'x[1].yaml': '',
  })
  t.same((await find(root, '*.yaml')).found, ['a.yaml', 'b.yaml', 'x[1].yaml'])
  t.same((await find(root, '**/*.{yaml,json}')).found, ['a.yaml', 'b.yaml', 'sub/c.yaml', 'sub/d.json', 'x[1].yaml'])
  t.same((await find(root, '*')).found, ['a.yaml', 'b.yaml', 'x[1].yaml'])
  t.same((await find(root, '*.txt')).found, ['a.txt'])
  t.same((await find(root, 'x[1].yaml')).found, ['x[1].yaml'], 'a file of that very name')
  const { found, printed, watch } = await find(root, 'sub/*.yml')
  t.same(found, [])
  t.match(printed, [/^PORTICO_FILE_NOT_FOUND no file matches .*sub\/\*\.yml$/])
  t.equal(printed.length, 1)
  t.same(watch, ['sub'], 'what may match later is watched')
})

t.test('a missing file is reported, and the others are found', async (t) => {
  const root = t.testdir({ 'a.yaml': '', empty: {}, text: { 'a.txt': '' } })
  const { found, printed, watch } = await find(root, 'no.yaml', 'empty', 'text', 'a.yaml')
  t.same(found, ['a.yaml'])
  t.same(printed, [
    'PORTICO_FILE_NOT_FOUND ROOT/no.yaml does not exist',
    'PORTICO_FILE_EMPTY no manifest found in ROOT/empty',
    'PORTICO_FILE_EMPTY no manifest found in ROOT/text',
  ])
  t.same(watch, ['', 'empty', 'text'], 'its folder is watched')
})

t.test('a ConfigMap mount is read once, through its links', async (t) => {
  const root = t.testdir({})
  writeTree(root, {
    '..2026_01/a.yaml': 'a: 1\n',
    '..2026_01/b.yaml': 'b: 1\n',
    '..data': '-> ..2026_01',
    'a.yaml': '-> ..data/a.yaml',
    'b.yaml': '-> ..data/b.yaml',
  })
  const { found, watch, printed } = await find(root, '.')
  t.same(found, ['a.yaml', 'b.yaml'])
  t.same(watch, [''])
  t.same(printed, [])
  t.same((await read(path.join(root, 'a.yaml'))).text, 'a: 1\n')
  t.same((await find(root, 'a.yaml')).watch, ['', '..2026_01'], "a named link is watched at its target's folder too")
})

t.test('CF-21 links that lead in a circle are told, and followed once', async (t) => {
  const root = t.testdir({})
  writeTree(root, {
    'a/x.yaml': '',
    'a/back': '-> ..',
    b: '-> a',
    'self.yaml': '-> self.yaml',
    'gone.yaml': '-> nowhere',
    'gone.txt': '-> nowhere',
  })
  const { found, printed } = await find(root, '.')
  t.same(found, ['a/x.yaml'])
  t.same(printed, [
    'PORTICO_FILE_LOOP ROOT/a/back leads back to a folder it is in',
    'PORTICO_FILE_UNREADABLE ROOT/gone.yaml cannot be read: it does not exist, or is a link to nothing',
    'PORTICO_FILE_UNREADABLE ROOT/self.yaml cannot be read: its links lead in a circle',
  ])
})

t.test('a walk stays within the folder that is named, whatever links lead out of it', async (t) => {
  const root = t.testdir({})
  writeTree(root, {
    'outside/deep/x.yaml': '',
    'outside/y.yaml': '',
    'home/a.yaml': '',
    'home/..data': '-> ..2026_01',
    'home/..2026_01/sub/b.yaml': '',
    'home/sub': '-> ..data/sub',
    'home/out': '-> ../outside',
    'home/up': '-> ..',
    'home/file.yaml': '-> ../outside/y.yaml',
    current: '-> home',
  })
  const told = ['out', 'up'].map(
    (name) => `ROOT/home/${name} leads out of the folder, to ${name === 'up' ? 'ROOT' : 'ROOT/outside'}`,
  )
  const { found, watch, printed } = await find(root, 'home')
  t.same(found, ['home/a.yaml', 'home/file.yaml', 'home/sub/b.yaml'])
  t.same(watch, ['home', 'home/sub'], 'what is outside is not watched')
  t.same(
    printed,
    told.map((message) => `PORTICO_FILE_OUTSIDE ${message}`),
  )
  t.same((await find(root, 'current')).found.length, 3, 'a folder that is named may be a link itself')
  t.ok((await find(root, 'home', 'home/out')).found.includes('home/out/deep/x.yaml'), 'and so may one of those')
  const globbed = await find(root, 'home/**/*.yaml')
  t.same(globbed.found, ['home/a.yaml', 'home/file.yaml', 'home/sub/b.yaml'], 'a glob stays there too')
  t.match(globbed.printed.sort()[0], 'PORTICO_FILE_OUTSIDE')
})

t.test('a tree of too many entries is cut off, manifests or not', async (t) => {
  const root = t.testdir(Object.fromEntries(Array.from({ length: 90 }, (_, i) => [`${i}.txt`, ''])))
  for (const name of [root, path.join(root, '**')]) {
    const diagnostics = new DiagnosticList()
    await findFiles([name], { maxCount: 4 }, diagnostics)
    t.match(diagnostics.items[0], {
      code: 'PORTICO_FILE_TOO_MANY',
      message: 'more than 80 files and folders; the rest is not read',
    })
  }
})

t.test('a file with two names is read once', async (t) => {
  const root = t.testdir({ 'b.yaml': '' })
  symlinkSync('b.yaml', path.join(root, 'a.yaml'))
  linkSync(path.join(root, 'b.yaml'), path.join(root, 'c.yaml'))
  t.same((await find(root, '.')).found, ['a.yaml'])
})

t.test('CF-21 a FIFO or a socket is refused, without waiting for it', { timeout: 10_000 }, async (t) => {
  // A socket's path has 107 characters at most: too few for a folder deep in the repository.
  const root = mkdtempSync(path.join(tmpdir(), 'portico-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const fifo = path.join(root, 'f.yaml')
  execFileSync('mkfifo', [fifo])
  const socket = path.join(root, 's.yaml')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  t.teardown(() => server.close())
  t.same((await find(root, '.')).printed, [
    'PORTICO_FILE_UNREADABLE ROOT/f.yaml is a FIFO, not a file',
    'PORTICO_FILE_UNREADABLE ROOT/s.yaml is a socket, not a file',
  ])
  t.same(await read(fifo), { text: undefined, printed: ['PORTICO_FILE_UNREADABLE FILE is a FIFO, not a file'] })
  t.same((await read(socket)).printed, ['PORTICO_FILE_UNREADABLE FILE is a socket, not a file'])
  t.same((await read('/dev/null')).printed, ['PORTICO_FILE_UNREADABLE FILE is a device, not a file'])
})

t.test('CF-21 a file that has become a folder, has gone, or may not be read', async (t) => {
  const root = t.testdir({ folder: { 'a.yaml': '' }, 'secret.yaml': 'a: 1\n' })
  t.same((await read(path.join(root, 'folder'))).printed, ['PORTICO_FILE_UNREADABLE FILE is a folder, not a file'])
  t.same((await read(path.join(root, 'no.yaml'))).printed, [
    'PORTICO_FILE_UNREADABLE FILE cannot be read: it does not exist, or is a link to nothing',
  ])
})

t.test('CF-21 permission denied', async (t) => {
  const root = t.testdir({ 'a.yaml': 'a: 1\n' })
  const file = path.join(root, 'a.yaml')
  chmodSync(file, 0)
  // Root may read everything, so this is done as nobody.
  const isRoot = process.getuid?.() === 0
  if (isRoot) process.seteuid!(65534)
  const { printed } = await read(file).finally(() => isRoot && process.seteuid!(0))
  t.same(printed, ['PORTICO_FILE_UNREADABLE FILE cannot be read: permission denied'])
})

t.test('CF-05 a file beyond the limit is refused unread', { timeout: 10_000 }, async (t) => {
  const root = t.testdir({ 'a.yaml': '' })
  const file = path.join(root, 'a.yaml')
  truncateSync(file, 50 * 1024 * 1024)
  t.same(await read(file, 16 * 1024 * 1024), {
    text: undefined,
    printed: ['PORTICO_FILE_TOO_LARGE FILE is larger than 16 MiB'],
  })
  writeFileSync(file, 'x'.repeat(2000))
  t.same((await read(file, 1999)).printed, ['PORTICO_FILE_TOO_LARGE FILE is larger than 1999 bytes'])
  t.equal((await read(file, 2000)).text?.length, 2000)
})

t.test('a tree of too many files is cut off', async (t) => {
  const root = t.testdir(Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`${i}.yaml`, ''])))
  const diagnostics = new DiagnosticList()
  const { paths } = await findFiles([root], { maxCount: 3 }, diagnostics)
  t.same(
    paths.map((file) => path.basename(file)),
    ['0.yaml', '1.yaml', '2.yaml'],
  )
  t.same(
    diagnostics.items.map(({ code, message }) => `${code} ${message}`),
    ['PORTICO_FILE_TOO_MANY more than 3 files; the rest is not read'],
  )
})

for (const [name, bytes, text, printed] of [
  ['plain text', Buffer.from('a: ü\n'), 'a: ü\n', []],
  ['a byte order mark', Buffer.from('\uFEFFa: 1\n'), 'a: 1\n', []],
  ['nothing', Buffer.alloc(0), '', []],
  ['a replacement character, written as such', Buffer.from('a: \uFFFD\n'), 'a: \uFFFD\n', []],
  [
    'UTF-16, little end first',
    Buffer.from('\uFEFFa: 1\n', 'utf16le'),
    undefined,
    ['PORTICO_FILE_BINARY FILE is UTF-16 text'],
  ],
  [
    'UTF-16, big end first',
    Buffer.from('\uFEFFa: 1\n', 'utf16le').swap16(),
    undefined,
    ['PORTICO_FILE_BINARY FILE is UTF-16 text'],
  ],
  [
    'a NUL byte',
    Buffer.from('a: 1\nb: \0x\n'),
    undefined,
    ['2:4 PORTICO_FILE_BINARY FILE is not text: a NUL byte is not UTF-8'],
  ],
  [
    'CF-01 a 0xFF byte',
    Buffer.concat([Buffer.from('a: ü\nb: €𝄞'), Buffer.from([0xff]), Buffer.from('\n')]),
    undefined,
    ['2:7 PORTICO_FILE_BINARY FILE is not text: byte 0xff is not UTF-8'],
  ],
  [
    'Latin-1',
    Buffer.concat([
      Buffer.from('# long\n'.repeat(1000)),
      Buffer.from('a: ü\n', 'latin1'),
      Buffer.from('b: ü\n'.repeat(1000)),
    ]),
    undefined,
    ['1001:4 PORTICO_FILE_BINARY FILE is not text: byte 0xfc is not UTF-8'],
  ],
  [
    'a character cut off',
    Buffer.from('a: ü').subarray(0, 4),
    undefined,
    ['1:4 PORTICO_FILE_BINARY FILE is not text: byte 0xc3 is not UTF-8'],
  ],
] as const) {
  t.test(`a file of ${name}`, async (t) => {
    const root = t.testdir({})
    const file = path.join(root, 'a.yaml')
    writeFileSync(file, bytes)
    t.same(await read(file), { text, printed })
  })
}

t.test('a source knows its name, path and hash', async (t) => {
  const root = t.testdir({ 'a.yaml': 'a: 1\n' })
  const file = path.join(root, 'a.yaml')
  const diagnostics = new DiagnosticList()
  const source = await readSource(file, LIMITS, diagnostics)
  t.match(source, { name: printable(file), path: file, text: 'a: 1\n' })
  t.equal(source?.hash, sourceFromText('<stdin>', 'a: 1\n').hash, 'the same content has the same hash')
  t.match(sourceFromText('<stdin>', '\uFEFFa: 1\n'), { name: '<stdin>', path: undefined, text: 'a: 1\n' })
  writeFileSync(file, 'a: 2\n')
  t.not((await readSource(file, LIMITS, diagnostics))?.hash, source?.hash)
  rmSync(file)
})

t.test('a file knows whether it was named', async (t) => {
  const root = t.testdir({ 'a.yaml': 'a: 1', k8s: { 'b.yaml': 'b: 1' }, more: { 'c.yaml': 'c: 1' } })
  const diagnostics = new DiagnosticList()
  const names = ['a.yaml', 'k8s', 'more/*.yaml'].map((name) => path.join(root, name))
  const { paths, inFolder } = await findFiles(names, LIMITS, diagnostics)
  t.same(
    paths.map((file) => [path.basename(file), inFolder.has(file)]),
    [
      ['a.yaml', false],
      ['b.yaml', true],
      ['c.yaml', true],
    ],
  )
  const file = paths[1] as string
  t.equal((await readSource(file, { ...LIMITS, inFolder: true }, diagnostics))?.inFolder, true)
  t.equal((await readSource(file, LIMITS, diagnostics))?.inFolder, false)
})
