/** Checks passwords against hashes as htpasswd and crypt(3) write them. It takes long, and runs in a thread (password-thread). */
import { createHash, hash as hashOnce, timingSafeEqual } from 'node:crypto'
import { hashSync } from 'bcryptjs'

/** True if the hash, which has one of the forms in htpasswd, is the password's. The time does not tell how much of it agrees. */
export function matchesHash(password: Uint8Array, hash: string): boolean {
  const expected = Buffer.from(hash, 'latin1')
  const made = Buffer.from(makeHash(Buffer.from(password), hash), 'latin1')
  return made.length === expected.length && timingSafeEqual(made, expected)
}

/** Hashes a password with the method, the rounds and the salt of another hash. */
function makeHash(password: Buffer, like: string): string {
  if (like.startsWith('{SHA}')) return `{SHA}${createHash('sha1').update(password).digest('base64')}`
  const end = like.lastIndexOf('$')
  if (like.startsWith('$2')) return hashSync(password.toString(), like.slice(0, end + 23))
  const salt = Buffer.from(like.slice(like.lastIndexOf('$', end - 1) + 1, end), 'latin1')
  const beginning = like.slice(0, end + 1)
  if (like.startsWith('$apr1$')) return beginning + makeApr1(password, salt)
  const rounds = Number(/^\$\d\$rounds=(\d+)\$/.exec(like)?.[1] ?? 5_000)
  return beginning + makeShaCrypt(like.startsWith('$5$') ? SHA_256 : SHA_512, password, salt, rounds)
}

const CRYPT_ALPHABET = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

/** The order in which the bytes of a digest are written, three for each four characters. */
type ByteOrder = readonly (readonly [number, number, number])[]

/** `-1` is no byte. */
function encode(digest: Buffer, order: ByteOrder): string {
  let text = ''
  for (const bytes of order) {
    const [high, middle, low] = bytes.map((at) => (at < 0 ? 0 : digest[at]!)) as [number, number, number]
    let bits = (high << 16) | (middle << 8) | low
    for (let left = bytes.filter((at) => at >= 0).length; left >= 0; left--, bits >>= 6)
      text += CRYPT_ALPHABET[bits & 63]
  }
  return text
}

const APR1_ORDER: ByteOrder = [
  [0, 6, 12],
  [1, 7, 13],
  [2, 8, 14],
  [3, 9, 15],
  [4, 10, 5],
  [-1, -1, 11],
]

/** MD5 as Apache has it: 1000 rounds of it (apr_md5_encode of APR). */
function makeApr1(password: Buffer, salt: Buffer): string {
  const { length } = password
  const inner = createHash('md5').update(password).update(salt).update(password).digest()
  const outer = createHash('md5').update(password).update('$apr1$').update(salt).update(repeatTo(inner, length))
  for (let bits = length; bits > 0; bits >>= 1) outer.update((bits & 1) === 1 ? Buffer.of(0) : password.subarray(0, 1))
  return encode(stretch('md5', outer.digest(), password, salt, 1_000), APR1_ORDER)
}

type ShaCrypt = Readonly<{ algorithm: 'sha256' | 'sha512'; order: ByteOrder }>

const SHA_256: ShaCrypt = {
  algorithm: 'sha256',
  order: [...rotate([0, 10, 20], 10, ([a, b, c]) => [c + 1, a + 1, b + 1]), [-1, 31, 30]],
}
const SHA_512: ShaCrypt = {
  algorithm: 'sha512',
  order: [...rotate([0, 21, 42], 21, ([a, b, c]) => [b + 1, c + 1, a + 1]), [-1, -1, 63]],
}

function rotate(
  first: ByteOrder[number],
  count: number,
  next: (before: ByteOrder[number]) => ByteOrder[number],
): ByteOrder {
  const order = [first]
  while (order.length < count) order.push(next(order.at(-1)!))
  return order
}

/** SHA-crypt (Drepper, "Unix crypt using SHA-256 and SHA-512", 0.6). */
function makeShaCrypt({ algorithm, order }: ShaCrypt, password: Buffer, salt: Buffer, rounds: number): string {
  const { length } = password
  const inner = createHash(algorithm).update(password).update(salt).update(password).digest()
  const outer = createHash(algorithm).update(password).update(salt).update(repeatTo(inner, length))
  for (let bits = length; bits > 0; bits >>= 1) outer.update((bits & 1) === 1 ? inner : password)
  const digest = outer.digest()
  const longPassword = createHash(algorithm)
  for (let times = 0; times < length; times++) longPassword.update(password)
  const longSalt = createHash(algorithm)
  for (let times = 0; times < 16 + digest[0]!; times++) longSalt.update(salt)
  const mixedPassword = repeatTo(longPassword.digest(), length)
  const mixedSalt = repeatTo(longSalt.digest(), salt.length)
  return encode(stretch(algorithm, digest, mixedPassword, mixedSalt, rounds), order)
}

/** The rounds that make each guess costly: MD5-crypt and SHA-crypt have the same. */
function stretch(algorithm: string, first: Buffer, password: Buffer, salt: Buffer, rounds: number): Buffer {
  let digest = first
  for (let round = 0; round < rounds; round++) {
    const isOdd = (round & 1) === 1
    const parts = [isOdd ? password : digest]
    if (round % 3 !== 0) parts.push(salt)
    if (round % 7 !== 0) parts.push(password)
    parts.push(isOdd ? digest : password)
    digest = hashOnce(algorithm, Buffer.concat(parts), 'buffer')
  }
  return digest
}

/** The bytes again and again, `length` of them. */
function repeatTo(bytes: Buffer, length: number): Buffer {
  return Buffer.alloc(length, bytes)
}
