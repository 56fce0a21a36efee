/** Traefik as a candidate: its file provider, which watches a folder. */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Candidate, Place, Running } from '../candidate.ts'
import { Child, run } from '../child.ts'
import { findProgram } from '../program.ts'
import type { Scenario } from '../scenario.ts'

/** It tries the rules of its routers one after another, and builds a chain of handlers for each. */
const MOST_ROUTES = 20_000

export async function findTraefik(): Promise<Candidate | undefined> {
  const program = findProgram('traefik')
  if (program === undefined) return undefined
  const version = /Version:\s+v?(\S+)/.exec(await run(program, ['version'], 'any', 10_000))?.[1] ?? ''
  const refuses = ({ routes }: Scenario) =>
    routes.reduce((sum, { paths }) => sum + paths.length, 0) > MOST_ROUTES
      ? `not asked for more than ${MOST_ROUTES} routers`
      : undefined
  return { name: 'traefik', version, refuses, start: (scenario, place) => start(program, scenario, place) }
}

async function start(program: string, scenario: Scenario, place: Place): Promise<Running> {
  const file = join(place.folder, 'traefik.json')
  mkdirSync(join(place.folder, 'dynamic'), { recursive: true })
  writeRoutes(scenario, place)
  writeFileSync(
    file,
    JSON.stringify({
      global: { checkNewVersion: false, sendAnonymousUsage: false },
      log: { level: 'ERROR' },
      entryPoints: {
        http: { address: `127.0.0.1:${place.http}` },
        ...(scenario.tls && { https: { address: `127.0.0.1:${place.https}`, http: { tls: {} } } }),
      },
      serversTransport: { maxIdleConnsPerHost: 1024 },
      ...(scenario.accessLog && { accessLog: { filePath: join(place.folder, 'access.log') } }),
      providers: { providersThrottleDuration: '0s', file: { directory: join(place.folder, 'dynamic'), watch: true } },
    }),
  )
  const child = new Child(program, [`--configFile=${file}`], {
    core: place.core,
    output: join(place.folder, 'output'),
    env: { GOMAXPROCS: String(scenario.workers) },
  })
  const reload = async (next: Scenario) => writeRoutes(next, place)
  return { child, place, reload }
}

/** JSON is YAML; the folder is searched for files of the other name. */
function writeRoutes(scenario: Scenario, place: Place): void {
  const { routes, endpoints, tls } = scenario
  const rules = routes.flatMap(({ host, paths }) =>
    paths.map((path) => {
      const whole = path === '/' ? '' : ` && (Path(\`${path}\`) || PathPrefix(\`${path}/\`))`
      return `Host(\`${host}\`)${whole}`
    }),
  )
  const configuration = {
    http: {
      routers: Object.fromEntries(rules.map((rule, at) => [`r${at}`, { rule, service: 'up' }])),
      services: {
        up: { loadBalancer: { servers: endpoints.map((endpoint) => ({ url: `http://${endpoint}` })) } },
      },
    },
    ...(tls && {
      tls: {
        certificates: [{ certFile: place.certificate, keyFile: place.key }],
        options: { default: { disableSessionTickets: true } },
      },
    }),
  }
  const file = join(place.folder, 'dynamic', 'routes.yml')
  writeFileSync(`${place.folder}/routes.new`, JSON.stringify(configuration))
  renameSync(`${place.folder}/routes.new`, file)
}
