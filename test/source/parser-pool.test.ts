import t, { type Test } from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { joinParts, type ParsedPart, placeDocuments, readLines } from '../../lib/source/document.ts'
import { ParserPool, type ParserPoolOptions } from '../../lib/source/parser-pool.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import type { SourceText } from '../../lib/source/text.ts'
import { parseDocuments } from '../helpers/documents.ts'

/** Reading it takes a second at the least. */
const HOSTILE = '---\na: 1\n'.repeat(90_000)

const TEXTS = [
  'apiVersion: v1\nkind: Service\nmetadata: {name: a, "labels": {8080: x}}\n---\nkind: &k List\nitems: [*k, {<<: {a: 1}}]\n',
  'a: 1\nb: [1, 2\n---\nc: .nan\n__proto__: {d: -.inf}\n',
  '',
  '# nothing\n',
  '{"kind": "List", "items": [{"a\\u0062": 1}]}',
]

function open(t: Test, options: ParserPoolOptions): ParserPool {
  const pool = new ParserPool(options)
  t.teardown(() => pool.close())
  return pool
}

t.test('threads read the same values, positions and diagnostics as a single read', async (t) => {
  const pool = open(t, { size: 10_000_000 })
  await Promise.all(
    [...TEXTS, ...TEXTS].map(async (text, index) => {
      const source = { ...sourceFromText(`${index}.yaml`, text), inFolder: index >= TEXTS.length }
      const here = new DiagnosticList()
      const expected = parseDocuments(source, here)
      const actual = await read(pool, source)
      const documents = placeDocuments(readLines(source), actual.documents, source.inFolder)
      t.same(documents.map(describe), expected.documents.map(describe))
      t.equal(actual.broken, expected.broken)
      t.same(actual.diagnostics, here.items)
    }),
  )
})

t.test('CF-04 a text that keeps a thread busy is given up, and the others are read', async (t) => {
  const pool = open(t, { size: 1, limit: (length) => (length > 1_000 ? 50 : 60_000) })
  const hostile = sourceFromText('hostile.yaml', HOSTILE)

  const [given, first, second, last] = await Promise.all([
    read(pool, hostile),
    read(pool, sourceFromText('a.yaml', 'a: 1')),
    read(pool, hostile),
    read(pool, sourceFromText('b.yaml', 'b: 1')),
  ])

  t.same(given, second)
  t.ok(given?.broken)
  t.match(given?.diagnostics, [
    { code: 'PORTICO_YAML_LIMIT', message: 'hostile.yaml cannot be read: it takes more than 0.05 s' },
  ])
  t.same(first?.documents[0]?.value, { a: 1 })
  t.same(last?.documents[0]?.value, { b: 1 })
})

t.test('a pool that nothing was given ends', async (t) => {
  await new ParserPool({ size: 1 }).close()
  t.pass()
})

async function read(pool: ParserPool, source: SourceText): Promise<ParsedPart> {
  const parts: ParsedPart[] = []
  for await (const part of pool.parse(source)) parts.push(part)
  const last = parts.at(-1)
  return last?.isRefused ? last : joinParts(parts)
}

function describe({ value, origin, index, inFolder }: ReturnType<typeof parseDocuments>['documents'][number]): unknown {
  const isList = typeof value === 'object' && value !== null
  const keys = isList ? Object.keys(value) : []
  return { value, index, inFolder, places: keys.map((key) => [origin.locateKey([key]), origin.locate([key])]) }
}
