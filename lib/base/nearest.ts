/** "Did you mean": the known word closest to a mistyped one. */
import { distance } from 'fastest-levenshtein'

/**
 * The word of `known` that is nearest to `word`, or undefined if none is near enough. Case makes no difference. Among equally
 * near words the one with the longest common beginning is taken, then the first.
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

/** The length of the common beginning of two words. */
function countShared(word: string, other: string): number {
  let length = 0
  while (length < word.length && word[length] === other[length]) length++
  return length
}

/** True if two neighbouring letters are swapped. */
function isSwap(word: string, other: string): boolean {
  if (word.length !== other.length) return false
  let at = 0
  while (at < word.length && word[at] === other[at]) at++
  return word[at] === other[at + 1] && word[at + 1] === other[at] && word.slice(at + 2) === other.slice(at + 2)
}

/** True if one word is the beginning of the other. */
function isCut(short: string, long: string): boolean {
  return short.length >= 4 && long.startsWith(short)
}
