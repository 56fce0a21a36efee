import t from 'tap'
import { decodeOne, decodeText } from './decode-text.ts'

/** A Secret whose fields, each line given, begin on line 4. */
function secret(...fields: readonly string[]): string {
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n${fields.join('\n')}\n`
}

t.test('data is base64, line breaks in it allowed', async (t) => {
  const decoded = decodeOne(
    'Secret',
    secret('data:', '  a: aGVs\\', '  b: |', '    aGVs', '    bG8=', '  c: ""').replace('\\', 'bG8='),
  )
  t.equal(decoded.type, 'Opaque')
  t.equal(decoded.data.get('a')?.toString(), 'hello')
  t.equal(decoded.data.get('b')?.toString(), 'hello')
  t.equal(decoded.data.get('c')?.length, 0)
})

t.test('D16 stringData wins over data', async (t) => {
  const decoded = decodeOne('Secret', secret('data: {a: aGVsbG8=}', 'stringData: {a: new, b: other}'))
  t.same(
    [...decoded.data].map(([key, value]) => [key, value.toString()]),
    [
      ['a', 'new'],
      ['b', 'other'],
    ],
  )
})

t.test('E5 a TLS Secret has a certificate and a key', async (t) => {
  t.same(decodeText(secret('type: kubernetes.io/tls', 'data: {ca.crt: aGVsbG8=}')).printed, [
    '5:1 data[tls.crt]: Required value',
    '5:1 data[tls.key]: Required value',
  ])
  t.same(
    decodeText(secret('type: kubernetes.io/tls', 'data: {tls.crt: "", tls.key: ""}')).printed,
    [],
    'they must exist',
  )
  t.same(decodeText(secret('type: kubernetes.io/tls', 'stringData: {tls.crt: a, tls.key: b}')).printed, [])
  t.same(decodeText(secret('data: {tls.crt: aGVsbG8=}')).printed, [], 'an Opaque one need not')
})

t.test('CF-27 wrong base64 is reported at its key, and never shown', async (t) => {
  const { diagnostics, printed } = decodeText(
    secret('data:', '  a: hunter2!', '  b: hunter22x', '  c: aGVsbG8', '  d: "-----BEGIN X"'),
  )
  t.same(printed, [
    '5:3 data[a]: Invalid value: illegal base64 data at input byte 7',
    '6:3 data[b]: Invalid value: illegal base64 data at input byte 9',
    '7:3 data[c]: Invalid value: illegal base64 data at input byte 7',
    '8:3 data[d]: Invalid value: illegal base64 data at input byte 0',
  ])
  t.notMatch(JSON.stringify(diagnostics), /hunter|aGVsbG8/)
  t.equal(diagnostics[0]?.position?.excerpt, '  a: ‹hidden›')
  t.match(diagnostics[3]?.help, 'this is PEM text: put it under stringData')
})

t.test('CF-27 base64 of base64 is a warning, a trailing newline is fine', async (t) => {
  const pem = Buffer.from('-----BEGIN CERTIFICATE-----\n').toString('base64')
  const twice = Buffer.from(`${pem}\n`).toString('base64')
  const { printed, resources } = decodeText(secret('data:', `  tls.crt: ${twice}`, `  tls.key: ${pem}`))
  t.same(printed, ['5:3 warning data[tls.crt]: Invalid value: is base64 of base64'])
  t.equal(resources.length, 1)
})

t.test('no diagnostic of a Secret shows a value, on whatever line it stands', async (t) => {
  const text =
    '{"apiVersion": "v1", "data": {"a": "c2VjcmV0c2VjcmV0", "b": "c2VjcmV0c2VjcmV"}, "kind": "Secret", "metadata": {"name": "B_d"}, "stringData": {"c": 12345678, "d": "letmein99"}, "typ": "x"}'
  const { diagnostics } = decodeText(text, 'secret.json')
  t.same(diagnostics.map(({ code }) => code).toSorted(), [
    'PORTICO_RES_FIELD_TYPE',
    'PORTICO_RES_FIELD_UNKNOWN',
    'PORTICO_RES_FIELD_VALUE',
    'PORTICO_RES_FIELD_VALUE',
  ])
  t.notMatch(JSON.stringify(diagnostics), /c2VjcmV0|12345678|letmein/)
  for (const { position } of diagnostics) {
    const start = (position?.excerptColumn ?? position?.column ?? 0) - 1
    t.ok(
      start >= 0 && start + (position?.length ?? 0) <= (position?.excerpt.length ?? 0),
      'the caret is within the excerpt',
    )
  }
})

t.test('positions of a Secret show none of its values', async (t) => {
  const { origin } = decodeOne('Secret', secret('data:', '  a: aGVsbG8=', '  b: d29ybGQhIQ=='))
  for (const path of [[], ['data'], ['data', 'a'], ['data', 'b'], ['data', 'c'], ['metadata', 'name']]) {
    t.notMatch(origin.locate(path).excerpt, /aGVsbG8|d29ybGQ/)
    t.notMatch(origin.locateKey(path).excerpt, /aGVsbG8|d29ybGQ/)
  }
  t.match(origin.locate(['data', 'b']), { line: 6, column: 6, length: 1, excerpt: '  b: ‹hidden›' })
})

t.test('a key is a config key', async (t) => {
  const { printed } = decodeText(secret('stringData: {"a b": x, ..: x}'))
  t.equal(printed.length, 2)
  t.match(printed[0], /^4:14 stringData\[…\]: Invalid value: a valid config key must consist of/)
  t.equal(printed[1], `4:24 stringData[..]: Invalid value: must not be '..'`)
})

t.test('E5 a Secret holds a mebibyte at most', async (t) => {
  const text = secret('data:', `  a: ${Buffer.alloc(1_048_577).toString('base64')}`)
  t.same(decodeText(text).printed, ['4:1 data: Too long: may not be more than 1048576 bytes'])
})

t.test('a value that is not a string is to be quoted, unless it is a mapping', async (t) => {
  const { diagnostics } = decodeText(secret('stringData: {a: 12345678, b: {c: d}}'))
  t.same(
    diagnostics.map(({ message, help }) => [message, help]),
    [
      ['stringData.a: Invalid value: must be a string', 'quote it'],
      ['stringData.b: Invalid value: must be a string', undefined],
    ],
  )
})
