import t from 'tap'
import { findNearest } from '../../lib/base/nearest.ts'

const KNOWN = ['port', 'address', 'redirectPort', 'warn', 'https']

const CASES: [word: string, nearest: string | undefined][] = [
  ['prot', 'port'],
  ['Port', 'port'],
  ['adress', 'address'],
  ['redirectport', 'redirectPort'],
  ['redirect', 'redirectPort'],
  ['warning', 'warn'],
  ['http', 'https'],
  ['pot', 'port'],
  ['wran', 'warn'],
  ['wrna', undefined],
  ['x', undefined],
  ['wobble', undefined],
  ['', undefined],
]

for (const [word, nearest] of CASES) {
  t.test(`"${word}" ${nearest ? `is near "${nearest}"` : 'is near nothing'}`, async (t) => {
    t.equal(findNearest(word, KNOWN), nearest)
  })
}

t.test('a short word is near another by one letter or two swapped ones only', async (t) => {
  t.equal(findNearest('HTTP', ['SCTP', 'TCP', 'UDP']), undefined)
  t.equal(findNearest('TPC', ['SCTP', 'TCP', 'UDP']), 'TCP')
})

t.test('among equally near words the longest common beginning wins, then the first', async (t) => {
  for (const fields of [
    ['path', 'pathType'],
    ['pathType', 'path'],
  ]) {
    t.equal(findNearest('pathTyp', fields), 'pathType')
    t.equal(findNearest('pathtype', fields), 'pathType')
    t.equal(findNearest('paths', fields), 'path')
  }
  t.equal(findNearest('http-prot', ['http', 'http-port']), 'http-port')
  t.equal(findNearest('carx', ['card', 'cart']), 'card')
})
