/** The servers behind the candidates: nginx where there is one, for it costs least, and a Node server for WebSockets and slow answers. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ask } from './candidate.ts'
import { Child, type Core } from './child.ts'
import { findProgram } from './program.ts'

export const KIB = 'x'.repeat(1024)
const READY_MS = 10_000

/** On every address of 127.0.0.0/8, so that one server can be any number of endpoints. */
export type Backend = Readonly<{ name: string; httpPort: number; nodePort: number }>

/** `/10k`, `/64k`, `/1m` and `/10m` answer with so many bytes, every other path with 1 KiB; four fields beside the usual ones. The Node server has more (backend-server.ts). */
export async function startBackend(folder: string, port: number, core: Core): Promise<Backend> {
  mkdirSync(folder, { recursive: true })
  const program = fileURLToPath(new URL('./backend-server.js', import.meta.url))
  const output = join(folder, 'output')
  const nginx = findProgram('nginx')
  const nodePort = port + 1
  const servers = [new Child(process.execPath, [program, String(nodePort)], { core, output })]
  if (nginx === undefined) {
    servers.push(new Child(process.execPath, [program, String(port)], { core, output }))
  } else {
    writeFileSync(join(folder, '10k'), 'x'.repeat(10 << 10))
    writeFileSync(join(folder, '64k'), 'x'.repeat(64 << 10))
    writeFileSync(join(folder, '1m'), 'x'.repeat(1 << 20))
    writeFileSync(join(folder, '10m'), 'x'.repeat(10 << 20))
    writeFileSync(join(folder, 'nginx.conf'), configure(folder, port))
    servers.push(new Child(nginx, ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], { core, output }))
  }
  const deadline = performance.now() + READY_MS
  while ((await ask(port, 'backend', '/')) !== 200 || (await ask(nodePort, 'backend', '/')) !== 200) {
    const ended = servers.find((server) => server.isGone)
    if (ended !== undefined || performance.now() > deadline)
      throw new Error(`the backend does not start: ${servers[0]!.lastWords}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { name: nginx === undefined ? 'Node' : 'nginx', httpPort: port, nodePort }
}

function configure(folder: string, port: number): string {
  return `daemon off;
worker_processes 1;
worker_rlimit_nofile 65536;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/nginx.pid;
events { worker_connections 32768; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  open_file_cache max=10 inactive=1h;
  client_max_body_size 0;
  client_body_temp_path ${folder};
  proxy_temp_path ${folder};
  fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder};
  scgi_temp_path ${folder};
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  default_type text/plain;
  add_header Cache-Control "public, max-age=60";
  add_header Vary Accept-Encoding;
  add_header X-Content-Type-Options nosniff;
  add_header X-Served-By bench-1;
  server {
    listen 0.0.0.0:${port} backlog=4096;
    root ${folder};
    location / { return 200 "${KIB}"; }
    location = /10k { }
    location = /64k { }
    location = /1m { }
    location = /10m { }
  }
}
`
}
