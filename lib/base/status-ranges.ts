/** Ranges of HTTP status codes as people write them: `200-399`, `200,204`, `200-299, 401`. */

export type StatusRange = Readonly<{ from: number; to: number }>

const FORM = /^([1-5]\d\d)(?:-([1-5]\d\d))?$/

/** Undefined if the text is not a list of ranges. */
export function parseStatusRanges(text: string): readonly StatusRange[] | undefined {
  const ranges: StatusRange[] = []
  for (const part of text.split(',')) {
    const match = FORM.exec(part.trim())
    if (!match) return undefined
    const from = Number(match[1])
    const to = Number(match[2] ?? match[1])
    if (to < from) return undefined
    ranges.push({ from, to })
  }
  return ranges
}

export function includesStatus(ranges: readonly StatusRange[], status: number): boolean {
  return ranges.some(({ from, to }) => status >= from && status <= to)
}
