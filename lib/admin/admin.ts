/** The admin listener: health probes, metrics, and views of the configuration, on its own Fastify instance. It only reads, but for lib/admin/writes.ts. */

import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { type Clock, systemClock } from '../base/clock.ts'
import { NO_SCHEMAS } from '../base/no-schemas.ts'
import type { Certificate } from '../model/certificate.ts'
import type { ServedConfiguration } from '../model/served.ts'
import { ProbedConnections } from '../observe/health/probed-connections.ts'
import { openAt } from '../platform/listen.ts'
import { openUnixSocket } from '../platform/unix-socket.ts'
import { certificatesView } from '../report/certificate-view.ts'
import { outlineGateway } from '../report/compared.ts'
import { endpointsView, type StaleAddressCheck } from '../report/endpoint-view.ts'
import { labelRows } from '../report/labels.ts'
import { overviewView } from '../report/overview-view.ts'
import type { ReloadRow } from '../report/reload-history.ts'
import { settingRows } from '../report/setting-rows.ts'
import {
  diagnosticsView,
  listenersView,
  routesView,
  servicesView,
  settingsView,
  type WorkerFacts,
  workersView,
} from '../report/views.ts'
import type { GivenSettings } from '../settings/given.ts'
import type { Settings } from '../settings/table.ts'
import type { EndpointFigures } from '../telemetry/endpoint-metrics.ts'
import type { Log } from '../telemetry/log.ts'
import { chooseMetricsForm, type Metrics, OPENMETRICS_TYPE } from '../telemetry/metrics.ts'
import type { RecentLines } from '../telemetry/recent-lines.ts'
import type { TrafficSource } from '../telemetry/request-records.ts'
import { createAccessCheck, isLoopback } from './access.ts'
import { AdminToken, wantsToken } from './admin-token.ts'
import { AnswerMaker } from './answer-maker.ts'
import { DASHBOARD_PATH, isDashboardPath, serveDashboard } from './dashboard.ts'
import { EventStreams } from './event-stream.ts'
import { addExplainRoute } from './explain.ts'
import { addLogs } from './logs.ts'
import { addRequestRoutes } from './requests.ts'
import { type AdminWrites, addWrites, WRITE_PATHS } from './writes.ts'

/** The present state of the gateway. */
export type AdminState = Readonly<{
  /** True while traffic may be sent here: from the time when all ports are open to the begin of a drain. */
  ready: boolean
  /** The reasons why it is not ready. */
  reasons?: readonly string[]
  served: ServedConfiguration | undefined
  version?: string
  /** Milliseconds since the epoch. */
  startedAt?: number
  ports: Readonly<{ http?: number; https?: number; admin?: number; dns?: number }>
  /** By the id of a Service's listener: `open`, or the reason why it is not. */
  listenerStates?: ReadonlyMap<string, string>
  endpoints?: Iterable<EndpointFigures>
  whyStale?: StaleAddressCheck
  workers?: readonly WorkerFacts[]
  /** The circuits of Services that are not closed, and in how many workers. */
  circuits?: readonly Readonly<{ service: string; state: string; workers: number }>[]
  defaultCertificate?: Certificate
  /** The newest first. */
  reloads?: readonly ReloadRow[]
  /** What the DNS server answers; undefined where there is none. */
  listDns?: () => object | undefined
  /** As loaded, without what was observed since; and the settings that a person gave. Left out: as served, and none. */
  loaded?: ServedConfiguration
  given?: () => GivenSettings
}>

export type AdminOptions = {
  settings: Settings
  state: () => AdminState
  /** Awaited before figures are shown, to make them current. */
  refresh?: () => Promise<void>
  metrics: Pick<Metrics, 'text' | 'contentType'>
  /** What carries traffic; undefined as long as nothing does. */
  traffic?: () => TrafficSource | undefined
  /** What cookies of the gateway say of a Service. */
  markService?: () => Promise<((service: string) => string) | undefined>
  /** The last lines of the log; left out: they are not known. */
  recent?: RecentLines
  /** What requests may change, where `admin.writes` is on. */
  writes?: AdminWrites
  clock?: Clock
  log: Log
}

export type AdminListener = {
  /** Without a port where it is a Unix socket. Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
  listen(): Promise<{ port?: number }>
  close(): Promise<void>
}

type View = (served: ServedConfiguration, state: AdminState, now: number) => unknown

const NONE_GIVEN: GivenSettings = { typed: {}, document: {} }

const VIEWS: Readonly<Record<string, View>> = {
  overview: overviewView,
  routes: ({ model, locate, labelsOf }) => labelRows('routes', routesView(model, locate), labelsOf),
  services: ({ model, locate, labelsOf }) => labelRows('services', servicesView(model, locate), labelsOf),
  endpoints: ({ model, locate, labelsOf }, { endpoints, whyStale }) =>
    labelRows('endpoints', endpointsView(model, locate, endpoints, whyStale), labelsOf),
  certificates: ({ model, locate, labelsOf }, { defaultCertificate }, now) =>
    labelRows('certificates', certificatesView(model, locate, now, defaultCertificate), labelsOf),
  listeners: ({ settings, model, locate, labelsOf }, { ports, listenerStates }) =>
    labelRows('listeners', listenersView(settings, model, locate, ports, listenerStates), labelsOf),
  workers: (_served, { workers }) => workersView(workers),
  circuits: (_served, { circuits = [] }) => circuits,
  diagnostics: ({ diagnostics, labelsOf }) => labelRows('diagnostics', diagnosticsView(diagnostics), labelsOf),
  reloads: (_served, { reloads = [] }) => reloads,
  settings: ({ settings }) => settingsView(settings),
  'setting-rows': ({ settings, provenance }) =>
    settingRows(settingsView(settings), (name) => provenance.get(name) ?? 'default'),
  dns: ({ settings: { dns } }, { ports, listDns }) => ({
    enabled: dns.enabled,
    zone: dns.zone,
    address: dns.address,
    port: ports.dns ?? dns.port,
    forward: dns.forward,
    questions: [],
    names: [],
    more: 0,
    ...listDns?.(),
  }),
  outline: (served, { loaded = served, given = () => NONE_GIVEN }) => outlineGateway(loaded, given()),
}

/** The views that show figures. */
const LIVE_VIEWS: ReadonlySet<string> = new Set(['endpoints', 'workers', 'circuits'])

/** Answered without a token: they reveal nothing worth protecting, and probes carry no token. */
const PROBES: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz'])

const INDEX = [
  'Portico admin',
  '',
  '/dashboard/ what is served and how it does, for a browser',
  '/livez      the process answers',
  '/readyz     it may be sent traffic (also /healthz)',
  '/metrics    Prometheus text format, or OpenMetrics by Accept',
  ...Object.keys(VIEWS).map((name) => `/api/v1/${name}`),
  '/api/v1/explain?url=URL   how a request would be served now',
  '/api/v1/requests          the last requests; /ID one of them, /stream as they end',
  '/api/v1/traffic           rates and durations by route and endpoint; /stream once a second',
  '',
].join('\n')

const WRITES_INDEX = WRITE_PATHS.map((path) => `POST ${path}\n`).join('')

/** Time limits in milliseconds for a head and for a whole request, so that slow or hostile clients hold nothing up. */
const HEAD_TIMEOUT = 2000
const REQUEST_TIMEOUT = 5000
const CHECK_INTERVAL = 500

/** Throws if `settings.admin` would admit anybody on the network, or names a file without a token. */
export function createAdmin(options: AdminOptions): AdminListener {
  const { admin } = options.settings
  if (admin.socket === '' && !isLoopback(admin.address) && !wantsToken(admin)) {
    throw new Error(`admin.address ${admin.address} is not loopback: it needs admin.token`)
  }
  const app = createApp(options)
  let removeSocket = () => {}
  return {
    listen: async () => {
      if (admin.socket !== '') {
        removeSocket = await openUnixSocket(admin.socket, (path) => app.listen({ path }))
        return {}
      }
      await openAt(admin.address, (host) => app.listen({ host, port: admin.port }))
      return { port: (app.server.address() as AddressInfo).port }
    },
    close: async () => {
      removeSocket()
      await app.close()
    },
  }
}

function createApp(options: AdminOptions): FastifyInstance {
  const { settings, state, metrics, log, clock = systemClock, refresh = async () => {} } = options
  const app = Fastify({
    schemaController: NO_SCHEMAS,
    bodyLimit: 1024,
    requestTimeout: REQUEST_TIMEOUT,
    forceCloseConnections: true,
    http: { headersTimeout: HEAD_TIMEOUT, connectionsCheckingInterval: CHECK_INTERVAL, maxHeaderSize: 16_384 },
  })
  const connections = new ProbedConnections(app.server, clock, ({ url = '' }) => PROBES.has(url.replace(/\?.*/s, '')))
  app.server.on('error', (error) => {
    // Until it listens, `listen` rejects with the error.
    if (app.server.listening) log.error({ err: error, listener: 'admin' }, 'listener failed')
  })

  const { admin } = settings
  const hasWrites = admin.writes && options.writes !== undefined
  const token = wantsToken(admin) ? new AdminToken({ admin, clock, log }) : undefined
  const refuse = createAccessCheck(admin.address, token)
  app.addHook('onRequest', async ({ headers, routeOptions }, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    if (PROBES.has(routeOptions.url ?? '')) return
    const { host, origin, authorization } = headers
    const path = routeOptions.url ?? ''
    // Links of other sites may lead to the list and to the dashboard.
    const site = path === '/' ? undefined : (headers['sec-fetch-site'] as string | undefined)
    const refusal = isDashboardPath(path) ? undefined : refuse({ host, origin, authorization, site })
    if (!refusal && connections.hasRoomForAnswer()) return
    if (!refusal) {
      await reply.code(503).header('retry-after', '1').send({ message: 'Too many answers are being taken slowly.' })
      return
    }
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer')
    await reply.code(refusal.status).send({ message: refusal.message })
  })
  app.setNotFoundHandler(({ method }, reply) => {
    if (method === 'GET' || method === 'HEAD' || (method === 'POST' && hasWrites))
      reply.code(404).send({ message: 'Not found; / lists what there is.' })
    else
      reply
        .code(405)
        .header('allow', 'GET, HEAD')
        .send({ message: 'The admin listener is read only: admin.writes is off.' })
  })
  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) log.error({ err: error }, 'admin request failed')
    reply.code(status).send({ message: status >= 500 ? 'The request failed.' : error.message })
  })

  const index = hasWrites ? INDEX + WRITES_INDEX : INDEX
  app.get('/', ({ headers }, reply) =>
    headers.accept?.includes('text/html') ? reply.redirect(DASHBOARD_PATH) : reply.type('text/plain').send(index),
  )
  app.get('/dashboard', (_request, reply) => reply.redirect(DASHBOARD_PATH))
  serveDashboard(app)
  if (options.recent) addLogs(app, options.recent)
  if (hasWrites) addWrites(app, options.writes!, log)
  app.get('/livez', (_request, reply) => reply.send({ status: 'ok' }))
  app.get('/readyz', (_request, reply) => sendReadiness(reply, state()))
  app.get('/healthz', (_request, reply) => sendReadiness(reply, state()))
  const answers = new AnswerMaker()
  app.get('/metrics', async ({ headers }, reply) => {
    const form = chooseMetricsForm(headers.accept)
    const text = await answers.make(`metrics ${form}`, refresh, () => metrics.text(form))
    return reply.type(form === 'openmetrics' ? OPENMETRICS_TYPE : metrics.contentType).send(text)
  })
  for (const [name, view] of Object.entries(VIEWS)) {
    const prepare = LIVE_VIEWS.has(name) ? refresh : async () => {}
    app.get(`/api/v1/${name}`, async (_request, reply) => {
      if (!state().served) return reply.code(503).send({ message: 'There is no configuration yet.' })
      const body = await answers.make(name, prepare, () => {
        const current = state()
        return JSON.stringify(view(current.served!, current, clock.now()))
      })
      return reply.type('application/json; charset=utf-8').send(body)
    })
  }
  addExplainRoute(app, { state, refresh, markService: options.markService ?? (async () => undefined), clock })
  addRequestRoutes(app, {
    source: options.traffic ?? (() => undefined),
    endpoints: () => state().endpoints ?? [],
    refresh,
    keepsRecords: admin.records > 0,
    streams: new EventStreams((socket) => connections.letStream(socket)),
    answers,
    clock,
  })
  return app
}

function sendReadiness(reply: FastifyReply, { ready, reasons, served }: AdminState): void {
  if (ready && served) {
    reply.send({ status: 'ready', generation: served.generation })
    return
  }
  const why = reasons ?? [served ? 'the gateway is starting or draining' : 'there is no configuration yet']
  reply.code(503).send({ status: 'not ready', reasons: why })
}
