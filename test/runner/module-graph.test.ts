import t from 'tap'
import { pickReached } from './changed.ts'
import { ModuleGraph } from './module-graph.ts'

const FOLDER = {
  lib: {
    'a.ts': "import { b } from './b.ts'\nconst word = 'docs'\n",
    'b.ts': "export const b = new URL('./worker.js', import.meta.url)\n",
    'worker.ts': "import 'node:fs'\n",
    'alone.ts': '',
  },
  bin: {},
  docs: { 'page.md': '' },
  examples: { shop: { 'shop.yaml': '' }, other: { 'other.yaml': '' } },
  test: {
    fixtures: { 'no.test.ts': '' },
    'a.test.ts': "import { a } from '../lib/a.ts'\n",
    'lazy.test.ts': "await import('../lib/alone.ts')\n",
    'pages.test.ts': "const pages = readdirSync('docs/')\n",
    'shop.test.ts': 'readFileSync(`examples/shop/$' + "{name}`)\nimport type { Test } from './pages.test.ts'\n",
  },
}

t.test('tests are found, and what each leads to: imports, modules that it starts, files that it reads', async (t) => {
  const graph = new ModuleGraph(t.testdir(FOLDER))
  t.same(graph.tests, ['test/a.test.ts', 'test/lazy.test.ts', 'test/pages.test.ts', 'test/shop.test.ts'])
  t.same([...graph.reach('test/a.test.ts')], ['test/a.test.ts', 'lib/a.ts', 'lib/b.ts', 'lib/worker.ts'])
})

t.test('of a change those tests are picked that reach it, or a folder that holds it', async (t) => {
  const graph = new ModuleGraph(t.testdir(FOLDER))
  const pick = (...changed: string[]) => pickReached(graph, changed).map((path) => path.slice(5, -8))
  t.same(pick('lib/worker.ts'), ['a'])
  t.same(pick('lib/alone.ts', 'test/a.test.ts'), ['a', 'lazy'])
  t.same(pick('docs/page.md'), ['pages', 'shop'])
  t.same(pick('examples/shop/shop.yaml'), ['shop'])
  t.same(pick('examples/other/other.yaml', 'LICENSE'), [])
  t.same(pick('tsconfig.json'), ['a', 'lazy', 'pages', 'shop'])
})
