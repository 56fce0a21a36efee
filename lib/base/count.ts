/** Counts with their noun. */

/** `1 file`, `2 files` */
export function printCount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
