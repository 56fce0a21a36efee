import t from 'tap'
import { NameIndex, Suggestions } from '../../lib/translate/suggestion.ts'

t.test('the nearest known name is suggested', async (t) => {
  const suggestions = new Suggestions()
  t.equal(suggestions.find('weeb', ['api', 'web']), 'web')
  t.equal(suggestions.find('completely-else', ['api', 'web']), undefined)
})

t.test('a multitude of dangling references ends in silence, not in hours', async (t) => {
  const known = Array.from({ length: 10_000 }, (_, index) => `service-${index}`)
  const suggestions = new Suggestions()
  const found = Array.from({ length: 10_000 }, () => suggestions.find('service-x', known))
  t.equal(found.filter((name) => name !== undefined).length, 100)
})

t.test('names are known by namespace, and namespaces by name', async (t) => {
  const index = new NameIndex([
    { meta: { namespace: 'a', name: 'web' } },
    { meta: { namespace: 'a', name: 'api' } },
    { meta: { namespace: 'b', name: 'web' } },
  ])
  t.same(index.in('a'), ['web', 'api'])
  t.same(index.in('c'), [])
  t.equal(index.namespaceOf('web'), 'a')
  t.equal(index.namespaceOf('db'), undefined)
})
