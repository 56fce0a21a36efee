/** Files of the data folder that nobody else may read. */
import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** Writes it whole or not at all; whoever reads sees the old file or the new one. Rejects with Node's error. */
export async function keepPrivate(path: string, text: string): Promise<void> {
  await makeFolder(dirname(path))
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
