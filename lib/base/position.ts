/** A place in a manifest, and how it is shown to people. */

/** A span on one line of one file. `line` and `column` count from 1, `column` and `length` in UTF-16 units. */
export type SourcePosition = Readonly<{
  /** The file as the user named it (relative to the working directory where that is shorter), or `<stdin>`. */
  file: string
  line: number
  column: number
  length: number
  /** The text of that line, cut to 200 characters around the span. */
  excerpt: string
  /** The column in `excerpt` where the span begins, counted from 1; absent if it is `column`, with nothing cut off before it. */
  excerptColumn?: number
}>

/** The path of a field in a resource: `['spec', 'rules', 0, 'host']`. */
export type FieldPath = readonly (string | number)[]

/** The origin of a resource; it finds the position of each field. */
export type Origin = {
  readonly file: string
  /**
   * Position of the value at `path`, or of its nearest ancestor that exists; with `line`, counted from 1, of that line of a text which
   * stands line by line (a literal block scalar, YAML 1.2 §8.1.2), and of other texts as without.
   */
  locate(path: FieldPath, line?: number): SourcePosition
  /** Position of the key at `path` (for unknown and duplicate fields), or of the value's nearest ancestor. */
  locateKey(path: FieldPath): SourcePosition
  /** True if the value at `path` must not be shown. */
  hides(path: FieldPath): boolean
  /** The plain value at `path`, read from the text again, since values are not kept; undefined if there is none, or it is hidden. */
  read(path: FieldPath): unknown
}

/** An origin that looks for each path elsewhere: at another path, and perhaps of another origin. */
export function redirectOrigin(
  { file }: Origin,
  find: (path: FieldPath) => readonly [origin: Origin, path: FieldPath],
): Origin {
  return {
    file,
    locate(path, line) {
      const [origin, at] = find(path)
      return origin.locate(at, line)
    },
    locateKey(path) {
      const [origin, at] = find(path)
      return origin.locateKey(at)
    },
    hides(path) {
      const [origin, at] = find(path)
      return origin.hides(at)
    },
    read(path) {
      const [origin, at] = find(path)
      return origin.read(at)
    },
  }
}

/** Prints a field path as the API server does: `spec.ports[0].nodePort`, `data[tls.crt]`. */
export function printFieldPath(path: FieldPath): string {
  let out = ''
  for (const step of path) {
    if (typeof step === 'number') out += `[${step}]`
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(step)) out += out === '' ? step : `.${step}`
    else out += `[${step}]`
  }
  return out
}

/** `file:line:col` */
export function printPosition(position: SourcePosition): string {
  return `${position.file}:${position.line}:${position.column}`
}
