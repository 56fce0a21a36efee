/**
 * The same latin1 text in one piece of its own: a text joined of many pieces would be walked again at each write, and one cut out of
 * a longer text would keep all of that in memory.
 */
export function flattenText(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
