/** The syntax of snippets: words, quotes, blocks and comments as nginx reads them, and hostile texts. */
import t from 'tap'
import {
  type Directive,
  parseSnippet,
  type SnippetFault,
} from '../../../../lib/translate/ingress/nginx/snippet-text.ts'

/** `name word word {…}` of each directive. */
function print(text: string): readonly string[] | SnippetFault {
  const read = parseSnippet(text)
  return 'message' in read ? read : read.map(printDirective)
}

function printDirective({ name, words, block, line }: Directive): string {
  const inner = block && ` {${block.map(printDirective).join(' ')}}`
  return `${line}:${[name, ...words.map((word) => `<${word}>`)].join(' ')}${inner ?? ''}`
}

t.test('words, quotes, escapes, comments and blocks', async (t) => {
  const cases: readonly (readonly [text: string, printed: readonly string[]])[] = [
    ['', []],
    [' \r\n\t', []],
    ['gzip on;', ['1:gzip <on>']],
    ['gzip on;gzip_vary on ;', ['1:gzip <on>', '1:gzip_vary <on>']],
    ['# gzip on;\ngzip off; # {', ['2:gzip <off>']],
    ['a b#c;', ['1:a <b#c>']],
    ['a "b # c; {d}";', ['1:a <b # c; {d}>']],
    [`a 'b "c"' "d 'e'";`, [`1:a <b "c"> <d 'e'>`]],
    ['a "b \\"c\\" \\\\ \\t";', ['1:a <b "c" \\ \t>']],
    ['a b\\;c "\\.d";', ['1:a <b\\;c> <\\.d>']],
    ['a "b\nc" d;\ne;', ['1:a <b\nc> <d>', '3:e']],
    ['a "" \'\';', ['1:a <> <>']],
    [`add_header X \${host}x;`, [`1:add_header <X> <\${host}x>`]],
    ['if ($a = "b") { return 403; }', ['1:if <($a> <=> <b> <)> {1:return <403>}']],
    ['if ($a ~ \\.(gif)$){\n  break;\n}\ngzip on;', ['1:if <($a> <~> <\\.(gif)$)> {2:break}', '4:gzip <on>']],
    ['if (\n$a\n) {}', ['1:if <(> <$a> <)> {}']],
    ['location /{a;}', ['1:location </> {1:a}']],
    ['rewrite ^/a}b /c;', ['1:rewrite <^/a}b> </c>']],
  ]
  for (const [text, printed] of cases) t.same(print(text), printed, text)
})

t.test('hostile texts have a fault with its line', async (t) => {
  const cases: readonly (readonly [text: string, line: number, message: RegExp])[] = [
    ['}', 1, /no "\{" to this "\}"/],
    ['a;\n}', 2, /no "\{"/],
    ['if ($a) {', 1, /"\}" is missing/],
    ['if ($a) {\n{', 2, /nothing stands before "\{"/],
    [';', 1, /nothing stands before ";"/],
    ['gzip on', 1, /";" behind "gzip" is missing/],
    ['if ($a) { return 403 }', 1, /";" behind "return" is missing/],
    ['\na "b', 2, /a quote has no end/],
    ["a 'b", 1, /a quote has no end/],
    ['a "b"c;', 1, /"c" stands directly behind a quote/],
    ['a b\\', 1, /nothing follows the "\\"/],
    ['a "b\\', 1, /nothing follows the "\\"/],
    [`a${' b'.repeat(200)};`, 1, /more than 100 words/],
    ['a;'.repeat(1001), 1, /more than 1000 directives/],
    ['if ($a) {'.repeat(9), 1, /nested more than 8 deep/],
    ['{'.repeat(60_000), 1, /nothing stands before/],
    [`${'x'.repeat(60_000)}`, 1, /";" behind "x{40}…" is missing/],
    ['a b;'.repeat(262_144), 1, /longer than 65536/],
  ]
  for (const [text, line, message] of cases) {
    const read = print(text)
    t.match(read, { line, message }, text.slice(0, 40))
    t.ok('message' in read && read.message.length < 120, 'and the message is short')
  }
})

t.test('any text is read in time, and nothing is thrown', async (t) => {
  const signs = [
    '"',
    "'",
    '\\',
    '{',
    '}',
    ';',
    '#',
    '\n',
    '\r',
    '\0',
    '$',
    '${',
    'if',
    'return',
    ' ',
    '(',
    ')',
    '~',
    'ä',
    '403',
  ]
  let seed = 7
  const next = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return seed % below
  }
  const started = Date.now()
  let faults = 0
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: next(60) }, () => signs[next(signs.length)]).join('')
    if ('message' in parseSnippet(text)) faults++
  }
  t.ok(faults > 1000 && faults < 3000, `${faults} of 3000 are none of nginx`)
  t.ok(Date.now() - started < 5000)
})
