/** Requests over HTTP/1.1, HTTP/2 and WebSockets: the cost of one. */
import type { Running } from '../candidate.ts'
import type { Bench, Case } from '../case.ts'
import { runClient } from '../loads/client.ts'
import { loadWithH2load } from '../loads/h2load.ts'
import type { LoadResult } from '../loads/result.ts'
import type { WebSocketLoad } from '../loads/websocket-client.ts'
import { loadWithWrk, type WrkLoad } from '../loads/wrk.ts'
import { createRoutes, createScenario, HOST, type Scenario } from '../scenario.ts'
import { createLoadCase, type LoadCase } from './load-case.ts'

const CONNECTIONS = 64
/** Requests take turns on so many routes, spread over all of them. */
const MOST_TARGETS = 1_000

type HttpCase = Pick<LoadCase, 'id' | 'title' | 'note' | 'answerBytes'> & {
  path?: string
  tls?: boolean
  changes?: (bench: Bench) => Partial<Scenario>
  load?: Partial<WrkLoad>
}

function createHttpCase({ path = '/', tls = false, changes, load, ...rest }: HttpCase): Case {
  return createLoadCase({
    ...rest,
    needs: ['wrk'],
    scenario: (bench) => createScenario([httpEndpoint(bench)], { tls, ...changes?.(bench) }),
    load: ({ place }, bench, seconds) =>
      loadWithWrk(
        {
          origin: tls ? `https://${HOST}:${place.https}` : `http://127.0.0.1:${place.http}`,
          connections: CONNECTIONS,
          seconds,
          targets: [[HOST, path]],
          ...load,
        },
        place.folder,
        bench.loadCore,
      ),
  })
}

function httpEndpoint({ backend }: Bench): string {
  return `127.0.0.1:${backend.httpPort}`
}

function createRoutesCase(count: number): Case {
  const routes = createRoutes(count)
  const pairs = routes.flatMap(({ host, paths }) => paths.map((path) => [host, `${path}/orders/42`] as const))
  const step = Math.max(1, pairs.length / MOST_TARGETS)
  const targets = Array.from({ length: Math.min(MOST_TARGETS, count) }, (_, at) => pairs[Math.floor(at * step)]!)
  return createHttpCase({
    id: `routes-${count}`,
    title: `1 KiB GET among ${count.toLocaleString('en')} routes`,
    changes: () => ({ routes }),
    load: { targets },
  })
}

function createEndpointsCase(count: number): Case {
  return createHttpCase({
    id: `endpoints-${count}`,
    title: `1 KiB GET to ${count.toLocaleString('en')} endpoints in turn`,
    changes: ({ backend }) => ({
      endpoints: Array.from(
        { length: count },
        (_, at) => `127.0.${1 + Math.floor(at / 250)}.${1 + (at % 250)}:${backend.httpPort}`,
      ),
    }),
  })
}

export const HTTP_CASES: readonly Case[] = [
  createHttpCase({ id: 'get-1k', title: '1 KiB GET, keep-alive' }),
  createHttpCase({ id: 'get-64k', title: '64 KiB GET', path: '/64k', answerBytes: 64 << 10 }),
  createHttpCase({
    id: 'get-10m',
    title: '10 MiB GET',
    path: '/10m',
    answerBytes: 10 << 20,
    load: { connections: 8 },
  }),
  createHttpCase({ id: 'post-1k', title: '1 KiB POST', load: { bodyBytes: 1 << 10 } }),
  createHttpCase({ id: 'post-64k', title: '64 KiB POST', load: { bodyBytes: 64 << 10 } }),
  createHttpCase({ id: 'tls-get-1k', title: '1 KiB GET over TLS, keep-alive, ECDSA P-256', tls: true }),
  createHttpCase({
    id: 'tls-handshake',
    title: '1 KiB GET, a full TLS handshake each',
    tls: true,
    load: { closing: true },
  }),
  createLoadCase({
    id: 'h2-get-1k',
    title: '1 KiB GET over HTTP/2 and TLS, 8 connections of 16 streams',
    needs: ['h2load'],
    scenario: (bench) => createScenario([httpEndpoint(bench)], { tls: true }),
    load: ({ place }, bench, seconds) =>
      loadWithH2load(
        { port: place.https, path: '/', connections: 8, streams: 16, seconds },
        place.folder,
        bench.loadCore,
      ),
  }),
  createLoadCase({
    id: 'websocket',
    title: '128-byte WebSocket messages, echoed, on 64 connections',
    note: 'A request is a message there and back. Client and echo are Node: they bound req/s and latency, not CPU.',
    needs: [],
    scenario: ({ backend }) => createScenario([`127.0.0.1:${backend.nodePort}`], { websocket: true }),
    load: echoMessages,
  }),
  createHttpCase({
    id: 'access-log',
    title: '1 KiB GET with an access log to a file',
    changes: () => ({ accessLog: true }),
  }),
  ...[10, 1_000, 100_000].map(createRoutesCase),
  ...[1, 100, 1_000].map(createEndpointsCase),
]

function echoMessages({ place }: Running, bench: Bench, seconds: number): Promise<LoadResult> {
  const load: WebSocketLoad = {
    port: place.http,
    host: HOST,
    connections: CONNECTIONS,
    messageBytes: 128,
    seconds,
  }
  return runClient('websocket-client', load, bench.loadCore, (seconds + 30) * 1000)
}
