import t from 'tap'
import { PerClient } from '../../lib/base/per-client.ts'

t.test('empty entries are dropped, the others stay the same objects', async (t) => {
  let created = 0
  const table = new PerClient(() => {
    created++
    return { isEmpty: true as boolean }
  })
  const kept = table.find('kept')
  kept.isEmpty = false
  for (let n = 0; n < 10_000; n++) table.find(`client ${n}`)
  t.equal(table.find('kept'), kept)
  t.ok([...table.values()].length < 200)
  t.equal(created, 10_001)
})
