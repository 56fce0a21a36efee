/** What clients can cost by passwords that are to be checked. */
import t from 'tap'
import { GatewayError } from '../../lib/base/errors.ts'
import { type PasswordCheck, PasswordChecks } from '../../lib/filters/password-checks.ts'
import { FakeTime } from '../helpers/fake-time.ts'

const SHA = '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='
/** Of "secret", with a cost of 10. */
const BCRYPT = '$2y$10$PQ87XNf5zqXtN0Hj3XqL5e'.padEnd(60, 'a')

function question(password: string, hash: string = SHA) {
  return { password: Buffer.from(password), hash }
}

function begin(checks: PasswordChecks, client: string, password = 'secret', hash = SHA, mayBeRight = true) {
  const check = checks.start(client, question(password, hash), mayBeRight)
  if (check instanceof GatewayError) throw check
  return check
}

function refusal(checks: PasswordChecks, client: string) {
  const refused = checks.start(client, question('x'), true)
  if (!(refused instanceof GatewayError)) return undefined
  return { code: refused.code, status: refused.status, retryAfter: refused.retryAfter }
}

t.test('right is right, wrong is wrong, and of a user who does not exist nothing is right', async (t) => {
  const checks = new PasswordChecks()
  t.equal(await begin(checks, 'a').outcome, true)
  t.equal(await begin(checks, 'a', 'wrong').outcome, false)
  t.equal(await begin(checks, 'a', 'secret', SHA, false).outcome, false)
})

t.test('a client may have 16 waiting, all together 256, and those of a client that leaves make room', async (t) => {
  const checks = new PasswordChecks()
  // One runs.
  const first = begin(checks, 'a')
  const waiting = Array.from({ length: 16 }, () => begin(checks, 'a'))
  t.match(refusal(checks, 'a'), { code: 'PORTICO_REQ_TOO_MANY', status: 429, retryAfter: 1 })
  for (const check of waiting.slice(0, 8)) checks.cancel(check)
  checks.cancel(waiting[0]!)
  const more = Array.from({ length: 8 }, () => begin(checks, 'a'))
  t.match(refusal(checks, 'a'), { code: 'PORTICO_REQ_TOO_MANY' })
  const others = Array.from({ length: 240 }, (_, at) => begin(checks, `client ${at}`))
  t.match(refusal(checks, 'another'), { code: 'PORTICO_GW_OVERLOADED', status: 503, retryAfter: 1 })
  const outcomes = await Promise.all([first, ...waiting.slice(8), ...more, ...others].map(({ outcome }) => outcome))
  t.ok(outcomes.every((outcome) => outcome === true))
  t.equal(await begin(checks, 'another').outcome, true, 'there is room again')
})

t.test('clients are served in turn', async (t) => {
  const checks = new PasswordChecks()
  const order: string[] = []
  const note = (name: string, check: PasswordCheck) => check.outcome.then(() => order.push(name))
  const first = note('a0', begin(checks, 'a'))
  const many = Array.from({ length: 5 }, (_, at) => note(`a${at + 1}`, begin(checks, 'a')))
  const others = ['b', 'c'].map((client) => note(client, begin(checks, client)))
  await Promise.all([first, ...many, ...others])
  t.same(order, ['a0', 'a1', 'b', 'c', 'a2', 'a3', 'a4', 'a5'])
})

t.test('what waits for more than ten seconds is refused', async (t) => {
  const time = new FakeTime()
  const checks = new PasswordChecks(time)
  const running = begin(checks, 'a')
  const late = [begin(checks, 'a'), begin(checks, 'b')]
  time.advance(10_001)
  const fresh = begin(checks, 'b')
  t.equal(await running.outcome, true)
  for (const { outcome } of late) t.match(await outcome, { code: 'PORTICO_GW_OVERLOADED', retryAfter: 1 })
  t.equal(await fresh.outcome, true)
})

t.test('wrong passwords of a client may take a tenth of the time, and others do not pay for them', async (t) => {
  const time = new FakeTime()
  const checks = new PasswordChecks(time)
  const right = begin(checks, 'guesser')
  await right.outcome
  t.equal(refusal(checks, 'guesser'), undefined, 'right ones cost nothing')
  let used = 0
  for (let tries = 0; used < 2_000 && tries < 1_000; tries++) {
    const check = begin(checks, 'guesser', `guess ${tries}`, BCRYPT, tries % 2 === 0)
    t.equal(await check.outcome, false)
    used += check.ms
  }
  const refused = refusal(checks, 'guesser')
  const seconds = Math.ceil(((used - 2_000) * 10) / 1_000)
  t.match(refused, { code: 'PORTICO_REQ_RATE_LIMITED', status: 429 })
  t.ok(Math.abs(refused!.retryAfter! - seconds) <= 1, `${refused?.retryAfter} s for ${used} ms`)
  t.equal(await begin(checks, 'somebody else').outcome, true)
  time.advance(refused!.retryAfter! * 1_000)
  t.equal(refusal(checks, 'guesser'), undefined, 'later it may try again')
})

t.test('the event loop goes on while a password is checked', async (t) => {
  const checks = new PasswordChecks()
  await begin(checks, 'a').outcome
  const check = begin(checks, 'a', 'wrong', BCRYPT.replace('$10$', '$12$'))
  let isOver = false
  void check.outcome.then(() => {
    isOver = true
  })
  let longest = 0
  for (let last = performance.now(); !isOver; ) {
    await new Promise((resolve) => setImmediate(resolve))
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }
  t.ok(check.ms > 100, `it took ${check.ms} ms`)
  t.ok(longest < check.ms / 2, `the longest pause was ${longest} ms`)
})

t.test('where the thread ends, a check fails and the next one has another thread', async (t) => {
  const checks = new PasswordChecks()
  const broken = checks.start('a', { password: Buffer.from('x'), hash: undefined as unknown as string }, true)
  t.match(await (broken as PasswordCheck).outcome, { code: 'PORTICO_GW_AUTH_UNAVAILABLE', status: 503 })
  t.equal(await begin(checks, 'a').outcome, true)
})
