import { spawnSync } from 'node:child_process'
import t from 'tap'
import { parseHtpasswd, readUserMap } from '../../lib/filters/htpasswd.ts'
import { matchesHash } from '../../lib/filters/password-hash.ts'

/** Made by `openssl passwd`, by Apache's htpasswd, and by crypt(3). */
const VECTORS: readonly (readonly [password: string, hash: string])[] = [
  ['secret', '$apr1$ab$jiiV6N7hIIuIoJbc1hxOE/'],
  ['pässwörd', '$apr1$abcdefgh$030j6I3f1zNCF9tihqdd11'],
  ['x'.repeat(17), '$apr1$12345678$khEgZXqjRFrRkQ8OREvlS.'],
  ['a'.repeat(100), '$apr1$z$KDAHeYVWazvj.P7D0o6xd1'],
  ['secret', '$5$ab$uBQPK5nh89waaCXDSRwBxzVzl.pS5fPkZnKN7HXbvj6'],
  ['pässwörd', '$5$0123456789abcdef$spDqErTuRkJk.7971KjbjahW1SJ1JGUutlqu5csbQMA'],
  ['x'.repeat(33), '$5$rounds$.ZwHLAYIUQpr7CrPD0Lbd/dc.zULGDvCI2AlcIvj4x2'],
  ['y'.repeat(200), '$5$.$b2eBkwWUNmIsiNsdyYx8k15TOoGFp85EJzyqCYQ/Ig8'],
  ['Hello world!', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
  ['Hello world!', '$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA'],
  ['secret', '$5$rounds=7001$axkWA8lB/4KY.Am.$H6b8hEq9DiXIwzNedWZ0/PNqWfjhI0UkoQ1CDtRFV52'],
  ['secret', '$6$ab$2lDVylRMp48hlYZZFOCx/xnhJEsGPynJ17rt2um9Gb8wX6ygI4uDxg3Bg43pp/Hv397hwWfT8mciHws9eE4sR/'],
  [
    'pässwörd',
    '$6$0123456789abcdef$SbYrq9vmP3mhdocMu6pAC/f.xWxY2daFD3BB.LQwWeU2vm9Kk529r2RRD35SLt1PrlKfEVlyiymFPnfNDWfx6.',
  ],
  ['x'.repeat(65), '$6$rounds$nIp4SI0D1FH2CPbJyNvsZlUt3TeF3GNE6G2g82ibdTpV02BpFSjqdpuiIRPvlWHeXkzjF0p6DqcqW62nmyCKX0'],
  ['y'.repeat(200), '$6$.$dXEJjVDrZ7PhfEv1pmCi.MWwRvd/kzMsZ7bmnVpX.W22HfHR1sEFbJKRhRTM7Fn.YtqyvnvQVqZztTDHCL1jV1'],
  [
    'we have a short salt string but not a short password',
    '$6$rounds=77777$short$WuQyW2YR.hBNpjjRhpYD/ifIw05xdfeEyQoMxIXbkvr0gge1a1x3yRULJ5CCaUeOxFmtlcGZelFl5CxtgfiAc0',
  ],
  ['secret', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='],
  ['pässwörd', '{SHA}9Rfd8dMqES/xrVXGbRsSyzjn6Pc='],
  ['secret', '$2y$04$EoGpIvGKFTSl4fmIJAG3SO4Gq7hkrpGO0m7b7y4Yh.10AgG33RNI2'],
  ['pässwörd', '$2y$05$n5/1tdmL/RA2gpk4JYZ37ezwxJ3tArgztnyRYrMTcSKPuXdgHfsSm'],
  ['x'.repeat(71), '$2y$04$91mJ6m3R7qw8bmZR.vngWeOJfFzSfVhXHb.FwyIvsnCLeD0S2HfZK'],
  ['secret', '$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW'],
  ['secret', '$2b$05$CCCCCCCCCCCCCCCCCCCCC.pIKrLVkBX9/OvQMSygY1pWEVn72t6na'],
]

t.test('hashes of openssl, htpasswd and crypt(3) match their passwords, and no others', async (t) => {
  for (const [password, hash] of VECTORS) {
    t.ok(matchesHash(Buffer.from(password), hash), `${password} ${hash}`)
    t.notOk(matchesHash(Buffer.from(`${password}.`), hash), `${password}. ${hash}`)
    t.notOk(matchesHash(Buffer.from(password.slice(1)), hash), hash)
    t.notOk(matchesHash(Buffer.alloc(0), hash), hash)
    t.same(parseHtpasswd(`u:${hash}`), [['u', hash]], 'and a file may hold it')
    // The first character of the digest: the last ones have spare bits.
    const at = hash.startsWith('$2') ? 29 : Math.max(hash.lastIndexOf('$'), 4) + 1
    const other = hash[at] === 'a' ? 'b' : 'a'
    t.notOk(matchesHash(Buffer.from(password), hash.slice(0, at) + other + hash.slice(at + 1)), 'damaged')
  }
})

t.test('what openssl and htpasswd of this machine make matches', async (t) => {
  const made = (command: string, words: readonly string[], input: string): string | undefined => {
    const { status, stdout } = spawnSync(command, words, { input, encoding: 'utf8' })
    return status === 0 ? stdout.trim() : undefined
  }
  for (const password of ['a', 'correct horse battery staple', 'ü'.repeat(15), '#'.repeat(64), 'z'.repeat(129)]) {
    const hashes = [
      ...['-apr1', '-5', '-6'].map((method) => made('openssl', ['passwd', method, '-stdin'], `${password}\n`)),
      ...(password.length > 72 ? [] : ['-m', '-s', '-B']).map((method) =>
        made('htpasswd', ['-nb', method, 'u', password], '')?.slice(2),
      ),
    ]
    for (const hash of hashes) {
      if (hash === undefined) t.comment('skipped: openssl or htpasswd is not installed')
      else t.ok(matchesHash(Buffer.from(password), hash), `${password} ${hash}`)
    }
  }
})

const [, APR1] = VECTORS[0]!
const BCRYPT_END = `$${'a'.repeat(53)}`

t.test('a file has a user a line, with comments', async (t) => {
  t.same(parseHtpasswd(`# users\r\n\r\nalice:${APR1}\r\nbob smith:${APR1}:a comment\n  \n\u00c3\u00a4:${APR1} \n`), [
    ['alice', APR1],
    ['bob smith', APR1],
    ['\u00c3\u00a4', APR1],
  ])
  t.same(readUserMap({ alice: `${APR1}\n`, __proto__x: APR1 }), [
    ['alice', APR1],
    ['__proto__x', APR1],
  ])
})

t.test('what is wrong with a file is told by its line, without a word of it', async (t) => {
  const mark = 'TOPSECRET'
  const wrong = {
    '': 'names no user',
    '# none\n\n': 'names no user',
    [`a:${APR1}\n${mark}`]: 'line 2 has a hash of another kind, or a plain password',
    [`${mark}:${mark}`]: 'line 1 has a hash of another kind, or a plain password',
    [`${mark}:{PLAIN}${mark}`]: 'line 1 has a hash of another kind, or a plain password',
    [`${mark}:{SSHA}IveXTrz7nOhp8VqzI33iZVGSTCvKzZ0B`]: 'line 1 has a hash of another kind, or a plain password',
    [`${mark}:rl.3StKT.4T8M`]: 'line 1 has a hash of another kind, or a plain password',
    [`${mark}:$1$ab$jiiV6N7hIIuIoJbc1hxOE/`]: 'line 1 has a hash of another kind, or a plain password',
    [`${mark}:$2y$15${BCRYPT_END}`]: 'line 1 has a bcrypt hash with a cost below 4 or above 14',
    [`${mark}:$2y$03${BCRYPT_END}`]: 'line 1 has a bcrypt hash with a cost below 4 or above 14',
    [`${mark}:$5$rounds=999$a$${'a'.repeat(43)}`]: 'line 1 has a hash of fewer than 1000 or more than 500000 rounds',
    [`${mark}:$6$rounds=999999999$a$${'a'.repeat(86)}`]:
      'line 1 has a hash of fewer than 1000 or more than 500000 rounds',
    [`:${APR1}`]: 'line 1 has no name, or one that fields cannot hold',
    [` ${mark}:${APR1}`]: 'line 1 has no name, or one that fields cannot hold',
    [`${mark}\u0000:${APR1}`]: 'line 1 has no name, or one that fields cannot hold',
    [`${mark}:${APR1}\nb:${APR1}\n\n${mark}:${APR1}`]: 'line 4 has the name of an earlier user',
  }
  for (const [text, fault] of Object.entries(wrong)) t.equal(parseHtpasswd(text), fault, text)
  t.equal(readUserMap({ a: APR1, [mark]: mark }), 'key number 2 has a hash of another kind, or a plain password')
  t.equal(
    parseHtpasswd(Array.from({ length: 10_001 }, (_, at) => `u${at}:${APR1}`).join('\n')),
    'names more than 10000 users',
  )
})
