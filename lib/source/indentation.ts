/** Finds the line whose indentation matches no line above it, and explains that: the parser reports such a fault elsewhere. */

export type IndentFault = Readonly<{
  /** Offsets of the first word of the line. */
  start: number
  end: number
  message: string
  help: string
}>

/** A mapping or list that may have further lines. */
type Block = {
  readonly indent: number
  readonly isList: boolean
  /** True if the last entry has no value yet, so that deeper lines may follow. */
  isOpen: boolean
}

const KEY = /^(?:"[^"]*"|'[^']*'|[^\s#"'[\]{}&*!|>%@`-][^#"'[\]{}]*?|-[^\s"'[\]{}][^#"'[\]{}]*?)[ \t]*:(?=[ \t]|$)/
const BLOCK_TEXT = /^(?:[&!]\S+[ \t]+)*[|>][-+\d]*[ \t]*(?:#.*)?$/
const NO_VALUE = /^(?:[&!]\S*[ \t]*)*(?:#.*)?$/
const MULTILINE = /^(?:[&!]\S+[ \t]+)*["'[{]/

/** The first fault; undefined if there is none, or the lines alone cannot tell. */
export function findIndentFault(text: string): IndentFault | undefined {
  const blocks: Block[] = []
  /** Lines indented more than this belong to a text, not to the structure. */
  let textIndent: number | undefined
  let start = 0
  for (const line of text.split('\n')) {
    const content = line.trim()
    const lineStart = start
    start += line.length + 1
    if (content === '' || /^(?:#|---|\.\.\.|%)/.test(content)) continue
    const indent = line.length - line.trimStart().length
    if (textIndent !== undefined && indent > textIndent) continue
    textIndent = undefined
    if (line.slice(0, indent).includes('\t')) return undefined
    const isEntry = /^-(?:[ \t]|$)/.test(content) || KEY.test(content)
    // The line continues the text before it.
    if (!isEntry) {
      if (blocks.length === 0) return undefined
      continue
    }
    const fault = place(blocks, indent, content.startsWith('- ') || content === '-')
    if (fault) {
      const word = /^[^\s:]*/.exec(content)![0]
      return { ...fault, start: lineStart + indent, end: lineStart + indent + Math.max(1, word.length) }
    }
    const rest = readEntries(blocks, content, indent)
    const value = rest.text.trim()
    const last = blocks.at(-1) as Block
    if (BLOCK_TEXT.test(value)) textIndent = last.indent
    // The end of such a text is not looked for.
    else if (MULTILINE.test(value) && !isClosed(value)) return undefined
    last.isOpen = NO_VALUE.test(value)
  }
  return undefined
}

/** Closes the blocks that the line does not belong to. Returns the fault if it belongs to none of the others. */
function place(blocks: Block[], indent: number, isItem: boolean): Pick<IndentFault, 'message' | 'help'> | undefined {
  const above = [...new Set(blocks.map((block) => block.indent))]
  let closed: Block | undefined
  while ((blocks.at(-1)?.indent ?? -1) > indent) closed = blocks.pop()
  let top = blocks.at(-1)
  if (top?.indent === indent && top.isList && !isItem) {
    const list = blocks.pop() as Block
    top = blocks.at(-1)
    // The list of a key may stand at the key's own indentation.
    if (top?.indent === indent) return undefined
    const own = closed ? `${closed.indent} spaces, as the lines of the item` : 'more'
    blocks.push(list)
    return {
      message: 'this line is indented like the items of a list, but begins with no dash',
      help: `indent it by ${own}, or begin it with "- "`,
    }
  }
  if (top === undefined) {
    return closed ? { message: NO_FIT, help: `the first line is indented by ${count(closed.indent)}` } : undefined
  }
  if (top.indent === indent) return isItem && !top.isList && !top.isOpen ? noFit(above, indent) : undefined
  if (closed !== undefined) return noFit(above, indent)
  if (top.isOpen) return undefined
  return {
    message: 'this line is indented more than the one before it, which has a value already',
    help: `${top.indent === 0 ? 'do not indent it' : `indent it by ${count(top.indent)}`}, or take that value away`,
  }
}

const NO_FIT = 'the indentation of this line fits none of the lines above it'

function noFit(above: readonly number[], indent: number): Pick<IndentFault, 'message' | 'help'> {
  const others = above.filter((each) => each !== indent || above.length === 1).sort((a, b) => a - b)
  const listed = others.length > 1 ? `${others.slice(0, -1).join(', ')} or ${others.at(-1)}` : String(others[0])
  return { message: NO_FIT, help: `they are indented by ${listed} spaces, this one by ${indent}` }
}

function count(spaces: number): string {
  return spaces === 1 ? '1 space' : `${spaces} spaces`
}

/** Opens the blocks that the line begins: `- - a: 1` opens two lists and a mapping. */
function readEntries(blocks: Block[], content: string, indent: number): { text: string } {
  let at = 0
  for (;;) {
    const column = indent + at
    const rest = content.slice(at)
    const dash = /^-(?:[ \t]+|$)/.exec(rest)?.[0]
    const key = dash === undefined ? KEY.exec(rest)?.[0] : undefined
    if (dash === undefined && key === undefined) return { text: rest }
    const top = blocks.at(-1)
    if (top?.indent === column && top.isList === (dash !== undefined)) top.isOpen = true
    else {
      // This entry is the value of the key above it.
      if (top?.indent === column) top.isOpen = false
      else if (top && at === 0) top.isOpen = false
      blocks.push({ indent: column, isList: dash !== undefined, isOpen: true })
    }
    at += (dash ?? key ?? '').length
    if (key !== undefined) return { text: content.slice(at) }
  }
}

function isClosed(value: string): boolean {
  const body = value.replace(/[ \t]+#.*$/, '').replace(/^(?:[&!]\S+[ \t]+)*/, '')
  const close = { '"': '"', "'": "'", '[': ']', '{': '}' }[body.charAt(0)]
  return body.length > 1 && body.endsWith(close ?? '')
}
