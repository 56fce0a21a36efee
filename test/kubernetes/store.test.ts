import t from 'tap'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { decodeDocuments } from '../../lib/kubernetes/decode.ts'
import { ResourceStore } from '../../lib/kubernetes/store.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import { parseDocuments } from '../helpers/documents.ts'
import { decodeText } from './decode-text.ts'

function service(name: string, more: { time?: string; nodePort?: number; protocol?: string } = {}): string {
  const time = more.time ? `, creationTimestamp: "${more.time}"` : ''
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}${time}}
spec: {type: NodePort, ports: [{port: 80, nodePort: ${more.nodePort ?? 0}, protocol: ${more.protocol ?? 'TCP'}}]}
`
}

t.test('resources are found by kind, namespace and name', async (t) => {
  const { set } = decodeText(
    `${service('a')}---\n${service('b')}---\napiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n`,
  )
  t.equal(set.size, 3)
  t.equal(set.generation, 1)
  t.equal(set.get('Service', 'default', 'b')?.meta.name, 'b')
  t.equal(set.get('Service', 'other', 'b'), undefined)
  t.equal(set.get('Namespace', '', 'a')?.kind, 'Namespace')
  t.same(set.all('Ingress'), [])
})

t.test('resources with errors are kept apart', async (t) => {
  const { resources, refused } = decodeText(`${service('b', { protocol: 'HTTP' })}---\n${service('a')}`)
  const set = new ResourceStore().update(resources, 1, new DiagnosticList(), refused)
  t.same([set.size, set.all('Service').map(({ meta }) => meta.name)], [1, ['a']])
  t.same(
    set.allRefused('Service').map(({ meta }) => meta.name),
    ['b'],
  )
  t.equal(set.getRefused('Service', 'default', 'b')?.meta.name, 'b')
  t.same([set.get('Service', 'default', 'b'), set.getRefused('Service', 'default', 'a')], [undefined, undefined])
})

t.test('they are ordered by age, then name, never by file order', async (t) => {
  const { set } = decodeText(
    [
      service('c'),
      service('b'),
      service('newer', { time: '2024-01-01T00:00:00Z' }),
      service('older', { time: '2023-01-01T00:00:00Z' }),
    ].join('---\n'),
  )
  t.same(
    set.all('Service').map(({ meta }) => meta.name),
    ['older', 'newer', 'b', 'c'],
  )
})

t.test('I-41 of two resources with one name the first by file and line is kept, in any order of input', async (t) => {
  const texts = [
    ['b.yaml', `# moved\n${service('web')}`],
    ['a.yaml', `${service('web')}---\n${service('web')}`],
  ] as const
  for (const files of [texts, texts.toReversed()]) {
    const diagnostics = new DiagnosticList()
    const resources = files.flatMap(([name, text]) => {
      const { documents } = parseDocuments(sourceFromText(name, text), diagnostics)
      return decodeDocuments(documents, diagnostics).resources
    })
    const set = new ResourceStore().update(resources, 1, diagnostics, [])
    t.equal(set.size, 1)
    t.match(set.get('Service', 'default', 'web')?.origin.locate(['metadata', 'name']), { file: 'a.yaml', line: 3 })
    t.match(diagnostics.sorted(), [
      {
        code: 'PORTICO_RES_DUPLICATE',
        severity: 'error',
        message: 'Service default/web is already defined',
        position: { file: 'a.yaml', line: 8, column: 18 },
        notes: [{ message: 'the one in use is here', position: { file: 'a.yaml', line: 3, column: 18 } }],
      },
      { code: 'PORTICO_RES_DUPLICATE', position: { file: 'b.yaml', line: 4, column: 18 } },
    ])
  }
})
