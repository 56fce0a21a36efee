/** HAProxy as a candidate: routes in a map file. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Candidate, Place, Running } from '../candidate.ts'
import { Child, run } from '../child.ts'
import { findProgram } from '../program.ts'
import type { Scenario } from '../scenario.ts'

export async function findHaproxy(): Promise<Candidate | undefined> {
  const program = findProgram('haproxy')
  if (program === undefined) return undefined
  const version = /version (\d[\d.]*\d)/.exec(await run(program, ['-v'], 'any', 10_000))?.[1] ?? ''
  return { name: 'haproxy', version, start: (scenario, place) => start(program, scenario, place) }
}

async function start(program: string, scenario: Scenario, place: Place): Promise<Running> {
  const file = join(place.folder, 'haproxy.cfg')
  writeConfiguration(file, scenario, place)
  const child = new Child(program, ['-W', '-f', file], {
    core: place.core,
    output: join(place.folder, 'access.log'),
    errors: join(place.folder, 'output'),
  })
  const reload = async (next: Scenario) => {
    writeConfiguration(file, next, place)
    child.signal('SIGUSR2')
  }
  return { child, place, reload }
}

function writeConfiguration(file: string, scenario: Scenario, place: Place): void {
  const { routes, endpoints, tls, accessLog, workers } = scenario
  const map = join(place.folder, 'routes.map')
  const pem = `${place.certificate}.haproxy.pem`
  writeFileSync(map, routes.flatMap(({ host, paths }) => paths.map((path) => `${host}${path} up\n`)).join(''))
  writeFileSync(
    file,
    `global
  nbthread ${workers}
  maxconn 20000
  no strict-limits
  log stdout format raw local0
  ssl-default-bind-options no-tls-tickets ssl-min-ver TLSv1.2
  tune.ssl.cachesize 0
defaults
  mode http
  option http-keep-alive
  http-reuse always
  option forwardfor
  timeout client 75s
  timeout server 60s
  timeout connect 5s
  timeout http-request 10s
  timeout tunnel 1h
  unique-id-format %{+X}o\\ %ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-ID
  ${accessLog ? 'log global\n  option httplog' : ''}
frontend in
  bind 127.0.0.1:${place.http}
  ${tls ? `bind 127.0.0.1:${place.https} ssl crt ${pem} alpn h2,http/1.1` : ''}
  http-request set-header X-Forwarded-Proto ${tls ? '%[ssl_fc,iif(https,http)]' : 'http'}
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-var(txn.path) path
  http-request set-var(txn.route) req.hdr(host),field(1,:),lower,concat(,txn.path)
  use_backend %[var(txn.route),map_beg(${map})]
backend up
${endpoints.map((endpoint, at) => `  server s${at} ${endpoint}`).join('\n')}
`,
  )
}
