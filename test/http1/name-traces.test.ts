import fc from 'fast-check'
import t from 'tap'
import { readFields } from '../../lib/downstream/fields.ts'
import { FieldLines, SoughtNames } from '../../lib/filters/field-lines.ts'
import { mayHave, type NameTraces, traceLines, traceNames } from '../../lib/http1/name-traces.ts'
import { scanRequest } from '../../lib/http1/request-scan.ts'
import { scanResponse } from '../../lib/http1/response-scan.ts'
import { composeAnswerLines, traceAnswer } from '../../lib/request/headers.ts'
import { makeSettings } from '../helpers/settings.ts'

const NAMES = ['X-A', 'x-b', 'Cookie', 'ORIGIN', 'authorization', 'Access-Control-Allow-Private-Network', 'a']
const someNames = fc.uniqueArray(fc.constantFrom(...NAMES))

const print = (names: readonly string[]) => names.map((name) => `${name}: 1\r\n`).join('')
const tracesOf = ({ fronts, backs }: NameTraces) => ({ fronts, backs })

t.test('a name that is there is never told absent, in whatever case', async () => {
  fc.assert(
    fc.property(someNames, (names) => {
      const { fronts, backs } = traceLines(print(names))
      return names.every(
        (name) => mayHave(name.toLowerCase(), fronts, backs) && mayHave(name.toUpperCase(), fronts, backs),
      )
    }),
  )
})

t.test('most names that are not there are told absent', async (t) => {
  const { fronts, backs } = traceLines(print(NAMES))
  t.strictSame(
    ['x-frame-options', 'vary', 'x-env', 'strict-transport-security'].filter((name) => mayHave(name, fronts, backs)),
    [],
  )
})

t.test('who reads a head notes the names that travel on, and no others', async (t) => {
  const settings = makeSettings()
  fc.assert(
    fc.property(someNames, (names) => {
      const fields = `Host: a\r\n${print(names)}`
      const request = scanRequest(Buffer.from(`GET / HTTP/1.1\r\nX-Request-Id: 1\r\n${fields}\r\n`), 0, {
        headerBytes: 10_000,
        headerCount: 100,
      })
      const pairs = ['Host', 'a', 'X-Request-Id', '1', ...names.flatMap((name) => [name, '1'])]
      const read = readFields(pairs, 'HTTP/1.1', settings)
      const response = scanResponse(
        Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n${print(names)}\r\n`),
        0,
        10_000,
      )
      if (typeof request !== 'object' || typeof response !== 'object' || read instanceof Error)
        throw new Error('refused')
      t.strictSame(tracesOf(request.fields), traceLines(fields))
      t.strictSame(tracesOf(read), traceLines(fields))
      t.strictSame(tracesOf(response), traceLines(print(names)))
      const lines = composeAnswerLines(response, 'id', 0)
      const { fronts, backs } = traceAnswer(response)
      const all = traceLines(lines)
      t.strictSame([all.fronts & ~fronts, all.backs & ~backs], [0, 0], 'those that the gateway adds too')
    }),
    { numRuns: 50 },
  )
})

t.test('lines that filters change hold what they would hold if they were looked at each time', async (t) => {
  fc.assert(
    fc.property(someNames, someNames, someNames, (first, removed, added) => {
      const lines = new FieldLines(print(first))
      lines.remove(new SoughtNames(removed))
      lines.add(print(added), traceNames(added))
      lines.remove(new SoughtNames(['x-a']))
      lines.add('X-C: 1\r\n')
      const kept = [...first.filter((name) => !removed.includes(name)), ...added]
      const left = [...kept.filter((name) => name !== 'X-A'), 'X-C']
      t.equal(lines.lines, print(left))
      t.equal(
        lines.find('cookie'),
        left.includes('Cookie') ? left.flatMap((name) => (name === 'Cookie' ? ['1'] : [])).join(', ') : undefined,
      )
    }),
    { numRuns: 50 },
  )
})

t.test('underscores stand for hyphens at the ends of names too', async (t) => {
  const lines = new FieldLines('_a_: 1\r\nb_c: 2\r\nd: 3\r\n')
  lines.remove(new SoughtNames(['-a-', 'b-c'], 'underscores'))
  t.equal(lines.lines, 'd: 3\r\n')
})
