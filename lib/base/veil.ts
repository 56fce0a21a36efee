/** Places whose lines hold what is not to be shown: the excerpt names the key, and nothing of the value. */
import type { FieldPath, Origin, SourcePosition } from './position.ts'

const REDACTED = '[redacted]'

/** A key that can be told from a value: as those of Kubernetes and of the settings are. */
export const PLAIN_KEY = /^[\w./-]{1,253}$/

/** The key that a line begins with, up to its colon. */
const KEY_OF_LINE = /^(?:[ \t]|- )*(["']?)[\w./-]{1,253}\1[ \t]*:(?=[ \t]|$)/
/** What tells the kind of a document, and nothing else. */
const TYPE_LINE = /^(?:apiVersion:[ \t]+["']?(?:[a-z0-9.-]+\/)?v\d\w*["']?|kind:[ \t]+["']?Secret(?:List)?["']?)[ \t]*$/

const QUOTED = /^(["'])(.*)\1$/

/** How a private key begins or ends, in PEM and in the base64 of PEM: what is no certificate is taken for one. */
export const PRIVATE_KEY = /-----(?:BEGIN|END) (?!(?:CERTIFICATE(?: REQUEST)?|PUBLIC KEY)-)|LS0tLS1CRUdJTi/

/** The same place; of its line only the key is shown, and the span itself where `isOpen` and one value. */
export function veilPosition(position: SourcePosition, isOpen: boolean = false): SourcePosition {
  const { excerpt, column, length, excerptColumn = column } = position
  if (TYPE_LINE.test(excerpt)) return position
  const start = excerptColumn - 1
  const span = excerpt.slice(start, start + length)
  const key = excerptColumn === column ? KEY_OF_LINE.exec(excerpt)?.[0] : undefined
  if (key !== undefined && start + length <= key.length) {
    const isAlone = excerpt.slice(key.length).trim() === ''
    return Object.freeze({ ...position, excerpt: isAlone ? key : `${key} ${REDACTED}` })
  }
  if ((isOpen && isScalar(span)) || isKey(span, excerpt.slice(start + length))) {
    const isFirst = key !== undefined && excerpt.slice(key.length, start).trim() === ''
    if (isFirst) return Object.freeze({ ...position, excerpt: excerpt.slice(0, start + length) })
    return Object.freeze({ ...position, excerpt: span, excerptColumn: 1 })
  }
  if (excerptColumn !== column) return Object.freeze({ ...position, length: 1, excerpt: REDACTED, excerptColumn: 1 })
  const shown = key ?? ''
  const blanks = /^[ \t]*/.exec(excerpt.slice(shown.length))![0].length
  const at = shown.length + blanks
  if (at === excerpt.length) return Object.freeze({ ...position, length: 1, excerpt: shown, excerptColumn: 1 })
  const veiled = `${excerpt.slice(0, at)}${REDACTED}`
  if (start <= at) return Object.freeze({ ...position, length: 1, excerpt: veiled })
  // Where in a value something is would say how it reads.
  const cut = veiled.trimStart()
  const excerptAt = at + 1 - (veiled.length - cut.length)
  return Object.freeze({ ...position, length: 1, excerpt: cut, excerptColumn: excerptAt })
}

/** The same origin, whose positions show no values but those at paths that are `open`. */
export function veilOrigin(origin: Origin, isOpen: (path: FieldPath) => boolean): Origin {
  return {
    file: origin.file,
    hides: (path) => !isOpen(path) || origin.hides(path),
    locate: (path) => {
      const position = origin.locate(path)
      if (isOpen(path)) return veilPosition(position, true)
      // Further lines of a value may read like a key.
      const key = origin.locateKey(path)
      return veilPosition(key.line === position.line ? position : key)
    },
    locateKey: (path) => veilPosition(origin.locateKey(path)),
  }
}

/** What is one value, rather than the rest of a mapping or list. */
function isScalar(span: string): boolean {
  const text = span.replace(QUOTED, '$2')
  return !/[{}[\]"'#]|:(?:\s|$)/.test(text)
}

function isKey(span: string, after: string): boolean {
  return PLAIN_KEY.test(span.replace(QUOTED, '$2')) && /^[ \t]*:/.test(after)
}
