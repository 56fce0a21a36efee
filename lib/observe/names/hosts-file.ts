/** The hosts file (hosts(5)), which stands above the DNS; read anew where its stamp is another. */
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'

const SYSTEM_FILE = process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts'

export class HostsFile {
  readonly #path: string
  #stamp = ''
  #names: ReadonlyMap<string, readonly string[]> = new Map()
  #reading: Promise<boolean> | undefined

  constructor(path: string = SYSTEM_FILE) {
    this.#path = path
  }

  /** Whether it is another one than at the last call; a file that cannot be read is an empty one. */
  refresh(): Promise<boolean> {
    this.#reading ??= this.#refresh().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** The addresses of a name in lower case, as last read; in the order of the file. */
  find(name: string): readonly string[] {
    return this.#names.get(name) ?? []
  }

  async #refresh(): Promise<boolean> {
    const stamp = await stat(this.#path).then(
      ({ dev, ino, size, mtimeMs }) => `${dev} ${ino} ${size} ${mtimeMs}`,
      () => '',
    )
    if (stamp === this.#stamp) return false
    this.#names = parseHosts(stamp === '' ? '' : await readFile(this.#path, 'latin1').catch(() => ''))
    this.#stamp = stamp
    return true
  }
}

/** By name in lower case. */
export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.split('#', 1)[0]!.trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const name of names) {
      const key = name.toLowerCase()
      const known = found.get(key)
      if (known === undefined) found.set(key, [address])
      else if (!known.includes(address)) known.push(address)
    }
  }
  return found
}
