/** A folder in which the gateway makes files. */
import { accessSync, constants, statSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

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
 * that takes no children, such as /proc. Another process may make the same folders meanwhile. Throws Node's errors.
 */
export async function makeFolder(path: string): Promise<void> {
  const missing = await makeBelowParent(path)
  if (missing === undefined) return
  await makeFolder(dirname(path))
  // With its parent there, ENOENT means that the parent takes no children.
  const fault = await makeBelowParent(path)
  if (fault !== undefined) throw fault
}

/** Node's error where the parent is missing; undefined: the folder is there now. */
async function makeBelowParent(path: string): Promise<Error | undefined> {
  try {
    await mkdir(path, { mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return error as Error
    if (code !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error
  }
  return undefined
}
