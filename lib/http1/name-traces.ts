/** What is known of the names of fields without a look at their lines: mostly, that a name is not there. HOT */

/**
 * Each name of a field sets one bit in each of the two numbers. The length and the first letter of the name choose the bit in `fronts`, the
 * length and the last letter choose the bit in `backs`; upper and lower case choose the same bit. If a bit of a name is not set, no line has
 * the name. If both bits are set, a line may have the name, and the lines have to be searched.
 */
export type NameTraces = Readonly<{ fronts: number; backs: number }>

/** The bit of a name of this length that begins with this character. */
export function traceFront(character: number, length: number): number {
  // The low five bits of a letter are the same in both cases, and a shift takes the low five bits.
  return 1 << (character + length)
}

/** The bit of a name of this length that ends with this character. The length counts thrice, or names that share the one bit would share the other. */
export function traceBack(character: number, length: number): number {
  return 1 << (character + 3 * length)
}

export function frontOf(name: string): number {
  return traceFront(name.charCodeAt(0), name.length)
}

export function backOf(name: string): number {
  return traceBack(name.charCodeAt(name.length - 1), name.length)
}

/** False: no line has this name. */
export function mayHave(name: string, fronts: number, backs: number): boolean {
  return (fronts & frontOf(name)) !== 0 && (backs & backOf(name)) !== 0
}

export function traceNames(names: readonly string[]): NameTraces {
  let fronts = 0
  let backs = 0
  for (const name of names) {
    fronts |= frontOf(name)
    backs |= backOf(name)
  }
  return { fronts, backs }
}

/** The traces of the names of field lines. */
export function traceLines(lines: string): NameTraces {
  let fronts = 0
  let backs = 0
  for (let at = 0; at < lines.length; at = lines.indexOf('\n', at) + 1) {
    const colon = lines.indexOf(':', at)
    fronts |= traceFront(lines.charCodeAt(at), colon - at)
    backs |= traceBack(lines.charCodeAt(colon - 1), colon - at)
  }
  return { fronts, backs }
}
