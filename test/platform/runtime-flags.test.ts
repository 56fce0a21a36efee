/** What Node is started with: refused, warned about, or fine. */
import t from 'tap'
import { checkRuntimeFlags } from '../../lib/platform/runtime-flags.ts'

t.test('LC-20 the insecure parser is refused, however it is asked for', async (t) => {
  const cases: [readonly string[], NodeJS.ProcessEnv][] = [
    [['--insecure-http-parser'], {}],
    [[], { NODE_OPTIONS: '--max-old-space-size=100 --insecure-http-parser' }],
    [[], { NODE_OPTIONS: '"--insecure_http_parser"' }],
  ]
  for (const [execArgv, environment] of cases) {
    t.match(checkRuntimeFlags(execArgv, environment).refused, [/--insecure-http-parser/])
  }
})

t.test('LC-20 a process-wide switch of TLS verification is warned about', async (t) => {
  t.match(checkRuntimeFlags([], { NODE_TLS_REJECT_UNAUTHORIZED: '0' }), { refused: [], warned: [/verifyTls/] })
  t.same(checkRuntimeFlags([], { NODE_TLS_REJECT_UNAUTHORIZED: '1' }), { refused: [], warned: [] })
})

t.test('an ordinary start is fine', async (t) => {
  t.same(checkRuntimeFlags(['--enable-source-maps'], { NODE_OPTIONS: '--no-insecure-http-parser' }), {
    refused: [],
    warned: [],
  })
  t.same(checkRuntimeFlags(), { refused: [], warned: [] })
})
