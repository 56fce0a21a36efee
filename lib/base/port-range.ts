/** A range of port numbers in the notation of the API server's flag: `30000-32767`. */

export type PortRange = Readonly<{
  first: number
  /** The last port of the range. */
  last: number
}>

/** Reads `first-last` or a single port; undefined if the text is neither, or leaves 1 to 65535. */
export function parsePortRange(text: string): PortRange | undefined {
  const [, from, to = from] = /^\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?$/.exec(text) ?? []
  if (from === undefined) return undefined
  const first = Number(from)
  const last = Number(to)
  return first >= 1 && first <= last && last <= 65_535 ? { first, last } : undefined
}

export function printPortRange({ first, last }: PortRange): string {
  return `${first}-${last}`
}
