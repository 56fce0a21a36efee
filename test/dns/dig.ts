/** dig, the client that DNS servers are held to; tests skip by name where it is not installed. */
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const isDigHere = spawnSync('dig', ['-v']).error === undefined

export type Dug = Readonly<{
  /** `NOERROR`, `NXDOMAIN` … */
  status: string
  flags: readonly string[]
  /** `name type data`, in the order they came. */
  answer: readonly string[]
  authority: readonly string[]
  additional: readonly string[]
  /** TTLs of the answers, seconds. */
  ttls: readonly number[]
  /** The answer says that it has EDNS. */
  edns: boolean
  /** dig found the answer cut and asked again over TCP. */
  isRetried: boolean
  transport: string
  bytes: number
  text: string
}>

/** Asks the server on `port` of 127.0.0.1; `words` as after `dig`. */
export async function dig(port: number, words: string): Promise<Dug> {
  const fixed = ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=20']
  const { stdout } = await run('dig', [...fixed, ...words.split(' ')])
  const section = (name: string): string[] => {
    const body = new RegExp(`;; ${name} SECTION:\n((?:[^\n;]+\n)*)`).exec(stdout)?.[1] ?? ''
    return body.split('\n').filter((line) => line !== '')
  }
  const answer = section('ANSWER')
  return {
    status: /status: (\w+)/.exec(stdout)?.[1] ?? '',
    flags: (/;; flags: ([^;]*);/.exec(stdout)?.[1] ?? '').split(' '),
    answer: answer.map(printRecord),
    authority: section('AUTHORITY').map(printRecord),
    additional: section('ADDITIONAL').map(printRecord),
    ttls: answer.map((line) => Number(line.split(/\s+/)[1])),
    edns: stdout.includes('EDNS: version: 0'),
    isRetried: stdout.includes('Truncated, retrying in TCP mode'),
    transport: /SERVER: .*\((UDP|TCP)\)/.exec(stdout)?.[1] ?? '',
    bytes: Number(/MSG SIZE\s+rcvd: (\d+)/.exec(stdout)?.[1]),
    text: stdout,
  }
}

function printRecord(line: string): string {
  const [name, , , type, ...data] = line.split(/\s+/)
  return `${name} ${type} ${data.join(' ')}`
}
