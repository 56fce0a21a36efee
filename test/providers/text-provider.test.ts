import t from 'tap'
import { TextProvider } from '../../lib/providers/text-provider.ts'

function printService(name: string, more = ''): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: 80}]${more}}\n`
}

t.test('objects as JSON keep their places, and stay the same objects where they did not change', async (t) => {
  const provider = new TextProvider({ name: 'shop', text: printService('a') })
  const first = await provider.read()
  provider.set(
    `${printService('a')}---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'b' }, spec: { ports: [{ port: 80 }] } })}`,
  )
  const second = await provider.read()
  t.equal(second.resources[0], first.resources[0])
  t.match(second.resources[1]?.origin.locate(['metadata', 'name']), { file: '<shop>', line: 6 })
  t.same([first.changed, second.changed, (await provider.read()).changed], [['<shop>'], ['<shop>'], []])
  t.not(second.fingerprint, first.fingerprint)
})

t.test('a refused text leaves the earlier one in force, an empty one takes everything away', async (t) => {
  const provider = new TextProvider({ name: 'shop', text: printService('a') })
  await provider.read()
  provider.set(printService('b', ', type: Nonsense'))
  const refused = await provider.read()
  t.same(
    refused.resources.map(({ meta }) => meta.name),
    ['a'],
  )
  t.match(refused.kept, [{ text: /^still serving <shop> as of \d\d:\d\d:\d\d$/ }])
  t.match(refused.diagnostics, [{ code: 'PORTICO_RES_FIELD_VALUE', position: { file: '<shop>', line: 4 } }])
  provider.set('')
  t.match(await provider.read(), { resources: [], kept: [], diagnostics: [] })
})

t.test('each watch hears of a new text until it is closed', async (t) => {
  const provider = new TextProvider({ name: 'shop', text: '' })
  let heard = 0
  const watch = await provider.watch({ onChange: () => heard++, onTrouble: () => t.fail() })
  provider.set(printService('a'))
  watch.close()
  provider.set(printService('b'))
  t.equal(heard, 1)
})
