/** ConfigMaps: what they may hold, and that their values are read from the text again. */
import t from 'tap'
import { readContent } from '../../lib/kubernetes/config-map.ts'
import type { ConfigMap } from '../../lib/kubernetes/resource.ts'
import { decodeOne, decodeText } from './decode-text.ts'

/** A ConfigMap whose fields, each line given, begin on line 4. */
function configMap(...fields: readonly string[]): string {
  return `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n${fields.join('\n')}\n`
}

const FIELDS = [
  'data:',
  '  page.html: |',
  '    <h1>ä</h1>',
  '',
  '      <p>two</p>',
  '  kept: |+',
  '    a',
  '',
  '  folded: >-',
  '    one',
  '    two',
  '  quoted: "a\\tb"',
  '  empty:',
  'binaryData:',
  '  icon.png: |',
  '    /wAB',
  '    /w==',
]

function readAll(decoded: ConfigMap): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries([...decoded.keys.keys()].map((key) => [key, readContent(decoded, key)?.toString('latin1')]))
}

const EXPECTED = {
  'page.html': Buffer.from('<h1>ä</h1>\n\n  <p>two</p>\n').toString('latin1'),
  kept: 'a\n\n',
  folded: 'one two',
  quoted: 'a\tb',
  empty: '',
  'icon.png': '\xff\x00\x01\xff',
}

t.test('values are read from the text, in whatever form the object stands there', async (t) => {
  const text = configMap(...FIELDS)
  t.same(readAll(decodeOne('ConfigMap', text)), EXPECTED)
  t.same(readAll(decodeOne('ConfigMap', `${configMap('data: {other: x}')}---\n${text}---\n`)), { other: 'x' })
  t.same(
    readAll(decodeText(`kind: Other\napiVersion: example.com/v1\n---\n# one\n${text}`).resources[0] as ConfigMap),
    EXPECTED,
  )
  const item = text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `    ${line}`))
    .join('\n')
  const list = `apiVersion: v1\nkind: List\nitems:\n  - ${item.trimStart()}\n`
  t.same(readAll(decodeOne('ConfigMap', list)), { ...EXPECTED, kept: 'a\n\n' }, 'an item of a list')
  const long = `${list}  - apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: d}\n    data: {x: "${'x'.repeat(140_000)}"}\n`
  const [first, second] = decodeText(long).resources as [ConfigMap, ConfigMap]
  t.same(readAll(first), EXPECTED, 'an item of a list that is read item by item')
  t.equal(readContent(second, 'x')?.length, 140_000)
  const aliased = configMap('data:', '  a: &a |', '    x', '  b: *a')
  t.same(readAll(decodeOne('ConfigMap', aliased)), { a: 'x\n', b: 'x\n' })
  const json = JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'c' },
    data: { a: '\n-\u0000"' },
  })
  t.same(readAll(decodeOne('ConfigMap', json)), { a: '\n-\u0000"' })
  const jsonList = `{"apiVersion": "v1", "kind": "List", "items": [${json}, ${json.replace('"c"', '"d"')}]}`
  t.same(readAll(decodeText(jsonList).resources[1] as ConfigMap), { a: '\n-\u0000"' })
})

t.test('a ConfigMap keeps no value, however large', async (t) => {
  const decoded = decodeOne('ConfigMap', configMap(`data: {a: "${'x'.repeat(100_000)}"}`, 'binaryData: {b: eHg=}'))
  const { origin, ...kept } = decoded
  t.ok(JSON.stringify([kept, [...kept.keys]]).length < 1_000)
  t.equal(readContent(decoded, 'a')?.length, 100_000)
  t.equal(origin.read(['data', 'c']), undefined)
  t.equal(origin.read(['data', 'a', 'b']), undefined)
})

t.test('keys, base64 and size are checked', async (t) => {
  t.same(
    decodeText(configMap('data: {"a b": x, c: z}', 'binaryData: {c: eHg=, d: "?"}')).printed.map((line) =>
      line.slice(0, 90),
    ),
    [
      '4:8 data[a b]: Invalid value: "a b": a valid config key must consist of alphanumeric chara',
      '5:14 binaryData[c]: Invalid value: "c": duplicate of key present in data',
      '5:26 binaryData[d]: Invalid value: illegal base64 data at input byte 0',
    ],
  )
  const half = 'x'.repeat(524_288)
  t.same(decodeText(configMap(`data: {a: "${half}", b: "${half}"}`)).printed, [])
  t.match(decodeText(configMap(`data: {a: "${half}", b: "${half}x"}`)).printed, [
    /Too long: may not be more than 1048576 bytes/,
  ])
})
