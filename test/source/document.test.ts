import fc from 'fast-check'
import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import type { SourcePosition } from '../../lib/base/position.ts'
import type { SourceDocument } from '../../lib/source/document.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import { parseDocuments } from '../helpers/documents.ts'

function parse(text: string): {
  documents: readonly SourceDocument[]
  values: readonly unknown[]
  broken: boolean
  printed: readonly string[]
  diagnostics: DiagnosticList
} {
  const diagnostics = new DiagnosticList()
  const { documents, broken } = parseDocuments(sourceFromText('a.yaml', text), diagnostics)
  const printed = diagnostics.sorted().map(({ code, position, message }) => {
    return `${position ? `${position.line}:${position.column} ` : ''}${code} ${message}`
  })
  return { documents, values: documents.map(({ value }) => plain(value)), broken, printed, diagnostics }
}

/** With prototypes, so that it compares with literals. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

function textAt(position: SourcePosition): string {
  const start = (position.excerptColumn ?? position.column) - 1
  return position.excerpt.slice(start, start + position.length)
}

t.test('documents are separated by ---, empty ones are left out', async (t) => {
  const { values, documents, broken, printed } = parse(
    '# first\n---\na: 1\n---\n# nothing\n---\n\n--- # third\nb: 2\n...\nc: 3\n---',
  )
  t.same(values, [{ a: 1 }, { b: 2 }, { c: 3 }])
  t.same(
    documents.map(({ origin }) => origin.locate([]).line),
    [3, 9, 11],
  )
  t.notOk(broken)
  t.same(printed, [])
})

t.test('CF-01 a broken document hides none of the others', async (t) => {
  const { values, broken, printed } = parse('a: 1\n---\na: [1\n---\nb: 2\n---\nc: "x\n---\nd: 4\n')
  t.same(values, [{ a: 1 }, { b: 2 }, { d: 4 }])
  t.ok(broken)
  t.match(printed, ['3:4 PORTICO_YAML_SYNTAX missing closing ]', '7:4 PORTICO_YAML_SYNTAX missing closing "'])
})

for (const [name, text, expected] of [
  ['a truncated file', 'a:\n  b: "x', ['2:6 PORTICO_YAML_SYNTAX missing closing "']],
  ['a colon too many', 'a: b: c', ['1:4 PORTICO_YAML_SYNTAX nested mappings are not allowed in compact mappings']],
  ['a reserved character', 'a: @x', ['1:4 PORTICO_YAML_SYNTAX plain value cannot start with reserved character @']],
  ['a tab for indentation', 'a:\n  c: 1\n\tb: 1', ['3:1 PORTICO_YAML_TAB a tab is used for indentation']],
  ['two types of one object', 'kind: Test\nkind: Other\n', ['2:1 PORTICO_YAML_DUPLICATE_KEY duplicate key "kind"']],
  ['CF-07 a custom tag', 'a: !foo {b: 1}', ['1:9 PORTICO_YAML_TAG unsupported tag "!foo"']],
  ['CF-07 !!binary', '{a: !!binary aGV=, kind: Test}', ['1:14 PORTICO_YAML_TAG unsupported tag "!!binary"']],
  [
    'CF-07 !!js/function',
    '{a: !!js/function "x", kind: Test}',
    ['1:19 PORTICO_YAML_TAG unsupported tag "!!js/function"'],
  ],
  ['CF-07 a custom tag on a list', '!x [1]', ['1:4 PORTICO_YAML_TAG unsupported tag "!x"']],
  ['a value that does not fit its tag', 'a: !!int x', ['1:10 PORTICO_YAML_TAG the tag !!int does not fit "x"']],
  ['an alias of nothing', 'a: *b', ['1:4 PORTICO_YAML_SYNTAX no anchor stands before the alias "*b"']],
  ['a star without quotes', 'a: *', ['1:4 PORTICO_YAML_SYNTAX no name of an alias follows this sign']],
  ['an alias of itself', 'a: &b [*b]', ['1:8 PORTICO_YAML_SYNTAX no anchor stands before the alias "*b"']],
  ['a key that is no string', '? {a: 1}\n: b', ['1:3 PORTICO_YAML_SYNTAX a key must be a string']],
  [
    'a merge of no mapping',
    'a:\n  <<: 1\n',
    ['2:3 PORTICO_YAML_SYNTAX a merge key "<<" needs a mapping or a list of mappings'],
  ],
  [
    'two flow mappings in a row',
    "{a: '}'}\n{b: 2}\n",
    ['2:1 PORTICO_YAML_SYNTAX unexpected { after the end of a value'],
  ],
  ['a forgotten quote', 'a: "x\nb:\n  c: "d"\n', ['1:4 PORTICO_YAML_SYNTAX missing closing "']],
  ['a forgotten quote before the end', 'a: 1\nb: "x\nc:\n  d: 1\n', ['2:4 PORTICO_YAML_SYNTAX missing closing "']],
  ["a forgotten ' in a list", "a:\n  - 'x\n  - y\n", ["2:5 PORTICO_YAML_SYNTAX missing closing '"]],
  ['JSON that is cut off', '{"a": 1,\n "b": [{"c": 1},\n  2\n', ['2:7 PORTICO_YAML_SYNTAX missing closing ]']],
  ['a bracket closed by another', '{"a": {"b": 1]\n}', ['1:7 PORTICO_YAML_SYNTAX missing closing }']],
  ['JSON without a comma', '{"a": "x"\n"b": 2}', ['2:1 PORTICO_YAML_SYNTAX missing , between { } mapping items']],
  [
    'a key indented less than those before it',
    'a:\n  b: 1\n c: 2\n',
    ['3:2 PORTICO_YAML_SYNTAX the indentation of this line fits none of the lines above it'],
  ],
] as const) {
  t.test(name, async (t) => {
    const { values, broken, printed, diagnostics } = parse(text)
    t.same(printed, expected)
    t.same(values, [])
    t.ok(broken)
    t.ok(diagnostics.items.every(({ position }) => position?.file === 'a.yaml' && textAt(position) !== ''))
  })
}

t.test(
  'CF-02 duplicate keys at any depth are told with the document, whose kind decides how bad they are',
  async (t) => {
    const { values, broken, documents, printed } = parse('a: {b: 1, "b": 2}\nc: [{d: 1, d: 2}]\n')
    t.same(values, [{ a: { b: 1 }, c: [{ d: 1 }] }])
    t.notOk(broken)
    t.same(printed, [])
    t.same(
      documents[0]?.flaws?.map(({ message, position }) => `${position?.line}:${position?.column} ${message}`),
      ['1:11 duplicate key "b"', '2:12 duplicate key "d"'],
    )
  },
)

t.test('CF-02 the note of a duplicate key points at the first', async (t) => {
  const { documents } = parse('a: 1\nb: 2\na: 3\n')
  t.match(documents[0]?.flaws?.[0]?.notes, [{ message: 'the first one is here', position: { line: 1, column: 1 } }])
})

for (const text of [
  'host: {{ .Values.host }}\n',
  '{{- if .Values.on }}\na: 1\n{{- end }}\n',
  'a:\n  {{- toYaml .x | nindent 2 }}\n',
  'a:\n- {{ .Release.Name }}\n',
  'a:\n  "b": {{ .x | default .Chart.Name }}\n',
  'a:\n  \'b c\' : {{- include "x" . }}\n',
]) {
  t.test(`a template is told as one: ${JSON.stringify(text)}`, async (t) => {
    const { printed, broken, diagnostics, values } = parse(`kind: Test\n${text}---\nkind: Test\n${text}---\nok: 1\n`)
    t.equal(printed.length, 1, 'once a file')
    t.match(printed[0], /PORTICO_YAML_SYNTAX this is a Helm template, not a manifest$/)
    t.equal(diagnostics.items[0]?.help, 'render its chart first: helm template FOLDER | portico check -f -')
    t.match(textAt(diagnostics.items[0]?.position as SourcePosition), /^\{\{.*\}\}$/)
    t.ok(broken)
    t.same(values, [{ ok: 1 }])
  })
}

t.test('a template of another tool is not taken for Helm', async (t) => {
  const { printed, diagnostics } = parse('a: {{ .Name }}\n---\nb: {{port}}\n')
  t.same(printed, ['1:4 PORTICO_YAML_SYNTAX this is a template, not a manifest'])
  t.equal(diagnostics.items[0]?.help, 'render it first, then … | portico run -f -')
})

t.test('braces in quotes and blocks are no template', async (t) => {
  const { values, broken } = parse('a: "{{ $labels.x }}"\nb: |\n  {{ range . }}\nc: x{{ y }}\n')
  t.same(values, [{ a: '{{ $labels.x }}', b: '{{ range . }}\n', c: 'x{{ y }}' }])
  t.notOk(broken)
})

t.test('CF-01 an empty file, or one of comments, holds no manifest', async (t) => {
  for (const text of ['', '\n\n', '# a\n', '---\n---\n# b\n', 'null\n']) {
    const { values, broken, printed } = parse(text)
    t.same(values, [])
    t.notOk(broken)
    t.same(printed, ['1:1 PORTICO_FILE_EMPTY a.yaml holds no manifest'])
  }
})

t.test('the further lines of a quoted text may be indented too little, as kubectl allows', async (t) => {
  const { values, documents, broken } = parse(
    `a:\n  b:\n    c: 'it''s\n  one\n\n two'\n    d: 4\n    e: "x\n   y"\n    f: 6\n---\na:\n  b: 'open\nc: 1\n`,
  )
  t.same(values, [{ a: { b: { c: "it's one\ntwo", d: 4, e: 'x y', f: 6 } } }])
  t.match(documents[0]?.origin.locate(['a', 'b', 'd']), { line: 7, column: 8, length: 1, excerpt: '    d: 4' })
  t.match(documents[0]?.origin.locate(['a', 'b', 'f']), { line: 10, column: 8 })
  t.ok(broken, 'a quote that is never closed is an error all the same')
})

t.test('so may those of a bracketed collection, and hundreds of quoted texts', async (t) => {
  const { values, documents, printed } = parse('a:\n  b: [\n  c,\nd\n]\n  e: {\n\tf: g\n}\nh: 1\n')
  t.same(printed, [])
  t.same(values, [{ a: { b: ['c', 'd'], e: { f: 'g' } }, h: 1 }])
  t.match(documents[0]?.origin.locate(['h']), { line: 9, column: 4 })
  const lines = Array.from({ length: 400 }, (_, index) => `  - rule: 'a\n it''s\n${index}'\n`).join('')
  const many = parse(`rules:\n${lines}last: "x\ny"\n`)
  t.same(many.printed, [])
  t.match(many.values, [{ rules: { 0: { rule: "a it's 0" }, 399: { rule: "a it's 399" } }, last: 'x y' }])
  t.match(many.documents[0]?.origin.locate(['last']), { line: 1202, column: 7 })
})

t.test('JSON objects may follow one another in a stream', async (t) => {
  const { values, documents, printed } = parse('{"a": "}{"}{"b": {"c": ["\\"{"]}}\n\n{"d":\n1}\n---\n{"e": 2}\n')
  t.same(values, [{ a: '}{' }, { b: { c: ['"{'] } }, { d: 1 }, { e: 2 }])
  t.same(printed, [])
  t.match(documents[2]?.origin.locate(['d']), { line: 4, column: 1 })
  t.match(parse('{"a": 1}{"b": @}').printed, [/^1:15 /], 'a broken one hides none of the others')
  t.same(parse('{"a": 1}{"b": @}').values, [{ a: 1 }])
})

for (const [name, text] of [
  ['JSON objects', '{}'.repeat(50_000)],
  ['quotes that nothing closes', "a: 'x\n".repeat(20_000)],
  ['a quote that nothing closes', `a: "${'x\n'.repeat(400_000)}`],
  ['blank lines', `${'\n'.repeat(500_000)}a: [`],
  ['escapes', `{"${'\\"'.repeat(500_000)}"}`],
] as const) {
  t.test(`CF-04 many ${name} are read in bounded time`, { timeout: 30_000 }, async (t) => {
    t.doesNotThrow(() => parse(text))
  })
}

t.test('a carriage return alone ends a line too', async (t) => {
  const { values, documents, printed } = parse('a: 1\rb:\r  - "c\r  d"\r\ne: 2\r')
  t.same(printed, [])
  t.same(values, [{ a: 1, b: ['c d'], e: 2 }])
  t.match(documents[0]?.origin.locate(['e']), { line: 5, column: 4 })
})

t.test('a key is read as kubectl reads it', async (t) => {
  const { values, printed } = parse('on: 1\n"no": 2\n010: 3\n1.5: 4\n12345678901234567890: 5\n')
  t.same(printed, [])
  t.same(values, [{ true: 1, no: 2, 8: 3, '1.5': 4, '12345678901234567890': 5 }])
  t.match(parse('on: 1\nyes: 2\n').documents[0]?.flaws, [{ message: 'duplicate key "true"' }])
})

t.test('CF-01 a byte order mark and CRLF line ends are accepted, and count for no column', async (t) => {
  const { documents, values, broken } = parse('\uFEFFa: 1\r\nb:\r\n- c: x\r\n---\r\nd: 2\r\n')
  t.same(values, [{ a: 1, b: [{ c: 'x' }] }, { d: 2 }])
  t.notOk(broken)
  t.match(documents[0]?.origin.locate(['a']), { line: 1, column: 4, excerpt: 'a: 1' })
  t.match(documents[0]?.origin.locate(['b', 0, 'c']), { line: 3, column: 6, length: 1, excerpt: '- c: x' })
  t.match(documents[1]?.origin.locate(['d']), { line: 5, column: 4 })
})

t.test('scalars are read like kubectl reads them', async (t) => {
  const { values } = parse(
    'a: [yes, No, on, OFF, y, true, null, ~, 010, 0o10, 0x1f, 1_000, -5, 1e3, .5, 08, 12:30, 2024-01-01, 1.2.3, "on", !!str 1, !!int "7", truely]',
  )
  t.same(values, [
    {
      a: [
        true,
        false,
        true,
        false,
        true,
        true,
        null,
        null,
        8,
        8,
        31,
        1000,
        -5,
        1000,
        0.5,
        8,
        '12:30',
        '2024-01-01',
        '1.2.3',
        'on',
        '1',
        7,
        'truely',
      ],
    },
  ])
})

t.test('aliases and merge keys are resolved, and point at where the value is written', async (t) => {
  const { values, documents, broken } = parse(`base: &base {a: 1, b: {c: 2}}
more: &more {d: 4}
one: {<<: *base, a: 9}
two: {<<: [*more, *base]}
three: *base
`)
  t.notOk(broken)
  t.match(values[0], {
    one: { a: 9, b: { c: 2 } },
    two: { a: 1, b: { c: 2 }, d: 4 },
    three: { a: 1, b: { c: 2 } },
  })
  const place = (...path: (string | number)[]): string => {
    const { line, column } = (documents[0] as SourceDocument).origin.locate(path)
    return `${line}:${column}`
  }
  t.equal(place('one', 'a'), '3:21')
  t.equal(place('one', 'b', 'c'), '1:27')
  t.equal(place('two', 'b', 'c'), '1:27')
  t.equal(place('two', 'd'), '2:17')
  t.equal(place('three'), '5:8')
  t.equal(place('three', 'b', 'c'), '1:27')
})

t.test('positions of keys, values and missing fields', async (t) => {
  const { documents } = parse(
    '---\nmetadata:\n  name: web\n  empty:\nports:\n- port: 80\n  "x": |\n    text\n- {port: 81}\n"8080": {"9": a, b: c}\n',
  )
  const origin = (documents[0] as SourceDocument).origin
  const places = (...path: (string | number)[]): string =>
    [origin.locate(path), origin.locateKey(path)].map((at) => `${at.line}:${at.column} ${textAt(at)}`).join(' | ')
  t.equal(places('metadata', 'name'), '3:9 web | 3:3 name')
  t.equal(places('metadata', 'empty'), '4:3 empty | 4:3 empty', 'an empty value is shown at its key')
  t.equal(places('metadata', 'missing'), '2:1 metadata | 2:1 metadata', 'a missing field at its parent')
  t.equal(places('metadata', 'missing', 'deep'), '2:1 metadata | 2:1 metadata')
  t.equal(places('ports', 0, 'port'), '6:9 80 | 6:3 port')
  t.equal(places('ports', 0, 'x'), '7:8 | | 7:3 "x"')
  t.equal(places('ports', 1), '9:3 {port: 81} | 9:3 {port: 81}')
  t.equal(places('ports', 2), '5:1 ports | 5:1 ports')
  t.equal(places('8080', 'b'), '10:21 c | 10:18 b', 'keys that JavaScript reorders')
  t.equal(places('8080', '9'), '10:15 a | 10:10 "9"')
  t.equal(origin.file, 'a.yaml')
})

t.test('a long line is cut around the span', async (t) => {
  const { documents } = parse(`a: {x: "${'y'.repeat(500)}", b: here, z: "${'y'.repeat(500)}"}\n`)
  const position = documents[0]?.origin.locate(['a', 'b']) as SourcePosition
  t.equal(position.column, 515)
  t.equal(position.excerpt.length, 200)
  t.equal(textAt(position), 'here')
})

t.test('CF-03 a billion laughs are refused', { timeout: 10_000 }, async (t) => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 9; i++)
    lines.push(
      `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    )
  const { printed, values, broken } = parse(`${lines.join('\n')}\n---\nb: 1\n`)
  t.same(printed, ['1:1 PORTICO_YAML_ALIAS_LIMIT aliases expand to too many values'])
  t.same(values, [{ b: 1 }])
  t.ok(broken)
})

t.test('CF-03 a chain of aliases does not nest without end', { timeout: 10_000 }, async (t) => {
  const chain = Array.from({ length: 300 }, (_, i) => `a${i}: &a${i} [${i === 0 ? 1 : `*a${i - 1}`}]`).join('\n')
  t.same(parse(chain).printed, ['1:1 PORTICO_YAML_DEPTH nests deeper than 256 levels'])
})

for (const [name, text] of [
  ['brackets', '['.repeat(20_000)],
  ['braces', '{a: '.repeat(20_000)],
  ['dashes', '- '.repeat(20_000)],
  ['question marks', '? '.repeat(20_000)],
  ['indentation', Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:\n`).join('')],
] as const) {
  t.test(`CF-04 nesting by ${name} is bounded`, { timeout: 10_000 }, async (t) => {
    const { printed, broken } = parse(text)
    t.equal(printed.length, 1)
    t.match(printed[0], /PORTICO_YAML_DEPTH nests deeper than 256 levels$/)
    t.ok(broken)
  })
}

t.test('brackets in text nest nothing', async (t) => {
  const { values, broken } = parse(`a: |\n  ${'['.repeat(1000)}\nb: "${'{'.repeat(1000)}" # ${'['.repeat(1000)}\n`)
  t.notOk(broken)
  t.match(values, [{ b: '{'.repeat(1000) }])
})

t.test('CF-02 a mapping with 30,000 keys, all twice, is refused in bounded time', { timeout: 30_000 }, async (t) => {
  const keys = Array.from({ length: 30_000 }, (_, i) => `k${i}: 1\n`).join('')
  const { documents } = parse(keys + keys)
  t.equal(documents[0]?.flaws?.length, 20, 'only the first few are told')
})

t.test('CF-06 keys are own keys, whatever they are called', async (t) => {
  const { documents } = parse('__proto__: {polluted: 1}\nconstructor: 2\n')
  const value = documents[0]?.value as object
  t.equal(Object.getPrototypeOf(value), Object.prototype)
  t.same(Object.keys(value), ['__proto__', 'constructor'])
  t.equal(({} as { polluted?: number }).polluted, undefined)
})

t.test('CF-31 whatever the text, nothing is thrown and every problem has its place', { timeout: 60_000 }, async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...[
        'a',
        'b:',
        ': ',
        '- ',
        '? ',
        '\n',
        '\n  ',
        '\n\t',
        '---\n',
        '...\n',
        '[',
        ']',
        '{',
        '}',
        ',',
        '"',
        "'",
        '|\n',
        '>-\n',
        '&x ',
        '*x',
        '<<: ',
        '!!str ',
        '!t ',
        '# c',
        '{{ .x }}',
        '%YAML 1.2\n',
        '\uFEFF',
        '\r\n',
        '\u2028',
        '\0',
        'apiVersion: v1\n',
        'kind: Service\n',
      ],
    ),
    fc.string({ maxLength: 4 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('')
      const { documents, broken, diagnostics } = parse(text)
      for (const { origin } of documents) {
        if (origin.locate(['a', 0, 'b']).line < 1 || origin.locateKey(['b']).column < 1) return false
      }
      const errors = diagnostics.items.filter(({ severity }) => severity === 'error')
      return broken === errors.length > 0 && errors.every(({ position }) => position !== undefined)
    }),
    { numRuns: 2000 },
  )
})
