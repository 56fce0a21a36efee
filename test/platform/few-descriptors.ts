/** Run with few descriptors: uses them all up, and prints what becomes of those who need one. */
import { closeSync, openSync } from 'node:fs'
import { devNull } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import { explainListenError, type StartError } from '../../lib/control/start-error.ts'
import { runProbe } from '../../lib/observe/health/probe.ts'
import { DescriptorReserve, findDescriptorLimit, fitConnections } from '../../lib/platform/descriptors.ts'
import { ListeningSocket } from '../../lib/platform/listening-socket.ts'
import { readSource } from '../../lib/source/read-source.ts'
import type { LogDestination } from '../../lib/telemetry/log-destination.ts'
import { createMetrics } from '../../lib/telemetry/metrics.ts'
import { RequestCounts } from '../../lib/telemetry/request-counts.ts'
import { connectEndpoint } from '../../lib/upstream/transport/connect.ts'
import { Reporter } from '../../lib/workers/reporter.ts'
import type { Traffic } from '../../lib/workers/traffic.ts'

const metrics = createMetrics({ counts: new RequestCounts() })
const reserve = new DescriptorReserve()
const idle = { reserve, inFlight: 0, queued: () => [], circuits: () => [], endpoints: () => [], connections: () => [] }
const reporter = new Reporter(idle as unknown as Traffic, new RequestCounts(), { dropped: 0 } as LogDestination)
const before = reporter.take().residentBytes

const taken: number[] = []
function takeAll(): void {
  try {
    for (;;) taken.push(openSync(devNull, 'r'))
  } catch {
    // There are no more.
  }
}

function giveBack(): void {
  for (const descriptor of taken.splice(0)) closeSync(descriptor)
}

function connect(): Promise<string> {
  return new Promise((resolve) => {
    connectEndpoint([{ address: '127.0.0.1', port: 9, tls: undefined }], 1_000, {
      onSocket: () => resolve('connected'),
      onError: ({ code }) => resolve(code),
      onFailure: () => {},
    })
  })
}

async function bind(): Promise<unknown> {
  try {
    return await ListeningSocket.bind('127.0.0.1', 0, 1)
  } catch (error) {
    const { name, message, help } = explainListenError(error, { name: 'http', address: '::', port: 80 }) as StartError
    return { name, message, help }
  }
}

async function read(): Promise<unknown> {
  const problems = new DiagnosticList()
  await readSource(process.argv[1] ?? '', { maxBytes: 1_000_000 }, problems)
  return problems.items.map(({ code, message, help }) => ({ code, message: message.replace(/^.*js /, ''), help }))
}

takeAll()
const said = {
  limit: findDescriptorLimit(),
  fitting: fitConnections(findDescriptorLimit()),
  connected: await connect(),
  bound: await bind(),
  read: await read(),
  probed: (await runProbe({ type: 'tcp', address: '127.0.0.1', port: 9 }, 1_000, new AbortController())) ?? 'nothing',
  metrics: (await metrics.text()).includes('portico_build_info'),
  wasHeld: !reserve.isReleased,
  // The first finds that there is no descriptor, and has the reserve let go of some.
  kept: reporter.take().residentBytes === before,
  isReleased: reserve.isReleased,
  measured: process.memoryUsage().rss > 0,
}
takeAll()
await sleep(500)
const isStillReleased = reserve.isReleased
giveBack()
await sleep(500)
process.stdout.write(JSON.stringify({ ...said, isStillReleased, isHeldAgain: !reserve.isReleased }))
process.exit(0)
