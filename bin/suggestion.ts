/** "did you mean" for what was typed: the beginning of a name, a slip, or its letters in another order. */
import { findNearest } from '../lib/base/nearest.ts'

/** A sentence that names the nearest name, or undefined where none is near. */
export function suggestName(typed: string, names: readonly string[]): string | undefined {
  const word = typed.toLowerCase()
  const letters = sortLetters(word)
  const nearest =
    names.find((name) => word.replace(/^-+/, '').length > 1 && name.startsWith(word)) ??
    findNearest(word, names) ??
    names.find((name) => sortLetters(name) === letters)
  return nearest && `did you mean ${nearest}?`
}

function sortLetters(word: string): string {
  return [...word].sort().join('')
}
