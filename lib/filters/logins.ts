/** The users of one htpasswd file, and the credentials that were found right: checking them again costs one fast hash. HOT */
import { hash as hashOnce, randomBytes } from 'node:crypto'
import { GatewayError } from '../base/errors.ts'
import type { User } from './htpasswd.ts'
import { type PasswordCheck, PasswordChecks } from './password-checks.ts'

/** Bytes of a name and a password together: some hashes take longer for longer passwords. */
const MAX_CREDENTIALS = 512

/** All checks of this process. */
const checks = new PasswordChecks()

/** The name of a user; why there was no answer; or undefined: the credentials are wrong. */
export type LoginOutcome = string | GatewayError | undefined

/** Credentials that are being checked, for all requests that have them. */
class PendingLogin {
  readonly check: PasswordCheck
  readonly outcome: Promise<LoginOutcome>
  requests = 0

  constructor(check: PasswordCheck, outcome: Promise<LoginOutcome>) {
    this.check = check
    this.outcome = outcome
  }
}

export class Logins {
  readonly #hashes: ReadonlyMap<string, string>
  /** Names of users that lend their hashes to names that no user has, so that both take the same time. */
  readonly #lenders: readonly string[]
  /** Of the hashes by which credentials are known: the credentials themselves are not kept. */
  readonly #key = randomBytes(32).toString('base64')
  /** By the hash of credentials that are right: the user. */
  readonly #users = new Map<string, string>()
  /** By user: the hash of credentials that are right, the last ones of each. */
  readonly #known = new Map<string, string>()
  readonly #pending = new Map<string, PendingLogin>()

  constructor(users: readonly User[]) {
    this.#hashes = new Map(users)
    this.#lenders = users.map(([name]) => name)
  }

  /** The user whose credentials, in base64, were found right before. */
  find(token: string): string | undefined {
    return this.#users.get(this.#hash(token))
  }

  /** Checks credentials, in base64, that a client sends. `leave` says that the request waits no more. */
  check(token: string, client: string): Readonly<{ outcome: Promise<LoginOutcome>; leave: () => void }> | LoginOutcome {
    const key = this.#hash(token)
    const login = this.#pending.get(key) ?? this.#begin(key, token, client)
    if (!(login instanceof PendingLogin)) return login
    login.requests++
    const leave = (): void => {
      if (--login.requests > 0) return
      checks.cancel(login.check)
      this.#pending.delete(key)
    }
    return { outcome: login.outcome, leave }
  }

  #begin(key: string, token: string, client: string): PendingLogin | LoginOutcome {
    const credentials = Buffer.from(token, 'base64')
    const colon = credentials.indexOf(0x3a)
    // Other spellings of the same credentials would be checked each.
    if (colon < 0 || credentials.length > MAX_CREDENTIALS || credentials.toString('base64') !== token) return undefined
    const user = credentials.toString('latin1', 0, colon)
    const own = this.#hashes.get(user)
    const question = { password: credentials.subarray(colon + 1), hash: own ?? this.#lend(user) }
    const check = checks.start(client, question, own !== undefined)
    if (check instanceof GatewayError) return check
    const login = new PendingLogin(check, this.#await(key, user, check))
    this.#pending.set(key, login)
    return login
  }

  async #await(key: string, user: string, check: PasswordCheck): Promise<LoginOutcome> {
    const isRight = await check.outcome
    this.#pending.delete(key)
    if (typeof isRight !== 'boolean') return isRight
    if (!isRight) return undefined
    this.#keep(key, user, check)
    return user
  }

  #keep(key: string, user: string, check: PasswordCheck): void {
    const before = this.#known.get(user)
    if (before !== undefined) {
      // bcrypt reads 72 bytes, so that a user with a longer password has many that are right.
      checks.charge(check)
      this.#users.delete(before)
    }
    this.#known.set(user, key)
    this.#users.set(key, user)
  }

  #lend(user: string): string {
    const at = Number.parseInt(hashOnce('sha256', this.#key + user, 'hex').slice(0, 8), 16) % this.#lenders.length
    return this.#hashes.get(this.#lenders[at]!)!
  }

  #hash(text: string): string {
    return hashOnce('sha256', this.#key + text, 'base64')
  }
}
