/** The folder of the files that must outlive a restart. */
import { randomUUID } from 'node:crypto'
import { rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { makeFolder } from './folder.ts'

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
