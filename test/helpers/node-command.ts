/**
 * How to start Node as users do: without the hooks that tap puts into the NODE_OPTIONS of every child, which triple the time
 * that a start takes and cannot load the launcher.
 */
export function nodeCommand(words: readonly string[]): [program: string, words: string[]] {
  return ['env', ['-u', 'NODE_OPTIONS', process.execPath, ...words]]
}
