import t from 'tap'
import type { Endpoint } from '../../lib/model/upstream.ts'
import { printEndpoint, printHostName, printPath } from '../../lib/report/print.ts'
import { createRoute } from '../routing/models.ts'

const endpoint: Endpoint = {
  host: '127.0.0.1',
  port: 3000,
  weight: 1,
  ready: true,
  serving: true,
  terminating: false,
  source: 'settings',
  sourceName: 'settings',
}

t.test('an endpoint prints what is unusual about it', async (t) => {
  t.equal(printEndpoint(endpoint), '127.0.0.1:3000')
  t.equal(printEndpoint({ ...endpoint, host: '::1', weight: 2 }), '[::1]:3000;weight=2')
  t.equal(printEndpoint({ ...endpoint, ready: false }), '127.0.0.1:3000 (not ready, serving)')
  t.equal(printEndpoint({ ...endpoint, ready: false, serving: false }), '127.0.0.1:3000 (not ready)')
  t.equal(printEndpoint({ ...endpoint, ready: false, terminating: true }), '127.0.0.1:3000 (terminating)')
})

t.test('a route prints as its manifest has it', async (t) => {
  t.equal(printPath(createRoute(['a.com', 'Exact', '/a'])), 'Exact /a')
  t.equal(printPath(createRoute(['a.com', 'ImplementationSpecific', ''])), 'ImplementationSpecific /')
  t.equal(printPath(createRoute(['', 'default', ''])), 'default')
  t.equal(printHostName(''), '* ')
  t.equal(printHostName('a.com'), 'a.com ')
})
