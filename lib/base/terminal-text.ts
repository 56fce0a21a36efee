/** Text for terminals: colours, width on the screen, and untrusted text made harmless. */

export type Colour = 'red' | 'yellow' | 'green' | 'cyan' | 'dim' | 'bold'

/** Puts a colour around text, unless the output has no colours. */
export type Paint = (colour: Colour, text: string) => string

const SGR: Record<Colour, readonly [number, number]> = {
  red: [31, 39],
  yellow: [33, 39],
  green: [32, 39],
  cyan: [36, 39],
  dim: [2, 22],
  bold: [1, 22],
}

export const paintNothing: Paint = (_colour, text) => text

export const paintAnsi: Paint = (colour, text) => {
  const [on, off] = SGR[colour]
  return text === '' ? '' : `\x1b[${on}m${text}\x1b[${off}m`
}

/** C0 and C1 controls, and the marks that reorder or hide text (Unicode TR 36 §3.1). */
const HARMFUL = /[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|\p{Surrogate}/gu

/** Makes text of a file or a client safe to print: characters that move the cursor or reorder text become escapes. */
export function escapeText(text: string): string {
  return text.replace(HARMFUL, (char) => {
    const code = char.codePointAt(0) as number
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]$/u
/** East Asian Wide and Fullwidth (Unicode TR 11), and emoji. */
const DOUBLE_WIDTH =
  /^(?:[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation})$/u
const ANSI = /\x1b\[[0-9;]*m/g

/** The width of the text on the screen, in columns; colours take none. */
export function measureText(text: string): number {
  const plain = text.includes('\x1b') ? text.replace(ANSI, '') : text
  // The common case: every character is one column.
  if (/^[\x20-\x7e]*$/.test(plain)) return plain.length
  let width = 0
  for (const char of plain) if (!ZERO_WIDTH.test(char)) width += DOUBLE_WIDTH.test(char) ? 2 : 1
  return width
}

/** Pads with spaces to `width` columns on the screen. */
export function padText(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - measureText(text)))
}

/** Lines of at most `width` columns, broken between words; a longer word has a line of its own. */
export function wrapText(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && measureText(last) + 1 + measureText(word) <= width)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
