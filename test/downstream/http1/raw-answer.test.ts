import t from 'tap'
import { GatewayError } from '../../../lib/base/errors.ts'
import { composeRawFailure } from '../../../lib/downstream/http1/raw-answer.ts'

const error = new GatewayError('PORTICO_UP_CONNECT_REFUSED', '10.0.0.1:80 refused the connection')

t.test('the raw form is a whole HTTP/1.1 response', async (t) => {
  const text = composeRawFailure(error, 'Bad Gateway', 'r1', 0).toString()
  t.match(text, /^HTTP\/1\.1 502 Bad Gateway\r\n/)
  t.match(text, '\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n')
  t.match(text, '\r\nConnection: close\r\n')
  t.match(text, `\r\nContent-Length: ${text.length - text.indexOf('\r\n\r\n') - 4}\r\n`)
  t.match(text, /\r\n\r\n\{.*\}\n$/)
})
