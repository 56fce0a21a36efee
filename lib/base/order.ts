/** The order of texts everywhere in Portico: by code unit, so it is the same on every machine, whatever the locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
