/** Finds out if this process runs in a container, where loopback is not the machine's. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Docker's and Podman's own marks. */
const MARKS = ['.dockerenv', 'run/.containerenv']
/** Control groups that container engines make. */
const ENGINES = /docker|containerd|kubepods|libpod|lxc/

/** Reads files, so not for every request. `root` is the root folder. */
export function isInContainer(root: string = '/'): boolean {
  if (MARKS.some((mark) => existsSync(join(root, mark)))) return true
  try {
    return ENGINES.test(readFileSync(join(root, 'proc/self/cgroup'), 'utf8'))
  } catch {
    return false
  }
}
