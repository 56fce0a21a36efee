import t from 'tap'
import { GatewayError, REQUEST_ERRORS, type RequestErrorCode } from '../../lib/base/errors.ts'
import { composeFailure, composeRawFailure } from '../../lib/proxy/failure.ts'

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
    const { headers, body } = composeFailure(error, 'r1', accept)
    t.match(headers[1], expected, String(accept))
    t.equal(headers[headers.indexOf('Content-Length') + 1], String(body.length))
  }
})

t.test('HD-19 no answer tells more than status, code, sentence and id', async (t) => {
  for (const code of Object.keys(REQUEST_ERRORS) as RequestErrorCode[]) {
    const { status, body } = composeFailure(new GatewayError(code, '10.0.0.1:80 said no'), 'r1', undefined)
    t.same(JSON.parse(body.toString()), { status, code, message: REQUEST_ERRORS[code][3], requestId: 'r1' })
  }
})

t.test('the raw form is a whole HTTP/1.1 response', async (t) => {
  const text = composeRawFailure(error, 'Bad Gateway', 'r1', 'now').toString()
  t.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\nDate: now\r\nConnection: close\r\n/)
  t.match(text, /\r\n\r\n\{.*\}\n$/)
})
