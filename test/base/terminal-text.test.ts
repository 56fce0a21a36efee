import t from 'tap'
import { escapeText, measureText, padText, paintAnsi, paintNothing } from '../../lib/base/terminal-text.ts'

t.test('control bytes and escape sequences from a file are shown, not obeyed', async (t) => {
  t.equal(escapeText('a\x1b[31mb'), 'a\\x1b[31mb')
  t.equal(escapeText('bell\x07 back\x08 del\x7f csi\x9b'), 'bell\\x07 back\\x08 del\\x7f csi\\x9b')
  t.equal(escapeText('line\nbreak\rreturn\ttab'), 'line\\x0abreak\\x0dreturn\\x09tab')
})

t.test('marks that reorder or hide text are shown as escapes', async (t) => {
  t.equal(escapeText('safe\u202egpj.exe'), 'safe\\u202egpj.exe')
  t.equal(escapeText('a\u200bb\ufeffc\u2066d'), 'a\\u200bb\\ufeffc\\u2066d')
  t.equal(escapeText('half \ud800 pair'), 'half \\ud800 pair')
})

t.test('text in other scripts stays as it is', async (t) => {
  for (const text of ['grüße', '日本語', '한국어', '👋🏽', 'résumé']) t.equal(escapeText(text), text)
})

t.test('width counts columns on the screen', async (t) => {
  const cases: readonly (readonly [string, number])[] = [
    ['', 0],
    ['abc', 3],
    ['日本', 4],
    ['한국', 4],
    ['ｆｕｌｌ', 8],
    ['e\u0301', 1],
    ['grüße', 5],
    ['👋', 2],
    ['→│', 2],
    [paintAnsi('red', 'abc'), 3],
  ]
  for (const [text, width] of cases) t.equal(measureText(text), width, JSON.stringify(text))
})

t.test('padding fills to columns, and never cuts', async (t) => {
  t.equal(padText('日本', 6), '日本  ')
  t.equal(padText(paintAnsi('bold', 'ab'), 4), `${paintAnsi('bold', 'ab')}  `)
  t.equal(padText('longer', 3), 'longer')
})

t.test('every colour is closed, and without colours none is written', async (t) => {
  t.equal(paintAnsi('red', 'x'), '\x1b[31mx\x1b[39m')
  t.equal(paintAnsi('red', ''), '')
  t.equal(paintNothing('red', 'x'), 'x')
})
