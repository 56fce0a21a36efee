/** The folder of the files that must outlive a restart. */
import { randomUUID } from 'node:crypto'
import { accessSync, constants, statSync } from 'node:fs'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** The folder used if `dataDir` is empty: the user's XDG data folder. */
export function findDataDir(dataDir: string, environment: NodeJS.ProcessEnv): string {
  if (dataDir !== '') return dataDir
  const base = environment.XDG_DATA_HOME
  // The XDG Base Directory Specification says to ignore a relative path.
  return base?.startsWith('/') ? join(base, 'portico') : join(homedir(), '.local', 'share', 'portico')
}

/** Writes a file completely or not at all, readable by this user alone; makes a missing folder. Throws Node's errors. */
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

/** Why files cannot be made in a folder; undefined: they can, or the folder does not exist yet. */
export function findFolderFault(path: string): string | undefined {
  try {
    if (!statSync(path).isDirectory()) return `${path} is no folder`
    accessSync(path, constants.W_OK | constants.X_OK)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? undefined : `${path} cannot be written (${code})`
  }
}

/**
 * Makes a folder for this user alone, unless it exists. One level at a time: Node's recursive `mkdir` never returns below a folder
 * that takes no children, such as /proc. Throws Node's errors.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return
    const parent = dirname(path)
    if (code !== 'ENOENT' || parent === path) throw error
    // ENOENT below a parent that exists means that the parent takes no children.
    const isMissing = await stat(parent).then(
      () => false,
      () => true,
    )
    if (!isMissing) throw error
    await makeFolder(parent)
    // Another process may have made it meanwhile.
    await makeFolder(path)
  }
}
