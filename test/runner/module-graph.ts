/** What each module of the project names: the modules that it imports or starts, and the files and folders that it reads. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDERS = ['lib', 'bin', 'test']

/** Strings that are not meant as paths, though such files exist: `test` is a top-level domain in examples. */
const WORDS = new Set(['.', 'test'])

/** The inside of a string, in a template up to its first value. */
const STRING = /(?<=['"`])[\w./-]+(?=['"`$])/g

type Names = Readonly<{
  /** Modules of the project. */
  modules: readonly string[]
  /** Files and folders of the project. */
  others: readonly string[]
}>

/** All paths are relative to the root of the project. */
export class ModuleGraph {
  readonly #root: string
  readonly #modules: ReadonlySet<string>
  readonly #names = new Map<string, Names>()

  constructor(root = '.') {
    this.#root = root
    this.#modules = new Set(FOLDERS.flatMap((folder) => listModules(root, folder)))
  }

  /** The tests, in order of their names. */
  get tests(): readonly string[] {
    return [...this.#modules].filter((module) => module.startsWith('test/') && module.endsWith('.test.ts')).sort()
  }

  /** The module itself, and all that it leads to. */
  reach(module: string): ReadonlySet<string> {
    const reached = new Set([module])
    for (const next of reached) {
      if (!this.#modules.has(next)) continue
      const { modules, others } = this.#namesOf(next)
      for (const name of modules) reached.add(name)
      for (const name of others) reached.add(name)
    }
    return reached
  }

  #namesOf(module: string): Names {
    let names = this.#names.get(module)
    if (!names) {
      names = this.#readNames(module)
      this.#names.set(module, names)
    }
    return names
  }

  #readNames(module: string): Names {
    const modules: string[] = []
    const others: string[] = []
    for (const [text] of readFileSync(join(this.#root, module), 'utf8').matchAll(STRING)) {
      const path = join(text.startsWith('.') ? join(module, '..') : '', text).replace(/\/$/, '')
      // Tests start compiled modules.
      const source = path.replace(/\.js$/, '.ts')
      if (this.#modules.has(source)) modules.push(source)
      // Tests alone read other files of the project.
      else if (module.startsWith('test/') && !WORDS.has(path) && existsSync(join(this.#root, path))) others.push(path)
    }
    return { modules, others }
  }
}

function listModules(root: string, folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('fixtures/'))
    .map((name) => join(folder, name))
}
