/** nginx as a candidate. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Candidate, Place, Running } from '../candidate.ts'
import { Child, run } from '../child.ts'
import { findProgram } from '../program.ts'
import type { Scenario } from '../scenario.ts'

export async function findNginx(): Promise<Candidate | undefined> {
  const program = findProgram('nginx')
  if (program === undefined) return undefined
  const version = /nginx\/(\S+)/.exec(await run('sh', ['-c', '"$0" -v 2>&1', program], 'any', 10_000))?.[1] ?? ''
  return { name: 'nginx', version, start: (scenario, place) => start(program, scenario, place) }
}

async function start(program: string, scenario: Scenario, place: Place): Promise<Running> {
  const file = join(place.folder, 'nginx.conf')
  writeFileSync(file, configure(scenario, place))
  const child = new Child(program, ['-e', 'stderr', '-p', place.folder, '-c', file], {
    core: place.core,
    output: join(place.folder, 'output'),
  })
  const reload = async (next: Scenario) => {
    writeFileSync(file, configure(next, place))
    child.signal('SIGHUP')
  }
  return { child, place, reload }
}

/** As many idle connections to the endpoints as any case needs. */
const KEPT = 1024

function configure(scenario: Scenario, place: Place): string {
  const { routes, endpoints, tls, websocket, workers } = scenario
  const listen = [`listen 127.0.0.1:${place.http};`, tls ? `listen 127.0.0.1:${place.https} ssl http2;` : ''].join(' ')
  return `daemon off;
worker_processes ${workers};
worker_rlimit_nofile 65536;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${place.folder}/nginx.pid;
events { worker_connections 32768; }
http {
  access_log ${scenario.accessLog ? `${place.folder}/access.log combined` : 'off'};
  client_body_temp_path ${place.folder};
  proxy_temp_path ${place.folder};
  fastcgi_temp_path ${place.folder};
  uwsgi_temp_path ${place.folder};
  scgi_temp_path ${place.folder};
  server_names_hash_max_size 131072;
  server_names_hash_bucket_size 128;
  client_max_body_size 0;
  keepalive_requests 1000000000;
  ${tls ? printTls(place) : ''}
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream up {
    ${endpoints.map((endpoint) => `server ${endpoint};`).join(' ')}
    keepalive ${KEPT};
    keepalive_requests 1000000000;
  }
  proxy_http_version 1.1;
  proxy_set_header Host $host;
  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Forwarded-Host $host;
  proxy_set_header X-Request-ID $request_id;
  proxy_set_header Connection ${websocket ? '$connection_upgrade' : '""'};
  ${websocket ? 'proxy_set_header Upgrade $http_upgrade;' : ''}
  server { ${listen.replaceAll(';', ' default_server;')} server_name _; return 404; }
${routes.map(({ host, paths }) => `  server { ${listen} server_name ${host}; ${paths.map((path) => `location ${path} { proxy_pass http://up; }`).join(' ')} }`).join('\n')}
}
`
}

/** Only where it is served: each server block makes a context of these. */
function printTls({ certificate, key }: Place): string {
  return `ssl_certificate ${certificate};
  ssl_certificate_key ${key};
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache off;
  ssl_session_tickets off;`
}
