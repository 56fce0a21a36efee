import fc from 'fast-check'
import t from 'tap'
import {
  isReachable,
  normalizePath,
  normalizeRulePath,
  type PathPolicy,
  splitTarget,
  USUAL_PATHS,
  WIDEST_PATHS,
} from '../../lib/base/path.ts'

const EVERY_POLICY: readonly PathPolicy[] = (['keep', 'reject', 'decode'] as const).flatMap((encodedSlash) =>
  (['match', 'always', 'never'] as const).map((mergeSlashes) => ({ encodedSlash, mergeSlashes })),
)

/** Raw path, forwarded path, match path. */
const NORMAL: readonly (readonly [string, string, string, string])[] = [
  ['a plain path is itself', '/foo/bar', '/foo/bar', '/foo/bar'],
  ['the root', '/', '/', '/'],
  ['P5 a trailing slash is kept', '/foo/', '/foo/', '/foo/'],
  ['P1 doubled slashes are merged for matching and forwarded as sent', '//foo', '//foo', '/foo'],
  ['P1 doubled slashes inside and at the end', '/foo//bar//', '/foo//bar//', '/foo/bar/'],
  ['P25 slashes alone are the root', '///', '///', '/'],
  ['P2 an encoded slash is data', '/a%2Fb', '/a%2Fb', '/a%2Fb'],
  ['P2 hexadecimal case does not matter for matching', '/a%2fb', '/a%2fb', '/a%2Fb'],
  ['P2 an encoded backslash is data', '/a%5cb', '/a%5cb', '/a%5Cb'],
  ['P3 an encoded unreserved character is that character', '/%66oo', '/%66oo', '/foo'],
  ['P3 all four unreserved marks', '/%2D%2e%5F%7Ex', '/%2D%2e%5F%7Ex', '/-._~x'],
  ['P3 reserved characters stay encoded', '/a%3Bb%40', '/a%3Bb%40', '/a%3Bb%40'],
  ['P3 an encoded question mark and hash stay encoded', '/a%3fb%23c', '/a%3fb%23c', '/a%3Fb%23c'],
  ['P3 percent signs are decoded once at most', '/api/%252e%252e/x', '/api/%252e%252e/x', '/api/%252e%252e/x'],
  ['P4 dot segments are resolved for both', '/foo/../bar', '/bar', '/bar'],
  ['P4 one dot', '/foo/./x', '/foo/x', '/foo/x'],
  ['P4 a path that ends in two dots is a folder', '/foo/..', '/', '/'],
  ['P4 a path that ends in one dot is a folder', '/foo/.', '/foo/', '/foo/'],
  ['P4 encoded dots are dots', '/api/%2e/admin', '/api/admin', '/api/admin'],
  ['P4 every spelling of two dots', '/a/b/c/d/.%2e/%2E./%2e%2E', '/a/', '/a/'],
  ['P4 a dot segment at the start', '/./api/admin', '/api/admin', '/api/admin'],
  ['an empty segment is a segment to dots (RFC 3986 5.2.4)', '/a//../b', '/a/b', '/a/b'],
  ['what dots uncover is merged for matching', '/a/..//b', '//b', '/b'],
  ['three dots are a name', '/a/.../b', '/a/.../b', '/a/.../b'],
  ['a dot file is a name', '/.well-known/x', '/.well-known/x', '/.well-known/x'],
  ['only the dots are touched', '/%66/../%67//h', '/%67//h', '/g/h'],
  ['P19 path parameters are ordinary characters', '/foo;a=b', '/foo;a=b', '/foo;a=b'],
  ['P20 plus is a character', '/a+b', '/a+b', '/a+b'],
  ['P33 bytes that are not UTF-8 are data', '/%e9t%e9', '/%e9t%e9', '/%E9t%E9'],
  ['P33 a full-width slash is never a slash', '/%EF%BC%8Fapi', '/%EF%BC%8Fapi', '/%EF%BC%8Fapi'],
  ['characters a URL cannot hold match their encoding', '/a{b}|"', '/a{b}|"', '/a%7Bb%7D%7C%22'],
]

t.test('a path has one form to forward and one to match', async (t) => {
  for (const [name, raw, path, matchPath] of NORMAL) t.same(normalizePath(raw, USUAL_PATHS), { path, matchPath }, name)
})

t.test('a plain path is returned without copying it', async (t) => {
  const normal = normalizePath('/foo/bar', USUAL_PATHS)
  t.equal(normal?.path, normal?.matchPath)
})

const REFUSED: readonly (readonly [string, string])[] = [
  ['empty', ''],
  ['P14 the asterisk', '*'],
  ['P18 a target that begins with a question mark', '?x'],
  ['absolute form', 'http://h/p'],
  ['P3 a malformed percent', '/%zz'],
  ['P3 a lone percent', '/%'],
  ['P3 a percent with one digit', '/a%2'],
  ['P3 %u encoding', '/%u002e'],
  ['P3 an encoded NUL', '/a%00'],
  ['P3 an encoded line end', '/a%0d%0ab'],
  ['P3 an encoded tab', '/a%09'],
  ['P3 an encoded DEL', '/a%7f'],
  ['P33 overlong dots', '/api/%c0%ae%c0%ae/admin'],
  ['P33 an overlong slash of three bytes', '/api%e0%80%afadmin'],
  ['P33 an overlong slash of four bytes', '/api%f0%80%80%afadmin'],
  ['P4 climbing above the root', '/..'],
  ['P4 climbing above the root later', '/a/../../b'],
  ['P4 climbing with encoded dots', '/%2e%2e/b'],
  ['P32 dots with a parameter', '/api/..;/admin'],
  ['P32 one dot with a parameter', '/api/.;x/admin'],
  ['P32 encoded dots with an encoded semicolon', '/api/%2e.%3B/admin'],
  ['P31 a backslash', '/api\\admin'],
  ['P20 a space', '/a b'],
  ['P20 raw UTF-8', '/\xc3\xa9'],
  ['P20 a raw byte of 0x80', '/\x80'],
  ['P35 a hash', '/a#b'],
  ['a NUL', '/a\0'],
  ['a raw line end', '/a\r\nb'],
  ['a raw DEL', '/a\x7f'],
  ['a character that is no byte', '/\u2215'],
]

t.test('a path that could mean two things is refused', async (t) => {
  for (const [name, raw] of REFUSED) t.equal(normalizePath(raw, USUAL_PATHS), undefined, name)
})

const REJECT: PathPolicy = { ...USUAL_PATHS, encodedSlash: 'reject' }
const DECODE: PathPolicy = { ...USUAL_PATHS, encodedSlash: 'decode' }
const ALWAYS: PathPolicy = { ...USUAL_PATHS, mergeSlashes: 'always' }
const NEVER: PathPolicy = { ...USUAL_PATHS, mergeSlashes: 'never' }
const DECODE_AND_MERGE: PathPolicy = { encodedSlash: 'decode', mergeSlashes: 'always' }

/** What policies make of a path: raw path, forwarded path, match path; or that it is refused. */
const BY_POLICY: readonly (readonly [PathPolicy, string, string?, string?])[] = [
  [REJECT, '/a%2fb'],
  [REJECT, '/a%2F'],
  [REJECT, '/a%5cb'],
  [REJECT, '/a%5C'],
  [REJECT, '/a%252f', '/a%252f', '/a%252f'],
  [DECODE, '/a%2fb', '/a/b', '/a/b'],
  [DECODE, '/a%2Fb%2f', '/a/b/', '/a/b/'],
  [DECODE, '/%2fa', '//a', '/a'],
  [DECODE, '/a%2F%2fb', '/a//b', '/a/b'],
  [DECODE, '/a%2f..%2Fb', '/b', '/b'],
  [DECODE, '/a%2f%2e%2E%2fb', '/b', '/b'],
  [DECODE, '/a%2f.', '/a/', '/a/'],
  [DECODE, '/%66%2Fo', '/%66/o', '/f/o'],
  [DECODE, '/a%252fb', '/a%252fb', '/a%252fb'],
  [DECODE, '/a%252e%252e%252fb', '/a%252e%252e%252fb', '/a%252e%252e%252fb'],
  [DECODE, '/%EF%BC%8Fa', '/%EF%BC%8Fa', '/%EF%BC%8Fa'],
  [DECODE, '/%2f..%2f..'],
  [DECODE, '/..%2fb'],
  [DECODE, '/a%2f..;x/b'],
  [DECODE, '/a%2f.%3bx'],
  [DECODE, '/a%5cb'],
  [DECODE, '/a%5C..%5Cb'],
  [DECODE, '/a%2'],
  [ALWAYS, '//a', '/a', '/a'],
  [ALWAYS, '/a///b//', '/a/b/', '/a/b/'],
  [ALWAYS, '///', '/', '/'],
  [ALWAYS, '/a//../b', '/a/b', '/a/b'],
  [ALWAYS, '/a/..//b', '/b', '/b'],
  [ALWAYS, '/a%2F/b', '/a%2F/b', '/a%2F/b'],
  [ALWAYS, '/a//%7e{', '/a/%7e{', '/a/~%7B'],
  [NEVER, '//a', '//a', '//a'],
  [NEVER, '/a//b//', '/a//b//', '/a//b//'],
  [NEVER, '///', '///', '///'],
  [NEVER, '/a//../b', '/a/b', '/a/b'],
  [NEVER, '/a/..//b', '//b', '//b'],
  [NEVER, '//%61', '//%61', '//a'],
  [DECODE_AND_MERGE, '/%2Fa', '/a', '/a'],
  [DECODE_AND_MERGE, '/a%2f/%2fb', '/a/b', '/a/b'],
  [{ encodedSlash: 'decode', mergeSlashes: 'never' }, '/a%2f%2fb', '/a//b', '/a//b'],
]

t.test('P2, P38 the policy of a listener says what slashes mean', async (t) => {
  for (const [policy, raw, path, matchPath] of BY_POLICY) {
    const expected = path === undefined ? undefined : { path, matchPath }
    t.same(normalizePath(raw, policy), expected, `${Object.values(policy)} ${raw}`)
  }
})

t.test(
  'P2, P38 a path with neither a percent nor doubled slashes is the same by every policy, and is not copied',
  async (t) => {
    for (const raw of ['/', '/foo/bar', '/foo;a=b/', '/a.b/~c']) {
      for (const policy of EVERY_POLICY) t.strictSame(normalizePath(raw, policy), { path: raw, matchPath: raw }, raw)
    }
  },
)

t.test('a path in match form is reachable if a policy gives a request this form', async (t) => {
  t.ok(isReachable('/a%2Fb', [REJECT, USUAL_PATHS]))
  for (const policies of [[REJECT], [DECODE], [REJECT, DECODE_AND_MERGE], []]) t.notOk(isReachable('/a%2Fb', policies))
  t.ok(isReachable('/a//b', [USUAL_PATHS, NEVER]))
  t.notOk(isReachable('/a//b', [USUAL_PATHS, ALWAYS]))
  t.ok(isReachable('/a', [DECODE_AND_MERGE]))
})

t.test('the path of a rule has the match form of requests', async (t) => {
  t.equal(normalizeRulePath('/foo'), '/foo')
  t.equal(normalizeRulePath('/a%2fb'), '/a%2Fb')
  t.equal(normalizeRulePath('/%66oo'), '/foo')
  t.equal(normalizeRulePath('/a//b'), '/a/b', 'slashes are merged')
  t.equal(normalizeRulePath('/caf\u00e9'), '/caf%C3%A9', 'text is UTF-8')
  t.equal(normalizeRulePath('/a b'), '/a%20b')
  t.equal(normalizeRulePath('/a?b#c'), '/a%3Fb%23c')
  for (const path of ['/a/../b', '/a/.', '/%zz', '/a\n', '/%00', 'foo']) {
    t.equal(normalizeRulePath(path), undefined, `no request has ${JSON.stringify(path)}`)
  }
})

t.test('a target is split at its first question mark', async (t) => {
  t.same(splitTarget('/a'), { path: '/a', query: '' })
  t.same(splitTarget('/a?'), { path: '/a', query: '?' })
  t.same(splitTarget('/a?b?c#'), { path: '/a', query: '?b?c#' })
})

const anyPath = fc
  .array(
    fc.constantFrom(
      ...[
        '/',
        '/',
        '.',
        '..',
        '%2e',
        '%2E',
        '%2f',
        '%5c',
        'a',
        '%61',
        '%25',
        ';',
        '%3b',
        '\xe9',
        '%e9',
        '%c3%a9',
        '{',
        '~',
      ],
    ),
    { maxLength: 14 },
  )
  .map((parts) => `/${parts.join('')}`)

const anyPolicy = fc.constantFrom(...EVERY_POLICY)

t.test('P37 by every policy the forwarded path is in normal form and has the same match form', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyPath, anyPolicy, (raw, policy) => {
        const once = normalizePath(raw, policy)
        if (once === undefined) return true
        const again = normalizePath(once.path, policy)
        return again?.path === once.path && again.matchPath === once.matchPath
      }),
      { numRuns: 50_000 },
    ),
  )
})

t.test('a match form is its own match form, and neither form holds what the policy takes away', async (t) => {
  const dots = /\/\.\.?(?:\/|$)/
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyPath, anyPolicy, (raw, policy) => {
        const { encodedSlash, mergeSlashes } = policy
        const normal = normalizePath(raw, policy)
        if (normal === undefined) return true
        const again = normalizePath(normal.matchPath, policy)
        const { path, matchPath } = normal
        return (
          again?.matchPath === matchPath &&
          isReachable(matchPath, [WIDEST_PATHS]) &&
          (mergeSlashes === 'never' || !matchPath.includes('//')) &&
          (mergeSlashes !== 'always' || !path.includes('//')) &&
          (encodedSlash === 'keep' || !/%(?:2f|5c)/i.test(path)) &&
          !dots.test(matchPath) &&
          !dots.test(decodeURIComponent(path.replaceAll(/%(?!2e)/gi, '%25')))
        )
      }),
      { numRuns: 50_000 },
    ),
  )
})

t.test('the policies differ in nothing but what they say', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyPath, (raw) => {
        const usual = normalizePath(raw, USUAL_PATHS)
        const always = normalizePath(raw, ALWAYS)
        const never = normalizePath(raw, NEVER)
        const decoded = normalizePath(raw, DECODE)
        const byHand = raw.replaceAll(/%2f/gi, '/')
        const hasCoded = /%(?:2f|5c)/i.test(raw)
        return (
          // Whether slashes are merged for the endpoint makes no difference to the route.
          always?.matchPath === usual?.matchPath &&
          never?.path === usual?.path &&
          never?.matchPath.replaceAll(/\/+/g, '/') === usual?.matchPath &&
          always?.path === usual?.path.replaceAll(/\/+/g, '/') &&
          // A decoded slash is a slash.
          (raw.includes('%5c') || decoded?.path === normalizePath(byHand, USUAL_PATHS)?.path) &&
          (hasCoded || normalizePath(raw, REJECT)?.path === usual?.path)
        )
      }),
      { numRuns: 50_000 },
    ),
  )
})

t.test('any text at all gives a path or nothing', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), anyPolicy, (text, policy) => {
        const normal = normalizePath(`/${text}`, policy)
        return normal === undefined || normal.matchPath.startsWith('/')
      }),
    ),
  )
})
