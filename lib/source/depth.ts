/** Measures how deep a document nests, without recursion: on a hostile document the YAML composer would overflow its stack. */
import { Lexer } from 'yaml'

export const MAX_DEPTH = 256

/** Offset of the first bracket, dash or indentation that nests deeper than MAX_DEPTH; undefined if none does. */
export function findTooDeep(text: string): number | undefined {
  return looksDeep(text) ? measureDepth(text) : undefined
}

/** A quick estimate that is never too low: it counts signs of nesting in scalars and comments too. */
function looksDeep(text: string): boolean {
  let open = 0
  let prefix = 0
  let inPrefix = true
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 10) {
      prefix = 0
      inPrefix = true
      continue
    }
    if (code === 91 /* [ */ || code === 123 /* { */) open++
    else if ((code === 93 /* ] */ || code === 125) /* } */ && open > 0) open--
    if (inPrefix) {
      inPrefix = code === 32 || code === 45 /* - */ || code === 63 /* ? */ || code === 9
      prefix++
    }
    if (open > MAX_DEPTH || prefix > MAX_DEPTH) return true
  }
  return false
}

/** Measures by tokens, so that brackets in scalars and comments do not count. */
function measureDepth(text: string): number | undefined {
  let offset = 0
  let open = 0
  let inLine = 0
  let atLineStart = true
  for (const token of new Lexer().lex(text)) {
    if (token === '\u0002' || token === '\u0018' || token === '\u001f') continue
    if (token === '[' || token === '{') open++
    else if ((token === ']' || token === '}') && open > 0) open--
    if (token.startsWith('\n') || token.startsWith('\r\n')) {
      inLine = 0
      atLineStart = true
    } else {
      if (atLineStart && /^ +$/.test(token)) inLine = token.length / 2
      else if (token === '-' || token === '?') inLine++
      atLineStart = false
    }
    if (open + inLine > MAX_DEPTH) return offset
    offset += token.length
  }
  return undefined
}
