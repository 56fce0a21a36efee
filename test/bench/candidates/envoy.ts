/** Envoy as a candidate: the routes in a file of their own, which it watches. */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Candidate, Place, Running } from '../candidate.ts'
import { Child, run } from '../child.ts'
import { findProgram } from '../program.ts'
import type { Scenario } from '../scenario.ts'

const TYPES = 'type.googleapis.com/envoy'

export async function findEnvoy(): Promise<Candidate | undefined> {
  const program = findProgram('envoy')
  if (program === undefined) return undefined
  const version = /\/(\d+\.\d+\.\d+)\//.exec(await run(program, ['--version'], 'any', 10_000))?.[1] ?? ''
  return { name: 'envoy', version, start: (scenario, place) => start(program, scenario, place) }
}

async function start(program: string, scenario: Scenario, place: Place): Promise<Running> {
  const file = join(place.folder, 'envoy.json')
  writeRoutes(scenario, place)
  writeFileSync(file, configure(scenario, place))
  const args = ['--concurrency', String(scenario.workers), '--disable-hot-restart', '--log-level', 'error', '-c', file]
  const child = new Child(program, args, { core: place.core, output: join(place.folder, 'output') })
  const reload = async (next: Scenario) => writeRoutes(next, place)
  return { child, place, reload }
}

/** Envoy takes notice of files that are moved into place. */
function writeRoutes(scenario: Scenario, place: Place): void {
  const configuration = {
    '@type': `${TYPES}.config.route.v3.RouteConfiguration`,
    name: 'routes',
    request_headers_to_add: [
      {
        header: { key: 'x-forwarded-host', value: '%REQ(:authority)%' },
        append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
      },
    ],
    virtual_hosts: scenario.routes.map(({ host, paths }) => ({
      name: host,
      domains: [host, `${host}:*`],
      routes: [...paths]
        .sort((left, right) => right.length - left.length)
        .map((path) => ({
          match: path === '/' ? { prefix: '/' } : { path_separated_prefix: path },
          route: { cluster: 'up', timeout: '60s' },
        })),
    })),
  }
  const file = join(place.folder, 'routes.json')
  writeFileSync(`${file}.new`, JSON.stringify({ resources: [configuration] }))
  renameSync(`${file}.new`, file)
}

function configure(scenario: Scenario, place: Place): string {
  const { endpoints, tls } = scenario
  const manager = {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'in',
      codec_type: 'AUTO',
      use_remote_address: true,
      generate_request_id: true,
      common_http_protocol_options: { idle_timeout: '75s' },
      request_headers_timeout: '10s',
      ...(scenario.websocket && { upgrade_configs: [{ upgrade_type: 'websocket' }] }),
      ...(scenario.accessLog && {
        access_log: [
          {
            name: 'envoy.access_loggers.file',
            typed_config: {
              '@type': `${TYPES}.extensions.access_loggers.file.v3.FileAccessLog`,
              path: join(place.folder, 'access.log'),
            },
          },
        ],
      }),
      rds: {
        route_config_name: 'routes',
        config_source: {
          resource_api_version: 'V3',
          path_config_source: { path: join(place.folder, 'routes.json') },
        },
      },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${TYPES}.extensions.filters.http.router.v3.Router` },
        },
      ],
    },
  }
  const listener = (port: number, secure: boolean) => ({
    name: String(port),
    address: { socket_address: { address: '127.0.0.1', port_value: port } },
    filter_chains: [
      {
        filters: [manager],
        ...(secure && {
          transport_socket: {
            name: 'envoy.transport_sockets.tls',
            typed_config: {
              '@type': `${TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
              disable_stateless_session_resumption: true,
              disable_stateful_session_resumption: true,
              common_tls_context: {
                alpn_protocols: ['h2', 'http/1.1'],
                tls_params: { tls_maximum_protocol_version: 'TLSv1_3' },
                tls_certificates: [
                  { certificate_chain: { filename: place.certificate }, private_key: { filename: place.key } },
                ],
              },
            },
          },
        }),
      },
    ],
  })
  const cluster = {
    name: 'up',
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [{ max_connections: 65_536, max_requests: 65_536, max_pending_requests: 65_536 }] },
    load_assignment: {
      cluster_name: 'up',
      endpoints: [
        {
          lb_endpoints: endpoints.map((endpoint) => {
            const [address, port] = endpoint.split(':')
            return { endpoint: { address: { socket_address: { address, port_value: Number(port) } } } }
          }),
        },
      ],
    },
  }
  const listeners = [listener(place.http, false), ...(tls ? [listener(place.https, true)] : [])]
  return JSON.stringify({
    node: { id: 'bench', cluster: 'bench' },
    static_resources: { listeners, clusters: [cluster] },
  })
}
