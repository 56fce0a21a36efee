/** Annotations in the text of manifests, changed in place. */
import t from 'tap'
import { type Entry, editAnnotations } from '../../lib/source/edit.ts'

type Change = Readonly<{ replaced?: Readonly<Record<string, readonly Entry[]>>; added?: readonly Entry[] }>

/** Changes the objects whose keys `metadata` are the first, the second … of the text. */
function edit(text: string, ...changes: readonly Change[]) {
  const places = [...text.matchAll(/"?metadata"?:/g)].map(({ index }) => {
    const before = text.slice(0, index).split('\n')
    return { line: before.length, column: before.at(-1)!.length + 1 }
  })
  const edits = changes.map(({ replaced = {}, added = [] }, index) => ({
    ...places[index]!,
    replaced: new Map(Object.entries(replaced)),
    added,
  }))
  const { text: edited, problems } = editAnnotations(text, edits)
  return { text: edited, problems: problems.map(({ message }) => message) }
}

const TWO: readonly Entry[] = [
  ['x/one', '1'],
  ['x/two', 'b'],
]

t.test('entries of a block take the place of one, comments and all other lines stay', async (t) => {
  const { text } = edit(
    `# head
metadata:
  name: a   # the name
  annotations:
    # of a
    a: "1"  # one
    'b': two

    c: >-
      folded
      text
    # the end
spec: {}
`,
    { replaced: { a: TWO, c: [['x/c', 'a b']] } },
  )
  t.equal(
    text,
    `# head
metadata:
  name: a   # the name
  annotations:
    # of a
    x/one: "1"
    x/two: b  # one
    'b': two

    x/c: "a b"
    # the end
spec: {}
`,
  )
})

t.test('an entry without a successor goes with its lines', async (t) => {
  const block = 'metadata:\n  annotations:\n    a: |\n      one\n      two\n\n    b: x # why\n    c: y\n  name: a\n'
  t.equal(edit(block, { replaced: { a: [] } }).text, block.replace('    a: |\n      one\n      two\n', ''))
  t.equal(edit(block, { replaced: { b: [] } }).text, block.replace('    b: x # why\n', ''))
  t.equal(edit(block, { replaced: { c: [] } }).text, block.replace('    c: y\n', ''))
})

t.test('where all go, annotations goes too, unless there are comments', async (t) => {
  const all = { replaced: { a: [], b: [] } }
  t.equal(edit('metadata:\n  annotations:\n    a: x\n    b: y\n  name: a\n', all).text, 'metadata:\n  name: a\n')
  t.equal(
    edit('metadata:\n  annotations:\n    a: x\n    # why\n    b: y\n  name: a\n', all).text,
    'metadata:\n  annotations: {}\n    # why\n  name: a\n',
  )
  t.equal(edit('metadata: {annotations: {a: x, b: y}}\n', all).text, 'metadata: {annotations: {}}\n')
})

t.test('flow mappings, over several lines too', async (t) => {
  t.equal(
    edit('metadata: {name: a, annotations: {a: x, "b": \'y\', c: z}}\n', { replaced: { a: [], b: TWO } }).text,
    'metadata: {name: a, annotations: {x/one: "1", x/two: "b", c: z}}\n',
  )
  t.equal(
    edit('metadata: {annotations: {a: x, b: y, c: z}}\n', { replaced: { b: [], c: [] } }).text,
    'metadata: {annotations: {a: x}}\n',
  )
  t.equal(
    edit('metadata:\n  annotations: {\n    a: x,\n    b: y,\n  }\n', { replaced: { a: TWO }, added: [['n', 'm']] })
      .text,
    'metadata:\n  annotations: {\n    x/one: "1",\n    x/two: "b",\n    b: y,\n    n: "m",\n  }\n',
  )
})

t.test('JSON stays JSON', async (t) => {
  const object = { metadata: { name: 'a', annotations: { a: 'x', b: 'y' } } }
  for (const indent of [0, 2]) {
    const { text } = edit(JSON.stringify(object, null, indent), { replaced: { a: TWO, b: [] }, added: [['n', '"']] })
    t.same(JSON.parse(text).metadata.annotations, { 'x/one': '1', 'x/two': 'b', n: '"' })
  }
  const lines = edit('{\n  "metadata": {\n    "name": "a",\n    "labels": {}\n  }\n}\n', { added: [['n', 'm']] })
  t.match(lines.text, '    "name": "a",\n    "annotations": {"n": "m"},\n    "labels": {}\n')
  const { text } = edit(JSON.stringify({ metadata: { name: 'a' } }), { added: TWO })
  t.same(JSON.parse(text).metadata, { name: 'a', annotations: { 'x/one': '1', 'x/two': 'b' } })
})

t.test('annotations are added where there are none', async (t) => {
  const wanted = '  annotations:\n    x/one: "1"\n    x/two: b\n'
  t.equal(
    edit('metadata:\n  name: a # b\n  labels: {}\n', { added: TWO }).text,
    `metadata:\n  name: a # b\n${wanted}  labels: {}\n`,
  )
  t.equal(edit('metadata:\n  name: a', { added: TWO }).text, `metadata:\n  name: a\n${wanted.trimEnd()}`)
  for (const none of ['', ' {}', ' null', ' # none']) {
    const { text } = edit(`metadata:\n  annotations:${none}\n  name: a\n`, { added: [['n', 'm']] })
    t.match(text, /annotations:(?:\n {4}n: m| \{n: "m"\})(?: # none)?\n {2}name: a\n$/, none)
  }
  t.equal(edit('metadata: {name: a}\n', { added: [['n', 'm']] }).text, 'metadata: {name: a, annotations: {n: "m"}}\n')
  t.equal(
    edit('metadata:\n  annotations:\n    a: x # y\n  name: a\n', { added: [['n', 'm']] }).text,
    'metadata:\n  annotations:\n    a: x # y\n    n: m\n  name: a\n',
  )
})

t.test('lines that end with CRLF get new ones that do', async (t) => {
  const text = 'metadata:\r\n  annotations:\r\n    a: x\r\n    b: |\r\n      y\r\n  name: a\r\n'
  const edited = edit(text, { replaced: { a: TWO, b: [] }, added: [['n', 'm']] }).text
  t.equal(edited, 'metadata:\r\n  annotations:\r\n    x/one: "1"\r\n    x/two: b\r\n    n: m\r\n  name: a\r\n')
})

t.test('several documents, and items of a list', async (t) => {
  const { text, problems } = edit(
    'kind: List\nitems:\n- kind: A\n  metadata:\n    annotations:\n      a: x\n- metadata: {annotations: {a: y}}\n---\nmetadata:\n  annotations: {a: z}\n',
    { replaced: { a: [['n', '1']] } },
    { replaced: { a: [['n', '2']] } },
    { replaced: { a: [['n', '3']] } },
  )
  t.same(problems, [])
  t.equal(
    text,
    'kind: List\nitems:\n- kind: A\n  metadata:\n    annotations:\n      n: "1"\n- metadata: {annotations: {n: "2"}}\n---\nmetadata:\n  annotations: {n: "3"}\n',
  )
})

t.test('values are texts, whatever they look like', async (t) => {
  for (const value of [
    'true',
    'on',
    'null',
    '1',
    '1.5',
    '1e3',
    '0x10',
    '2020-01-01',
    '$host',
    'a: b',
    'a #b',
    '- a',
    '',
  ]) {
    const { text } = edit('metadata:\n  annotations:\n    a: x\n', { replaced: { a: [['n', value]] } })
    t.match(text, `    n: ${JSON.stringify(value)}\n`, value)
  }
  for (const value of ['all', '8Mi', '60s', '/a/b', 'a-b.c']) {
    const { text } = edit('metadata:\n  annotations:\n    a: x\n', { replaced: { a: [['n', value]] } })
    t.match(text, `    n: ${value}\n`, value)
  }
})

t.test('what other objects may share is left as it is, with the reason', async (t) => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['metadata:\n  annotations: &all\n    a: x\n', /has an anchor/],
    ['metadata: &m\n  annotations:\n    a: x\n', /has an anchor/],
    ['all: &all {a: x}\nmetadata:\n  annotations: *all\n', /is an alias/],
    ['all: &all {a: x}\nmetadata:\n  annotations:\n    <<: *all\n    b: y\n', /comes from an anchor/],
    ['metadata:\n  annotations:\n    a: &x x\n    b: *x\n', /the value of a has an anchor/],
    ['metadata:\n  annotations:\n    a: x\n    a: y\n', /stands there twice/],
    ['metadata:\n  annotations:\n    ? a\n    : x\n', /written with/],
    ['metadata:\n  annotations:\n    a: [\n', /cannot be told apart/],
  ]
  for (const [text, reason] of cases) {
    const { text: edited, problems } = edit(text, { replaced: { a: TWO } })
    t.equal(edited, text)
    t.match(problems[0], reason, text)
  }
  const good = 'x: &x y\nmetadata:\n  annotations:\n    a: *x\n    b: *x\n'
  t.equal(edit(good, { replaced: { a: [['n', 'm']] } }).text, good.replace('a: *x', 'n: m'), 'an alias may go')
})
