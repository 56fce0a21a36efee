/** The folder of this package, and its version. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const { root, version } = readPackage()

/** The folder of package.json. */
export const PACKAGE_ROOT: string = root
export const VERSION: string = version

/** Finds package.json in a folder above the compiled files. */
function readPackage(): { root: string; version: string } {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      if (name === 'portico') return { root: folder, version }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    if (folder === dirname(folder)) throw new Error('package.json of portico not found')
  }
}
