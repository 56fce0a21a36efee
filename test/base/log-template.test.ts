/** Templates of access lines: parts, and what is wrong with them. */
import t from 'tap'
import { findLogFieldFault, LOG_FIELDS, parseLogTemplate } from '../../lib/base/log-template.ts'

t.test('a template is text and fields', async (t) => {
  t.same(parseLogTemplate('$status'), [{ field: 'status' }])
  t.same(parseLogTemplate('[$time_local] "$request"'), ['[', { field: 'time_local' }, '] "', { field: 'request' }, '"'])
  t.same(parseLogTemplate(`$${'{bytes_in}'}b $http_x_real_ip$msec costs $5`), [
    { field: 'bytes_in' },
    'b ',
    { field: 'http_x_real_ip' },
    { field: 'msec' },
    ' costs $5',
  ])
  for (const field of LOG_FIELDS) t.same(parseLogTemplate(`$${field}`), [{ field }])
})

t.test('what is wrong is told with what may be meant', async (t) => {
  t.same(parseLogTemplate('$statu'), { message: 'there is no field "statu"', help: 'did you mean "status"?' })
  t.same(parseLogTemplate(`$${'{}'}`), { message: 'there is no field ""', help: 'docs/logs.md lists the fields' })
  t.match(parseLogTemplate('$request_tim'), { help: 'did you mean "request_time"?' })
  t.match(parseLogTemplate('$lua_variable_of_mine'), { help: 'docs/logs.md lists the fields' })
  t.match(parseLogTemplate('nothing'), { message: 'it names no field' })
  t.match(parseLogTemplate(''), { message: 'it names no field' })
})

t.test('what lets clients in is not logged', async (t) => {
  for (const name of [
    'authorization',
    'cookie',
    'proxy_authorization',
    'x_auth_token',
    'x_api_key',
    'x_secret',
    'x_auth_key',
    'x_session_id',
  ]) {
    t.match(findLogFieldFault(`http_${name}`), { message: `"http_${name}" holds what lets clients in` })
  }
  t.equal(findLogFieldFault('http_referer'), undefined)
})

t.test('no field is listed twice', async (t) => {
  t.equal(new Set(LOG_FIELDS).size, LOG_FIELDS.length)
})
