import t from 'tap'
import { PathIndex } from '../../lib/routing/path-index.ts'

const prefix = (path: string): { type: 'prefix'; path: string } => ({ type: 'prefix', path })
const exact = (path: string): { type: 'exact'; path: string } => ({ type: 'exact', path })

t.test('of two equal matches the first stays', async (t) => {
  const index = new PathIndex([
    [exact('/a'), 1],
    [exact('/a'), 2],
    [prefix('/b'), 3],
    [prefix('/b/'), 4],
  ])
  t.equal(index.find('/a'), 1)
  t.equal(index.find('/b'), 3)
  t.equal(index.find('/b/c'), 3)
})

t.test('a prefix inside another takes only its own paths', async (t) => {
  const index = new PathIndex([
    [prefix('/a/b/c'), 'abc'],
    [prefix('/a'), 'a'],
  ])
  t.equal(index.find('/a/b'), 'a', 'a node without a value is no match')
  t.equal(index.find('/a/b/c/'), 'abc')
  t.equal(index.find('/a/b/cd'), 'a')
  t.equal(index.find('/'), undefined)
})

t.test('an index without entries finds nothing', async (t) => {
  t.equal(new PathIndex<number>([]).find('/'), undefined)
})
