import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DIAGNOSTICS } from '../lib/base/diagnostics.ts'
import { REQUEST_ERRORS } from '../lib/base/errors.ts'

const LIB = join(process.cwd(), 'lib')
const PAGE = join(LIB, 'base', 'codes.md')
const CATALOGUES = new Set(['base/diagnostics.ts', 'base/errors.ts'])

t.test('lib/base/codes.md lists the catalogues of codes', async (t) => {
  const expected = printCodes()
  if (process.env.UPDATE === '1') writeFileSync(PAGE, expected)
  t.equal(readFileSync(PAGE, 'utf8'), expected, 'UPDATE=1 rewrites the page')
})

t.test('every code says its area and is in one catalogue alone', async (t) => {
  for (const code of Object.keys(DIAGNOSTICS)) {
    t.match(code, /^PORTICO_(FILE|YAML|RES|SET|REF|SVC|ANN|ROUTE|TLS)_[A-Z][A-Z_]*$/)
    t.notOk(Object.hasOwn(REQUEST_ERRORS, code))
  }
  for (const code of Object.keys(REQUEST_ERRORS)) t.match(code, /^PORTICO_(REQ|UP|GW)_[A-Z][A-Z_]*$/)
})

t.test('what a client is told names no address and repeats nothing', async (t) => {
  for (const [, , , sentence] of Object.values(REQUEST_ERRORS)) t.match(sentence, /^(The|This|A|No) [A-Za-z ]+\.$/)
})

t.test('every code is used outside its catalogue', async (t) => {
  const text = readdirSync(LIB, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !CATALOGUES.has(name))
    .map((name) => readFileSync(join(LIB, name), 'utf8'))
    .join('\n')
  const codes = [...Object.keys(DIAGNOSTICS), ...Object.keys(REQUEST_ERRORS)]
  t.same(
    codes.filter((code) => !new RegExp(`\\b${code}\\b`).test(text)),
    [],
  )
})

function printCodes(): string {
  return [
    '# Codes',
    '',
    'Each code means the same for good: codes are added, never given another meaning.',
    '',
    '## Diagnostics: what is wrong with a configuration',
    '',
    '`portico check` prints them, and exits with 1 if one is an error. An error leaves out an object, a route or a certificate. A state',
    'that may be intended, such as endpoints that are not there yet, is a warning. `portico check --strict` exits with 1 for warnings',
    'too, and `portico run --strict` refuses the whole configuration, at the start and at reloads. `--ignore CODE`, or `ignore` in the',
    'settings, hides the problems of one code: they are neither printed nor counted. The object, route or certificate that such a',
    'problem leaves out is still left out. Codes of settings (`PORTICO_SET_`) cannot be hidden.',
    '',
    '| code | severity | meaning |',
    '|---|---|---|',
    ...Object.entries(DIAGNOSTICS).map(([code, [severity, meaning]]) => `| ${code} | ${severity} | ${meaning} |`),
    '',
    '## Request errors: what went wrong with one request',
    '',
    'The code is in the body of the answer, in the access log, and a label of the metrics. "Tried again" says when the gateway',
    'sends the request to another endpoint: always (nothing of it was sent), idempotent (only methods that may be repeated), or never.',
    '',
    '| code | status | whose fault | tried again | what the client is told |',
    '|---|---|---|---|---|',
    ...Object.entries(REQUEST_ERRORS).map(
      ([code, [status, fault, retry, sentence]]) => `| ${code} | ${status} | ${fault} | ${retry} | ${sentence} |`,
    ),
    '',
  ].join('\n')
}
