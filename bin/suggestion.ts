/** "did you mean" for a mistyped word: the beginning of a name, a typing error, or letters in another order. */
import { findNearest } from '../lib/base/nearest.ts'

/** A sentence with the nearest name; undefined if none is near. The dashes of flags do not count. */
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
