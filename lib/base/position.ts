/** Where something stands in a manifest, and how that place is shown to a person. */

/** A span on one line of one file. `line` and `column` count from 1, `column` and `length` in UTF-16 units. */
export type SourcePosition = Readonly<{
  /** The file as the user named it (relative to the working directory where that is shorter), or `<stdin>`. */
  file: string
  line: number
  column: number
  length: number
  /** The text of that line, cut to 200 characters around the span. */
  excerpt: string
  /** Where the span begins in `excerpt`, counted from 1; absent: at `column`, nothing was cut off before it. */
  excerptColumn?: number
}>

/** A way into a resource's fields: `['spec', 'rules', 0, 'host']`. */
export type FieldPath = readonly (string | number)[]

/** Where a resource came from; it can point at each of its fields. */
export type Origin = {
  readonly file: string
  /** Position of the value at `path`, or of its nearest ancestor that exists. */
  locate(path: FieldPath): SourcePosition
  /** Position of the key at `path` (for unknown and duplicate fields), or of the value's nearest ancestor. */
  locateKey(path: FieldPath): SourcePosition
  /** Whether the value at `path` must not be shown. */
  hides(path: FieldPath): boolean
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
