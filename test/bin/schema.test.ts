/** `portico schema` prints the same schemas that are files of config/. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { runPortico } from './process.ts'

const FILES = {
  settings: 'portico.schema.json',
  annotations: 'annotations.schema.json',
  routepolicy: 'route-policy.schema.json',
  routetest: 'route-test.schema.json',
}

for (const [name, file] of Object.entries(FILES)) {
  t.test(`schema ${name} prints config/${file}`, async (t) => {
    const { status, stdout, stderr } = await runPortico(['schema', name])
    t.same({ status, stdout, stderr }, { status: 0, stdout: readFileSync(`config/${file}`, 'utf8'), stderr: '' })
  })
}

t.test('without a name it lists them, and an unknown one gets the nearest', async (t) => {
  const { status, stdout } = await runPortico(['schema'])
  t.equal(status, 0)
  t.same(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ', 1)[0]),
    Object.keys(FILES),
  )
  const wrong = await runPortico(['schema', 'policy'])
  t.match(wrong, {
    status: 2,
    stdout: '',
    stderr: /unknown schema "policy"\n {2}schemas: settings, annotations, routepolicy, routetest/,
  })
  const kind = await runPortico(['schema', 'RoutePolicy'])
  t.equal(kind.stdout, readFileSync('config/route-policy.schema.json', 'utf8'), 'the name of the kind will do')
  t.match((await runPortico(['schema', 'setings'])).stderr, /did you mean settings\?/)
})
