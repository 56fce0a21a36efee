/** Which files have changed, and which tests they can make fail. */
import { execFileSync } from 'node:child_process'
import type { ModuleGraph } from './module-graph.ts'

/** Files on which every test depends. */
const OF_ALL = new Set(['package-lock.json', 'tsconfig.json'])

/** Tests that reach a changed file, or a folder that holds it. */
export function pickReached(graph: ModuleGraph, changed: readonly string[]): readonly string[] {
  if (changed.some((file) => OF_ALL.has(file))) return graph.tests
  const touched = [...new Set(changed.flatMap(listFolders))]
  return graph.tests.filter((test) => {
    const reach = graph.reach(test)
    return touched.some((path) => reach.has(path))
  })
}

/** A path, and each folder that it lies in. */
function listFolders(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.map((_, at) => parts.slice(0, at + 1).join('/'))
}

/** Files that differ from `ref`, with those that git does not track yet. The default is the commit at which this branch left main. */
export function listChanged(ref = findBase()): readonly string[] {
  const differing = git('diff', '--name-only', '--relative', ref)
  return [...differing, ...git('ls-files', '--others', '--exclude-standard')]
}

function findBase(): string {
  for (const main of ['origin/main', 'main']) {
    try {
      return git('merge-base', 'HEAD', main)[0]!
    } catch {
      // A clone need not have that branch.
    }
  }
  return 'HEAD'
}

function git(...words: readonly string[]): readonly string[] {
  const output = execFileSync('git', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  return output.split('\n').filter((line) => line !== '')
}
