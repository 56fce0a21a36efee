/** Snippets as they stand in public charts, manuals and issues, with other hosts: what each comes to. */
import t from 'tap'
import { translateOne } from './nginx-ingress.ts'

/** `done`: all of it. `part`: the rest is told, and refuses nothing. `closed`: the rest may guard, and the routes answer 503. */
type Verdict = 'done' | 'part' | 'closed'

const CONFIGURATION: readonly (readonly [verdict: Verdict, text: string])[] = [
  ['done', 'more_set_headers "X-Frame-Options: DENY";\nmore_set_headers "X-Content-Type-Options: nosniff";'],
  [
    'done',
    `more_set_headers "Strict-Transport-Security: max-age=31536000; includeSubDomains";
more_set_headers "Referrer-Policy: strict-origin-when-cross-origin";
more_set_headers "Permissions-Policy: geolocation=(), camera=(), microphone=()";`,
  ],
  ['done', 'more_set_headers "Request-Id: $req_id";\nmore_set_headers "Example: 42";'],
  ['done', 'more_set_headers "X-Forwarded-Proto: https";'],
  ['done', 'more_set_headers "server: app";\nmore_set_headers "X-Xss-Protection: 1; mode=block";'],
  ['done', `more_set_headers "Content-Security-Policy: default-src 'self'; img-src 'self' data:";`],
  ['done', 'more_clear_headers "Server";\nmore_clear_headers "X-Powered-By";'],
  ['done', 'add_header X-Frame-Options "SAMEORIGIN";\nadd_header X-XSS-Protection "1; mode=block" always;'],
  ['done', 'add_header Access-Control-Allow-Origin * always;'],
  ['done', 'proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection "upgrade";'],
  ['done', 'proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection "Upgrade";'],
  ['done', 'proxy_set_header X-Request-ID $req_id;'],
  ['done', 'proxy_set_header X-Forwarded-Path $request_uri;'],
  ['done', 'proxy_set_header X-Request-Start "t=$msec";'],
  ['done', 'proxy_set_header X-User-Id $cookie__id;'],
  ['done', 'proxy_set_header X-ARR-SSL 1;'],
  ['done', 'proxy_set_header Authorization $http_authorization;'],
  ['done', 'proxy_set_header X-Original-Forwarded-Host $http_x_forwarded_host;'],
  ['done', 'proxy_set_header Origin "";\nproxy_hide_header l5d-remote-ip;\nproxy_hide_header l5d-server-id;'],
  ['part', 'proxy_set_header l5d-dst-override $service_name.$namespace.svc.cluster.local:80;'],
  [
    'done',
    'proxy_set_header Host $host;\nproxy_set_header X-Real-IP $remote_addr;\nproxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\nproxy_set_header X-Forwarded-Proto $scheme;',
  ],
  ['part', 'etag on;\nproxy_pass_header ETag;\nproxy_set_header if-match "";'],
  ['part', 'proxy_set_header X-Remote-User $remote_user;'],
  ['part', 'proxy_ssl_server_name on;\nproxy_ssl_name $host;'],
  [
    'part',
    `proxy_set_header Accept-Encoding "";
sub_filter_last_modified off;
sub_filter '<head>' '<head> <base href="/app/">';
sub_filter 'href="/' 'href="';`,
  ],
  ['part', 'set $http_x_forwarded_proto https; set $http_x_forwarded_host $http_host;'],
  ['part', 'if ($request_uri ~* \\.(js|css|gif|jpe?g|png)) {\n  expires 30d;\n  add_header Cache-Control "public";\n}'],
  ['part', 'location = /robots.txt {\n  rewrite ^ /robots last;\n}'],
  ['part', 'proxy_cache app;\nproxy_cache_valid 404 1m;\nproxy_cache_use_stale error timeout updating;'],
  [
    'part',
    'chunked_transfer_encoding off;\nproxy_buffer_size 128k;\nproxy_buffers 4 256k;\nproxy_busy_buffers_size 256k;',
  ],
  ['done', 'deny 192.0.2.19;'],
  ['done', 'allow 192.0.2.0/24;\nallow 198.51.100.7;\ndeny all;'],
  // A warning says that the proxy must be trusted.
  ['part', 'if ($http_x_forwarded_proto = "http") {\n  return 301 https://$host$request_uri;\n}'],
  ['done', 'if ($request_method = POST) {\n  return 405;\n}'],
  ['done', 'if ($http_user_agent ~* "(AI2Bot|Amazonbot|Bytespider|CCBot)") {\n  return 403;\n}'],
  ['closed', 'satisfy any;\nallow 192.0.2.1;\ndeny all;'],
  ['closed', 'limit_req zone=apikey_limit burst=200 nodelay;\nlimit_req zone=ip_limit burst=40 nodelay;'],
  ['closed', 'set_real_ip_from 100.64.0.1/32;\nreal_ip_header X-Forwarded-For;\nreal_ip_recursive on;'],
  ['closed', 'access_by_lua_block {\n  local function check(dn) return true end\n}'],
  ['closed', 'location /metrics {\n\treturn 404;\n}'],
  ['closed', 'auth_request_set $user $upstream_http_x_user;\nproxy_set_header X-User $user;'],
]

const SERVER: readonly (readonly [verdict: Verdict, text: string])[] = [
  ['done', '# test'],
  ['done', 'more_set_headers "X-From: nginx";'],
  ['done', 'add_header X-Content-Type-Options "nosniff" always;\nadd_header Referrer-Policy "same-origin" always;'],
  ['done', 'return 503;'],
  ['done', 'if ($http_x_azure_fdid !~* "00000000-1111-2222-3333-444444444444" ) {\n   return 403;\n}'],
  ['part', 'client_header_buffer_size 64k;\nlarge_client_header_buffers 4 128k;'],
  ['part', 'location /health {\n  access_log off;\n  return 200 "healthy\\n";\n}'],
  [
    'part',
    `location = /auth_code {
  add_header Set-Cookie "code=$arg_code; Path=/; HttpOnly; Secure; SameSite=Lax";
  return 302 /;
}`,
  ],
  [
    'part',
    `server_tokens off;
proxy_hide_header X-Powered-By;
rewrite ^/.well-known/webfinger /index.php/.well-known/webfinger last;
location = /.well-known/carddav {
  return 301 $scheme://$host/remote.php/dav;
}`,
  ],
  ['part', "if ( $http_x_forwarded_proto != 'https' ){\n  return 307 https://www.example.com;\n}"],
  ['closed', 'deny 192.0.2.11;\nallow all;'],
  ['closed', 'if ( $request_uri ~ "^/api/health" ) { return 403; }'],
  ['closed', 'location ~* /auth/realms/[^/]+/metrics {\n  return 403;\n}'],
  [
    'closed',
    'set $agentflag 0;\nif ($http_user_agent ~* "(Mobile)" )\n{\n  set $agentflag 1;\n}\nif ( $agentflag = 1 ) {\n  return 301 https://m.example.com;\n}',
  ],
  ['closed', 'if ($deny_access) { return 403; }'],
  ['closed', 'limit_req_zone $binary_remote_addr zone=ip_limit:10m rate=20r/s;'],
  ['closed', 'default_type application/json;\nif ( $scheme = http ){\n  return 400 \'{"title": "Bad Request"}\';\n}'],
  ['closed', 'server_name _;'],
  ['closed', 'listen 8080;'],
  ['part', 'proxy_ssl_verify off;'],
  ['closed', 'proxy_ssl_verify on;'],
  ['done', 'location = /callback {\n  return 301 /auth/v1/callback$is_args$args;\n}'],
]

for (const [name, cases] of [
  ['configuration-snippet', CONFIGURATION],
  ['server-snippet', SERVER],
] as const) {
  t.test(`${name} of public charts, manuals and issues`, async (t) => {
    for (const [verdict, text] of cases) {
      const { route, diagnostics } = translateOne({ [name]: text })
      const found = route.action.type === 'unavailable' ? 'closed' : diagnostics.length > 0 ? 'part' : 'done'
      t.equal(found, verdict, text)
      t.equal(
        diagnostics.some(({ severity }) => severity === 'error'),
        verdict === 'closed',
        text,
      )
    }
  })
}
