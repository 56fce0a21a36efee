import t from 'tap'
import { systemClock } from '../../lib/base/clock.ts'
import { MergedProvider } from '../../lib/providers/merged-provider.ts'
import type { ChangeListener, Provider } from '../../lib/providers/provider.ts'
import { TextProvider } from '../../lib/providers/text-provider.ts'

const REQUEST = { limits: { maxBytes: 1_000, maxCount: 10 }, isForced: false }

function createText(name: string): TextProvider {
  return new TextProvider({
    name,
    text: `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{port: 80}]}\n`,
  })
}

t.test('the lists of a single provider stay the same objects', async (t) => {
  const text = createText('a')
  const merged = new MergedProvider([text], systemClock)
  t.equal((await merged.read(REQUEST)).resources, (await text.read()).resources)
})

t.test('a provider that fails from the start is an error beside what the others give', async (t) => {
  let isDown = true
  const down: Provider = {
    async read() {
      if (isDown) throw new Error('connection refused')
      return createText('b').read()
    },
    async watch() {
      throw new Error('not connected')
    },
    describe: () => 'registry',
  }
  const merged = new MergedProvider([createText('a'), down], systemClock)
  const first = await merged.read(REQUEST)
  t.same(
    first.resources.map(({ meta }) => meta.name),
    ['a'],
  )
  t.match(first.diagnostics, [{ severity: 'error', message: 'registry cannot be read: connection refused' }])
  t.same(first.kept, [])
  t.equal((await merged.read(REQUEST)).fingerprint, first.fingerprint)
  t.equal(merged.describe(), 'a, registry')
  const troubles: string[] = []
  await merged.watch({ onChange: () => {}, onTrouble: (message, reason) => troubles.push(`${message}: ${reason}`) })
  t.same(troubles, ['changes of registry are not noticed: reload by SIGHUP: not connected'])
  isDown = false
  const second = await merged.read(REQUEST)
  t.same([second.resources.length, second.diagnostics, second.files, second.objects], [2, [], 2, 2])
  t.not(second.fingerprint, first.fingerprint)
})

t.test('a file that is being written holds off changes of other providers too', async (t) => {
  const listeners: ChangeListener[] = []
  const create = (name: string): Provider => ({
    read: () => createText(name).read(),
    watch: async (listener) => {
      listeners.push(listener)
      return { close() {} }
    },
    describe: () => name,
  })
  const merged = new MergedProvider([create('a'), create('b')], systemClock)
  const heard: boolean[] = []
  await merged.watch({ onChange: (isWritten) => heard.push(isWritten), onTrouble: () => t.fail() })
  listeners[0]?.onChange(true)
  listeners[1]?.onChange(false)
  listeners[0]?.onChange(false)
  listeners[0]?.onChange(true)
  await merged.read(REQUEST)
  listeners[1]?.onChange(false)
  t.same(heard, [true, true, false, true, false])
})
