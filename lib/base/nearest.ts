/** "Did you mean": the known word closest to a mistyped one. */
import { distance } from 'fastest-levenshtein'

/** The nearest of `known`, or undefined where nothing is near enough to be meant. Case counts as no difference. */
export function findNearest(word: string, known: Iterable<string>): string | undefined {
  const lower = word.toLowerCase()
  let nearest: string | undefined
  // A third of the letters may differ; two swapped letters count as two.
  let least = Math.max(lower.length < 4 ? 1 : 2, Math.floor(lower.length / 3)) + 1
  for (const candidate of known) {
    const other = candidate.toLowerCase()
    const steps = isCut(lower, other) || isCut(other, lower) ? 1 : distance(lower, other)
    if (steps < least) {
      least = steps
      nearest = candidate
    }
  }
  return nearest
}

/** Whether one word is the other, cut short. */
function isCut(short: string, long: string): boolean {
  return short.length >= 4 && long.startsWith(short)
}
