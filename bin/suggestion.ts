/** "did you mean" for what was typed: the beginning of a name, a slip, or its letters in another order. */
import { findNearest } from '../lib/base/nearest.ts'

/** A sentence that names the nearest name, or undefined where none is near. The dashes of flags count for nothing. */
export function suggestName(typed: string, names: readonly string[]): string | undefined {
  const word = stripDashes(typed.toLowerCase())
  const letters = sortLetters(word)
  const bare = names.map(stripDashes)
  const nearest =
    bare.find((name) => word.length > 1 && name.startsWith(word)) ??
    findNearest(word, bare) ??
    bare.find((name) => word !== '' && sortLetters(name) === letters)
  return nearest === undefined ? undefined : `did you mean ${names[bare.indexOf(nearest)]}?`
}

function stripDashes(word: string): string {
  return word.replace(/^-+/, '')
}

function sortLetters(word: string): string {
  return [...word].sort().join('')
}
