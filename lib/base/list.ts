/** The changed part of a list most of which is as before. Entries are compared by identity alone. */

/** The parts between the beginning and the end that both lists share: most often the entries of one file. */
export function cutSame<T>(
  before: readonly T[],
  after: readonly T[],
): Readonly<{ start: number; gone: readonly T[]; come: readonly T[] }> {
  const shorter = Math.min(before.length, after.length)
  let start = 0
  while (start < shorter && before[start] === after[start]) start++
  let end = 0
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++
  return { start, gone: before.slice(start, before.length - end), come: after.slice(start, after.length - end) }
}
