/** A file without a name: no other process can open it, and it is gone when its descriptor is closed, however this process ends. */
import { randomUUID } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'

/** Opens one for reading and writing in a folder that exists. Throws Node's errors. */
export async function openUnlinked(folder: string): Promise<FileHandle> {
  const path = join(folder, randomUUID())
  const file = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}
