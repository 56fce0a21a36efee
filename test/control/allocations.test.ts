/** Allocated ports and addresses on real files: they come again after a restart, and no file is ever fatal. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { AllocationKeeper, parseAllocations, printAllocations, readAllocations } from '../../lib/control/allocations.ts'
import { loadConfiguration } from '../../lib/control/configuration.ts'
import { createGateway, type Gateway } from '../../lib/gateway.ts'
import type { Allocations } from '../../lib/translate/exposure/allocation.ts'

const FILE = 'allocations.json'

function service(name: string): string {
  return `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: NodePort, ports: [{port: 80}]}\n`
}

const ingress = `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec: {defaultBackend: {service: {name: a, port: {number: 80}}}}
`

type World = {
  manifests: string
  dataDir: string
  logged: string[]
  start(): Promise<Gateway>
  nodePorts(): Promise<string>
}

function prepare(t: Test, text: string): World {
  const folder = t.testdir({ 'k8s.yaml': text })
  const manifests = join(folder, 'k8s.yaml')
  const dataDir = join(folder, 'data')
  const logged: string[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => void logged.push(JSON.parse(line).msg) })
  const flags = {
    'http.port': '0',
    'http.address': '127.0.0.1',
    'https.enabled': 'false',
    'admin.enabled': 'false',
    // What is opened does not matter here, and what other tests have open must not.
    'nodePorts.addresses': '127.0.0.1',
    watch: 'false',
    workers: '0',
    dataDir,
  }
  return {
    manifests,
    dataDir,
    logged,
    start: async () => {
      const gateway = await createGateway({ sources: [manifests], environment: {}, flags, log })
      await gateway.start()
      return gateway
    },
    nodePorts: async () => {
      const { model } = await loadConfiguration({ sources: [manifests], environment: {}, flags })
      return printPorts(model.services)
    },
  }
}

function printPorts(services: Gateway['configuration']['model']['services']): string {
  return services.map(({ name, ports }) => `${name}:${ports[0]?.nodePort}`).join(' ')
}

t.test('what is printed is read again', async (t) => {
  const entry = fc.record({
    value: fc.oneof(fc.nat(65_535).map(String), fc.ipV4()),
    goneAt: fc.option(fc.nat(2_000_000_000_000), { nil: undefined }),
  })
  const names = fc.tuple(fc.constantFrom('NodePort', 'ClusterIP'), fc.stringMatching(/^[a-z]{1,9}\/[a-z]{1,9}(:\d+)?$/))
  fc.assert(
    fc.property(fc.array(fc.tuple(names, entry)), (entries) => {
      const made: Allocations = new Map(
        entries.map(([name, { value, goneAt }]) => [
          name.join(' '),
          goneAt === undefined ? { value } : { value, goneAt },
        ]),
      )
      t.same(new Map([...parseAllocations(printAllocations(made))].sort()), new Map([...made].sort()))
    }),
    { numRuns: 30 },
  )
})

t.test('what cannot be used is passed over', async (t) => {
  const folder = t.testdir()
  const path = join(folder, FILE)
  const read = async (text: string) => {
    writeFileSync(path, text)
    return [...(await readAllocations(path))]
  }
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"version": 2, "allocations": {"NodePort a": {"value": "1"}}}',
    '\0\0\0',
  ]) {
    t.same(await read(text), [], JSON.stringify(text))
  }
  const entries = {
    'NodePort a': { value: '30001' },
    'NodePort b': { value: 30_001 },
    'NodePort c': null,
    'NodePort d': { value: '1', goneAt: 'yesterday' },
    'NodePort e': { value: 'x'.repeat(65) },
    ['NodePort '.padEnd(257, 'x')]: { value: '1' },
    ['__proto__']: { value: '2' },
  }
  t.same(await read(JSON.stringify({ version: 1, allocations: entries })), [
    ['NodePort a', { value: '30001' }],
    ['__proto__', { value: '2' }],
  ])
  t.same([...(await readAllocations(join(folder, 'nowhere', FILE)))], [])
  t.same([...(await readAllocations(folder))], [], 'a folder is no file')
})

t.test('a nodePort stays over a restart, whoever came before it in the meantime', async (t) => {
  const world = prepare(t, [ingress, service('a')].join('---\n'))
  const first = await world.start()
  const before = printPorts(first.served.model.services)
  await first.stop()
  t.ok(readdirSync(world.dataDir).includes(FILE))
  // As it would not come out by itself.
  const path = join(world.dataDir, FILE)
  const { value } = parseAllocations(readFileSync(path, 'utf8')).get('NodePort default/a:80')!
  t.equal(before, `a:${value}`)
  writeFileSync(path, readFileSync(path, 'utf8').replace(value, '30007'))
  t.equal(await world.nodePorts(), 'a:30007', 'also of files alone')

  const others = Array.from({ length: 20 }, (_, index) => service(`A${index}`.toLowerCase()))
  writeFileSync(world.manifests, [ingress, service('a'), ...others].join('---\n'))
  const again = await world.start()
  t.match(printPorts(again.served.model.services), /^a:30007 /)
  await again.stop()
  t.equal(parseAllocations(readFileSync(path, 'utf8')).size, 21)
  t.same(world.logged, [])
})

t.test('a reload keeps what was allocated, and what is gone for a while', async (t) => {
  const world = prepare(t, [ingress, service('a'), service('b')].join('---\n'))
  const gateway = await world.start()
  const before = printPorts(gateway.served.model.services)
  writeFileSync(world.manifests, [ingress, service('a')].join('---\n'))
  await gateway.reload()
  writeFileSync(world.manifests, [ingress, service('a'), service('b')].join('---\n'))
  await gateway.stop()
  t.match(parseAllocations(readFileSync(join(world.dataDir, FILE), 'utf8')).get('NodePort default/b:80'), {
    goneAt: Number,
  })
  t.equal(await world.nodePorts(), before)
})

t.test('files alone are read and never written', async (t) => {
  const world = prepare(t, service('a'))
  await world.nodePorts()
  t.throws(() => readdirSync(world.dataDir), { code: 'ENOENT' })
  mkdirSync(world.dataDir)
  writeFileSync(join(world.dataDir, FILE), 'broken')
  await world.nodePorts()
  t.equal(readFileSync(join(world.dataDir, FILE), 'utf8'), 'broken')
})

t.test('a broken file and a folder that cannot be written are no reason not to serve', async (t) => {
  const broken = prepare(t, [ingress, service('a')].join('---\n'))
  mkdirSync(broken.dataDir)
  writeFileSync(join(broken.dataDir, FILE), '{"version": 1, "allocations": 7')
  const first = await broken.start()
  await first.stop()
  t.equal(parseAllocations(readFileSync(join(broken.dataDir, FILE), 'utf8')).size, 1)
  t.same(broken.logged, [])

  const barred = prepare(t, [ingress, service('a')].join('---\n'))
  writeFileSync(barred.dataDir, 'a file where the folder should be')
  const gateway = await barred.start()
  writeFileSync(barred.manifests, [ingress, service('a'), service('b')].join('---\n'))
  await gateway.reload()
  t.match(printPorts(gateway.served.model.services), /^a:\d+ b:\d+$/)
  await gateway.stop()
  t.same(barred.logged, ['allocated ports and addresses cannot be kept: they may change at a restart'], 'said once')
})

t.test('nothing allocated, nothing written', async (t) => {
  const world = prepare(t, [ingress, service('a').replace('port: 80', 'port: 80, nodePort: 30080')].join('---\n'))
  const gateway = await world.start()
  await gateway.stop()
  t.notOk(readdirSync(world.dataDir).includes(FILE))
})

t.test('writes follow one another, and the last one wins', async (t) => {
  const written: string[] = []
  const open: (() => void)[] = []
  const make = (name: string): Allocations => new Map([[name, { value: name }]])
  const keeper = new AllocationKeeper(
    new Map(),
    async (allocations) => {
      await new Promise<void>((resolve) => open.push(resolve))
      written.push([...allocations.keys()].join())
    },
    () => t.fail('nothing fails'),
  )
  const last = make('c')
  keeper.keep(make('a'))
  keeper.keep(make('b'))
  keeper.keep(last)
  open.shift()?.()
  await new Promise((resolve) => setImmediate(resolve))
  open.shift()?.()
  await keeper.settle()
  t.same(written, ['a', 'c'])
  keeper.keep(last)
  await keeper.settle()
  t.equal(written.length, 2)
  keeper.keep(make('d'))
  open.shift()?.()
  await keeper.settle()
  t.same(written, ['a', 'c', 'd'])
})
