/** "Did you mean": the known word closest to a mistyped one. */
import { distance } from 'fastest-levenshtein'

/** The nearest of `known`, or undefined where nothing is near enough to be meant. Case counts as no difference. */
export function findNearest(word: string, known: Iterable<string>): string | undefined {
  const lower = word.toLowerCase()
  let nearest: string | undefined
  // A third of the letters may differ.
  let least = Math.max(lower.length < 5 ? 1 : 2, Math.floor(lower.length / 3)) + 1
  for (const candidate of known) {
    const other = candidate.toLowerCase()
    const steps = isCut(lower, other) || isCut(other, lower) || isSwap(lower, other) ? 1 : distance(lower, other)
    if (steps < least) {
      least = steps
      nearest = candidate
    }
  }
  return nearest
}

/** Whether two letters that stand side by side have changed places. */
function isSwap(word: string, other: string): boolean {
  if (word.length !== other.length) return false
  let at = 0
  while (at < word.length && word[at] === other[at]) at++
  return word[at] === other[at + 1] && word[at + 1] === other[at] && word.slice(at + 2) === other.slice(at + 2)
}

/** Whether one word is the other, cut short. */
function isCut(short: string, long: string): boolean {
  return short.length >= 4 && long.startsWith(short)
}
