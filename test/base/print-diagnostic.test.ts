import t from 'tap'
import { type DiagnosticDetails, DiagnosticList } from '../../lib/base/diagnostics.ts'
import type { SourcePosition } from '../../lib/base/position.ts'
import { printDiagnostic } from '../../lib/base/print-diagnostic.ts'
import { paintAnsi } from '../../lib/base/terminal-text.ts'

function place(excerpt: string, span: string, more: Partial<SourcePosition> = {}): SourcePosition {
  return { file: 'k8s/web.yaml', line: 12, column: excerpt.indexOf(span) + 1, length: span.length, excerpt, ...more }
}

function print(message: string, details: DiagnosticDetails): string[] {
  const list = new DiagnosticList()
  list.add('PORTICO_RES_FIELD_VALUE', message, details)
  return printDiagnostic(list.items[0]!).split('\n')
}

t.test('place, severity, code and message stand on the first line; the caret under the span; help below', async (t) => {
  const lines = print('spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range', {
    position: place('      nodePort: 80', '80'),
    help: 'leave nodePort out to have one allocated',
  })
  t.strictSame(lines, [
    'k8s/web.yaml:12:17  error  PORTICO_RES_FIELD_VALUE  spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range',
    '   12 │       nodePort: 80',
    '      │                 ^^',
    '      leave nodePort out to have one allocated',
  ])
})

t.test('a suggestion stands beside the caret; notes say where the other place is', async (t) => {
  const lines = print('service "cart" not found', {
    position: place('    name: cart', 'cart'),
    resource: 'Ingress default/shop',
    help: 'did you mean "card"?',
    notes: [
      { message: 'it is here', position: place('  name: card', 'card', { file: 'k8s/card.yaml', line: 4 }) },
      { message: 'without a place' },
    ],
  })
  t.strictSame(lines.slice(0, 1), [
    'k8s/web.yaml:12:11  error  PORTICO_RES_FIELD_VALUE  service "cart" not found  [Ingress default/shop]',
  ])
  t.strictSame(lines.slice(2), [
    '      │           ^^^^  did you mean "card"?',
    '      it is here  (k8s/card.yaml:4:9)',
    '      without a place',
  ])
})

/** Where the caret stands on the screen, in columns, and how wide it is. */
function findCaret(lines: readonly string[]): [column: number, width: number] {
  const caretLine = lines[2] as string
  const caret = /\^+/.exec(caretLine)!
  return [caret.index - '      │ '.length, caret[0].length]
}

t.test('tabs before and in the span keep the caret under it', async (t) => {
  const lines = print('m', { position: place('\tname:\tweb\t1', 'web\t1') })
  t.equal(lines[1], '   12 │     name:    web    1')
  t.strictSame(findCaret(lines), ['    name:    '.length, 'web    1'.length])
})

t.test('wide characters keep the caret under the span', async (t) => {
  const lines = print('m', { position: place('名前: 東京 x', '東京') })
  // 名前 is four columns, `: ` two.
  t.strictSame(findCaret(lines), [6, 4])
})

t.test('combining marks take no column', async (t) => {
  t.strictSame(findCaret(print('m', { position: place('cafe\u0301: x', 'x') })), [6, 1])
})

t.test('escape sequences in a file cannot reach the terminal, and the caret counts them as shown', async (t) => {
  const lines = print('bad \x1b[2J value', { position: place('a: \x1b[2Jevil', 'evil'), help: 'say \x07 less' })
  t.notMatch(lines.join(''), /[\x00-\x08\x0b-\x1f]/)
  t.match(lines[0], 'bad \\x1b[2J value')
  t.equal(lines[1], '   12 │ a: \\x1b[2Jevil')
  t.strictSame(findCaret(lines), ['a: \\x1b[2J'.length, 4])
})

t.test('an excerpt cut from a long line has its caret at the span', async (t) => {
  const lines = print('m', { position: place('xxxx bad yyyy', 'bad', { column: 5000, excerptColumn: 6 }) })
  t.match(lines[0], 'k8s/web.yaml:12:5000')
  t.equal(lines[1], '   12 │ …xxxx bad yyyy')
  t.strictSame(findCaret(lines), ['…xxxx '.length, 3])
})

t.test('a span of no length, or beyond the line, still has one caret', async (t) => {
  t.strictSame(findCaret(print('m', { position: place('ab', 'b', { column: 2, length: 0 }) })), [1, 1])
  t.strictSame(findCaret(print('m', { position: place('ab', 'b', { column: 40, length: 3 }) })), [2, 1])
})

t.test('without a position the message and help remain', async (t) => {
  t.strictSame(print('PORTICO_HTTP_PORT: "x" is not a whole number', { help: 'did you mean it?\nor not' }), [
    'error  PORTICO_RES_FIELD_VALUE  PORTICO_HTTP_PORT: "x" is not a whole number',
    '      did you mean it?',
    '      or not',
  ])
})

t.test('colours change nothing but colours', async (t) => {
  const list = new DiagnosticList()
  list.add('PORTICO_REF_NO_ENDPOINTS', 'no endpoints', { position: place('  name: web', 'web'), help: 'add some' })
  const plain = printDiagnostic(list.items[0]!)
  const coloured = printDiagnostic(list.items[0]!, paintAnsi)
  t.not(coloured, plain)
  t.equal(coloured.replace(/\x1b\[\d+m/g, ''), plain)
})
