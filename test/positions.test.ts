/** Positions in files are asked for by reports alone: a model, and all that carries traffic by it, has none. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

const LIB = join(process.cwd(), 'lib')
const FOLDERS = ['model', 'observe', 'snapshot', 'workers', 'downstream', 'l4', 'request', 'routing', 'upstream', 'dns']
/** Says how a position is asked for. */
const ASKS = 'model/resource-ref.ts'

t.test('no position is part of a model, nor of what is made of it', async (t) => {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(join(LIB, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  )
  t.ok(files.length > 100)
  t.same(
    files.filter((file) => /\bSourcePosition\b|\bposition:/.test(readFileSync(join(LIB, file), 'utf8'))),
    [ASKS],
  )
})
