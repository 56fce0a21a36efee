import t from 'tap'
import { HostIndex } from '../../lib/routing/host-index.ts'

const index = new HostIndex([
  ['foo.com', 'exact'],
  ['*.foo.com', 'wildcard'],
  ['www.foo.com', 'www'],
])

t.test('hosts are found exactly, then by a wildcard for one label', async (t) => {
  t.equal(index.find('foo.com'), 'exact', 'I-6')
  t.equal(index.find('www.foo.com'), 'www', 'I-8 exact beats wildcard')
  t.equal(index.find('bar.foo.com'), 'wildcard', 'I-7')
  t.equal(index.find('a_b.foo.com'), 'wildcard', 'P17')
  t.equal(index.find('a.b.foo.com'), undefined, 'I-7 two labels')
  t.equal(index.find('.foo.com'), undefined, 'no label')
  t.equal(index.find(''), undefined)
  t.equal(index.find('com'), undefined)
  t.equal(index.find('*.foo.com'), 'wildcard', 'a star is a label like others')
})

t.test('an empty index finds nothing', async (t) => {
  t.equal(new HostIndex<string>([]).find('foo.com'), undefined)
})
