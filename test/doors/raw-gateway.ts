/** A gateway with one route to an upstream that is played byte by byte, and what it must have left behind in the end: nothing. */
import type { Test } from 'tap'
import { type RawConnection, type RawUpstream, startRawUpstream } from '../helpers/raw-upstream.ts'
import { ONE_ROUTE, type RunningGateway, readMetrics, runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'

export type RawGateway = { readonly running: RunningGateway; readonly upstream: RawUpstream }

/** `upstreamKeepAlive` as the setting has it. */
export async function startRawGateway(
  t: Test,
  fastLane: boolean,
  serve: (connection: RawConnection) => Promise<void>,
  upstreamKeepAlive: string,
): Promise<RawGateway> {
  const upstream = await startRawUpstream(serve)
  t.teardown(() => upstream.close())
  const flags = {
    'fastLane.enabled': String(fastLane),
    'timeouts.upstreamKeepAlive': upstreamKeepAlive,
    'admin.enabled': 'true',
    'admin.port': '0',
  }
  const running = await runGateway(t, ONE_ROUTE, { endpoints: { web: [upstream.port] }, flags })
  return { running, upstream }
}

/** Nothing is in flight, and no connection stays open on either side. */
export async function expectNothingOpen(t: Test, { running, upstream }: RawGateway): Promise<void> {
  await until(() => running.gateway.inFlight === 0)
  t.equal(running.gateway.inFlight, 0)
  await Promise.all(upstream.connections.map(({ closed }) => closed))
  t.pass('all connections to the upstream are closed')
  await until(async () => (await readMetrics(running)).includes('portico_connections{listener="http"} 0\n'))
  t.pass('all connections of clients are closed')
}
