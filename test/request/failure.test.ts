import t from 'tap'
import { GatewayError, REQUEST_ERRORS, type RequestErrorCode } from '../../lib/base/errors.ts'
import { composeFailure } from '../../lib/request/failure.ts'

const error = new GatewayError('PORTICO_UP_CONNECT_REFUSED', '10.0.0.1:80 refused the connection')

t.test('JSON unless HTML is preferred', async (t) => {
  const cases: [string | undefined, 'json' | 'html'][] = [
    [undefined, 'json'],
    ['*/*', 'json'],
    ['application/json, text/html', 'json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'html'],
    ['text/html, application/json', 'html'],
    ['application/problem+json, text/html', 'json'],
  ]
  for (const [accept, expected] of cases) {
    const { lines } = composeFailure(error, 'r1', accept, 0)
    t.match(
      lines,
      `Content-Type: ${expected === 'html' ? 'text/html' : 'application/json'}; charset=utf-8\r\n`,
      String(accept),
    )
    t.match(lines, 'X-Request-Id: r1\r\n')
  }
})

t.test('HD-19 no answer tells more than status, code, sentence and id', async (t) => {
  for (const code of Object.keys(REQUEST_ERRORS) as RequestErrorCode[]) {
    const { status, body } = composeFailure(new GatewayError(code, '10.0.0.1:80 said no'), 'r1', undefined, 0)
    t.same(JSON.parse(body.toString()), { status, code, message: REQUEST_ERRORS[code][3], requestId: 'r1' })
  }
})
