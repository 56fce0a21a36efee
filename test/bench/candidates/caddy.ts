/** Caddy as a candidate: a subroute for each host, as its Caddyfile makes them; the routes name the upstream, one handler proxies to it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Candidate, Place, Running } from '../candidate.ts'
import { Child, run } from '../child.ts'
import { findProgram } from '../program.ts'
import type { Scenario } from '../scenario.ts'

export async function findCaddy(): Promise<Candidate | undefined> {
  const program = findProgram('caddy')
  if (program === undefined) return undefined
  const version = /\d+\.[\d.]+/.exec(await run(program, ['version'], 'any', 10_000))?.[0] ?? ''
  return { name: 'caddy', version, start: (scenario, place) => start(program, scenario, place) }
}

async function start(program: string, scenario: Scenario, place: Place): Promise<Running> {
  const file = join(place.folder, 'caddy.json')
  writeFileSync(file, configure(scenario, place))
  const child = new Child(program, ['run', '--config', file], {
    core: place.core,
    output: join(place.folder, 'output'),
    env: {
      XDG_DATA_HOME: place.folder,
      XDG_CONFIG_HOME: place.folder,
      HOME: place.folder,
      GOMAXPROCS: String(scenario.workers),
    },
  })
  const reload = async (next: Scenario) => {
    const response = await fetch(`http://127.0.0.1:${place.admin}/load`, {
      method: 'POST',
      // It wants to know that no page of a browser sent this.
      headers: { 'content-type': 'application/json', origin: `http://127.0.0.1:${place.admin}` },
      body: configure(next, place),
    })
    if (!response.ok) throw new Error(`caddy refused the configuration: ${await response.text()}`)
  }
  return { child, place, reload }
}

function configure(scenario: Scenario, place: Place): string {
  const { routes, endpoints, tls, accessLog } = scenario
  const chosen = routes.map(({ host, paths }) => ({
    group: 'hosts',
    match: [{ host: [host] }],
    handle: [{ handler: 'subroute', routes: [...paths].sort(byLength).map(choose) }],
  }))
  const proxy = {
    match: [{ vars: { upstream: ['up'] } }],
    handle: [
      {
        handler: 'reverse_proxy',
        upstreams: endpoints.map((dial) => ({ dial })),
        load_balancing: { selection_policy: { policy: 'round_robin' } },
        transport: { protocol: 'http', keep_alive: { max_idle_conns_per_host: 1024 }, compression: false },
        headers: { request: { set: { 'X-Request-Id': ['{http.request.uuid}'] } } },
      },
    ],
    terminal: true,
  }
  const server = {
    routes: [...chosen, proxy, { handle: [{ handler: 'static_response', status_code: 404 }] }],
    automatic_https: { disable: true },
    protocols: ['h1', 'h2'],
    ...(accessLog && { logs: {} }),
  }
  return JSON.stringify({
    admin: { listen: `127.0.0.1:${place.admin}`, config: { persist: false } },
    logging: {
      logs: {
        default: { level: 'ERROR', exclude: ['http.log.access'] },
        ...(accessLog && {
          access: {
            writer: { output: 'file', filename: join(place.folder, 'access.log'), roll: false },
            include: ['http.log.access'],
          },
        }),
      },
    },
    apps: {
      http: {
        servers: {
          plain: { listen: [`127.0.0.1:${place.http}`], ...server },
          ...(tls && {
            secure: { listen: [`127.0.0.1:${place.https}`], ...server, tls_connection_policies: [{}] },
          }),
        },
      },
      ...(tls && {
        tls: {
          certificates: { load_files: [{ certificate: place.certificate, key: place.key }] },
          session_tickets: { disabled: true },
        },
      }),
    },
  })
}

function byLength(left: string, right: string): number {
  return right.length - left.length
}

function choose(path: string): object {
  return {
    group: 'paths',
    match: [{ path: path === '/' ? ['/*'] : [path, `${path}/*`] }],
    handle: [{ handler: 'vars', upstream: 'up' }],
  }
}
