/** "Did you mean": the known word closest to a mistyped one. */
import { distance } from 'fastest-levenshtein'

/**
 * The nearest of `known`, or undefined where nothing is near enough to be meant. Case counts as no difference; of equally
 * near words the one that begins alike for longer is meant, then the first.
 */
export function findNearest(word: string, known: Iterable<string>): string | undefined {
  const lower = word.toLowerCase()
  let nearest: string | undefined
  // A third of the letters may differ.
  let least = Math.max(lower.length < 5 ? 1 : 2, Math.floor(lower.length / 3)) + 1
  let shared = 0
  for (const candidate of known) {
    const other = candidate.toLowerCase()
    const steps = countSteps(lower, other)
    if (steps > least || (steps === least && nearest === undefined)) continue
    const alike = countShared(lower, other)
    if (steps === least && alike <= shared) continue
    nearest = candidate
    least = steps
    shared = alike
  }
  return nearest
}

function countSteps(word: string, other: string): number {
  if (word === other) return 0
  return isCut(word, other) || isCut(other, word) || isSwap(word, other) ? 1 : distance(word, other)
}

/** How many letters two words have in common at their beginning. */
function countShared(word: string, other: string): number {
  let length = 0
  while (length < word.length && word[length] === other[length]) length++
  return length
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
