/** Positions in lines that may hold a secret: the excerpt shows the key and nothing of the value. */
import type { FieldPath, Origin, SourcePosition } from './position.ts'

/** Without brackets, which would read as YAML of the line. */
const REDACTED = '‹hidden›'

/** A key that cannot be mistaken for a value, like the keys of Kubernetes and of the settings. */
export const PLAIN_KEY = /^[\w./-]{1,253}$/

/** The key at the beginning of a line, up to its colon. */
const KEY_OF_LINE = /^(?:[ \t]|- )*(["']?)[\w./-]{1,253}\1[ \t]*:(?=[ \t]|$)/
/** Fields that tell the kind of a document and never hold a secret. */
const TYPE_LINE = /^(?:apiVersion:[ \t]+["']?(?:[a-z0-9.-]+\/)?v\d\w*["']?|kind:[ \t]+["']?Secret(?:List)?["']?)[ \t]*$/

const QUOTED = /^(["'])(.*)\1$/

/** The first or last line of a PEM block that is not a certificate, and so perhaps a private key; plain or in base64. */
export const PRIVATE_KEY = /-----(?:BEGIN|END) (?!(?:CERTIFICATE(?: REQUEST)?|PUBLIC KEY)-)|LS0tLS1CRUdJTi/

const SOUNDS_SECRET = /auth|secret|pass|token|credential|users?(?:[-._]|$)/i

/** True if a name that means nothing where it stands may have been meant for a secret. */
export function soundsSecret(name: string): boolean {
  return SOUNDS_SECRET.test(name)
}

/** The same position, with only the key of its line shown; and the span itself if `isOpen` and the span is a single value. */
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
  // A position within a value would reveal something of the value.
  const cut = veiled.trimStart()
  const excerptAt = at + 1 - (veiled.length - cut.length)
  return Object.freeze({ ...position, length: 1, excerpt: cut, excerptColumn: excerptAt })
}

/** The same origin, whose positions show only the values at paths that are `open`. */
export function veilOrigin(origin: Origin, isOpen: (path: FieldPath) => boolean): Origin {
  return {
    file: origin.file,
    hides: (path) => !isOpen(path) || origin.hides(path),
    locate: (path, line) => {
      const position = origin.locate(path, line)
      if (isOpen(path)) return veilPosition(position, true)
      // A later line of a value may look like a key.
      const key = origin.locateKey(path)
      return veilPosition(key.line === position.line ? position : key)
    },
    locateKey: (path) => veilPosition(origin.locateKey(path)),
    read: (path) => (isOpen(path) ? origin.read(path) : undefined),
  }
}

/** The span of a single value, rather than the rest of a mapping or list. */
function isScalar(span: string): boolean {
  const text = span.replace(QUOTED, '$2')
  return !/[{}[\]"'#]|:(?:\s|$)/.test(text)
}

function isKey(span: string, after: string): boolean {
  return PLAIN_KEY.test(span.replace(QUOTED, '$2')) && /^[ \t]*:/.test(after)
}
