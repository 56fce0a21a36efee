/** Where this package lies, and its version. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const { root, version } = readPackage()

/** The folder of package.json. */
export const PACKAGE_ROOT: string = root
export const VERSION: string = version

/** package.json stands above the compiled files, however deep they are. */
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
