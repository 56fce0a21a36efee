/**
 * `npm run fuzz -- --seconds=600 --seed=7 --target=requests`: the fuzz targets, one after the other, for as long as is asked.
 * `npm run fuzz -- --gateway --connections=300000 --seed=7`: whole gateways over sockets; `--connection=N` plays one of them
 * again. `--node=PATH` runs all of it on another Node.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { GatewayFuzz } from './gateway-fuzz.ts'
import { RequestTarget } from './request-target.ts'
import { ResponseTarget } from './response-target.ts'
import { fuzz, type Target } from './target.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 0x1_0000_0000) },
    target: { type: 'string', default: '' },
    gateway: { type: 'boolean', default: false },
    connections: { type: 'string', default: '30000' },
    connection: { type: 'string', multiple: true },
    /** Most that a worker may hold, MiB. */
    memory: { type: 'string', default: '512' },
    node: { type: 'string' },
  },
})
const seed = Number(values.seed)

if (values.node !== undefined) {
  const rest = process.argv.slice(2).filter((word) => !word.startsWith('--node') && word !== values.node)
  const all = [process.argv[1]!, ...rest, `--seed=${seed}`]
  process.exitCode = spawnSync(values.node, all, { stdio: 'inherit' }).status ?? 1
} else if (values.gateway) await fuzzGateway()
else await fuzzCodec()

async function fuzzCodec(): Promise<void> {
  const targets: readonly Target[] = [new RequestTarget(), new ResponseTarget()]
  const chosen = targets.filter(({ name }) => name.startsWith(values.target))
  if (chosen.length === 0) throw new Error(`no target is called ${values.target}`)
  for (const target of chosen) {
    const until = Date.now() + (Number(values.seconds) * 1000) / chosen.length
    const { tried, accepted, failure } = await fuzz(target, seed, () => Date.now() < until)
    console.log(`${target.name}: ${tried} inputs, ${accepted} accepted, seed ${seed}`)
    if (failure === undefined) continue
    console.error(failure)
    process.exitCode = 1
  }
}

async function fuzzGateway(): Promise<void> {
  console.log(
    `gateway: ${values.connection?.length ?? values.connections} connections, seed ${seed}, Node ${process.version}`,
  )
  const { played, connected, answered, sighted, failure } = await new GatewayFuzz({
    seed,
    connections: Number(values.connections),
    ...(values.connection && { only: values.connection.map(Number) }),
    mostBytes: Number(values.memory) * 2 ** 20,
    onProgress: (line) => console.log(line),
  }).run()
  console.log(
    `gateway: ${played} connections, ${connected} came about, ${answered} were answered; endpoints saw ${sighted} requests`,
  )
  if (failure === undefined) return
  console.error(failure)
  process.exitCode = 1
}
