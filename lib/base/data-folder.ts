/** The folder for what must outlive a restart. */
import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** Where `dataDir` leads when it is empty: the XDG data folder of the user. */
export function findDataDir(dataDir: string, environment: NodeJS.ProcessEnv): string {
  if (dataDir !== '') return dataDir
  const base = environment.XDG_DATA_HOME
  // Relative paths in it are to be ignored (XDG Base Directory Specification).
  return base?.startsWith('/') ? join(base, 'portico') : join(homedir(), '.local', 'share', 'portico')
}

/** Puts a file there whole or not at all, for this user alone; makes the folder where it is missing. Throws Node's errors. */
export async function keepFile(dataDir: string, name: string, text: string): Promise<void> {
  await makeFolder(dataDir)
  const path = join(dataDir, name)
  const temporary = `${path}.${randomUUID()}`
  try {
    await writeFile(temporary, text, { mode: 0o600, flag: 'wx' })
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

/** One level at a time: Node's recursive `mkdir` never ends below folders that take no children, such as /proc. */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || parent === path) throw error
    // A parent that is there and yet ENOENT: it takes no children.
    const isMissing = await stat(parent).then(
      () => false,
      () => true,
    )
    if (!isMissing) throw error
    await makeFolder(parent)
    await mkdir(path, { mode: 0o700 })
  }
}
