/** Users with hashes of their passwords, as htpasswd writes them. What is wrong is told without a word of what is written. */

/** A name and a hash, latin1 (a character a byte), as options of a filter hold them. */
export type User = readonly [name: string, hash: string]

const MAX_USERS = 10_000
/** A name becomes the value of a field. */
const NAME = /^[\x21-\x39\x3b-\x7e\x80-\xff](?:[\x20-\x39\x3b-\x7e\x80-\xff]{0,253}[\x21-\x39\x3b-\x7e\x80-\xff])?$/

/** The costliest hashes take about a second to check. */
const MAX_BCRYPT_COST = 14
const MAX_ROUNDS = 500_000

type HashForm = Readonly<{
  /** The group is the cost, where it is written. */
  pattern: RegExp
  fault?: (cost: number) => string | undefined
}>

const checkRounds = (rounds: number): string | undefined =>
  rounds >= 1_000 && rounds <= MAX_ROUNDS
    ? undefined
    : `has a hash of fewer than 1000 or more than ${MAX_ROUNDS} rounds`

/** The hashes that password-hash can check. */
const HASH_FORMS: readonly HashForm[] = [
  {
    pattern: /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/,
    fault: (cost) =>
      cost >= 4 && cost <= MAX_BCRYPT_COST
        ? undefined
        : `has a bcrypt hash with a cost below 4 or above ${MAX_BCRYPT_COST}`,
  },
  { pattern: /^\$apr1\$[!-#%-9;-~]{0,8}\$[./A-Za-z0-9]{22}$/ },
  { pattern: /^\{SHA\}[A-Za-z0-9+/]{27}=$/ },
  { pattern: /^\$5\$(?:rounds=(\d{1,9})\$)?[!-#%-9;-~]{0,16}\$[./A-Za-z0-9]{43}$/, fault: checkRounds },
  { pattern: /^\$6\$(?:rounds=(\d{1,9})\$)?[!-#%-9;-~]{0,16}\$[./A-Za-z0-9]{86}$/, fault: checkRounds },
]

/** The users of a file, `name:hash` in each line; or why it cannot be used. A third part of a line is a comment, as in nginx. */
export function parseHtpasswd(text: string): readonly User[] | string {
  const entries: (readonly [place: string, name: string, hash: string])[] = []
  for (const [at, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const [name = '', hash = ''] = line.split(':')
    entries.push([`line ${at + 1}`, name, hash.trim()])
  }
  return checkUsers(entries)
}

/** The users of a map from names to hashes; or why it cannot be used. */
export function readUserMap(map: Readonly<Record<string, string>>): readonly User[] | string {
  return checkUsers(Object.entries(map).map(([name, hash], at) => [`key number ${at + 1}`, name, hash.trim()]))
}

function checkUsers(
  entries: readonly (readonly [place: string, name: string, hash: string])[],
): readonly User[] | string {
  if (entries.length === 0) return 'names no user'
  if (entries.length > MAX_USERS) return `names more than ${MAX_USERS} users`
  const users = new Map<string, string>()
  for (const [place, name, hash] of entries) {
    const fault = NAME.test(name) ? findHashFault(hash) : 'has no name, or one that fields cannot hold'
    if (fault !== undefined) return `${place} ${fault}`
    // Servers differ in which of two passwords they take.
    if (users.has(name)) return `${place} has the name of an earlier user`
    users.set(name, hash)
  }
  return [...users]
}

function findHashFault(hash: string): string | undefined {
  for (const { pattern, fault } of HASH_FORMS) {
    const found = pattern.exec(hash)
    if (found !== null) return found[1] === undefined ? undefined : fault?.(Number(found[1]))
  }
  return 'has a hash of another kind, or a plain password'
}
