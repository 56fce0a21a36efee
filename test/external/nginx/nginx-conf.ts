/**
 * The configuration of nginx that comes to what ingress-nginx writes for the Ingresses of cases. Where ingress-nginx has Lua
 * or a module that a plain nginx lacks, directives of the same effect stand in.
 */
import type { WrittenIngress } from '../../translate/ingress/nginx/nginx-ingress.ts'
import { ANSWER_FIELDS, type Case, type Places } from './case.ts'

type Location = Readonly<{
  path: string
  type: string
  service: string
  nginx: WrittenIngress['nginx']
  /** Of its Ingress. */
  name: string
}>

export type Setup = Readonly<{ folder: string; port: number; places: Places }>

export function printConfiguration(cases: readonly Case[], setup: Setup): string {
  const { folder, port, places } = setup
  const servers = cases.map((found, at) => printHost(found, at, port))
  return `daemon off;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/nginx.pid;
error_log ${folder}/error.log warn;
events { worker_connections 256; }
http {
  access_log off;
  default_type text/html;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  server_names_hash_max_size 8192;
  server_names_hash_bucket_size 128;
  map_hash_bucket_size 128;
  proxy_http_version 1.1;
  large_client_header_buffers 4 8k;
  limit_req_status 503;
  port_in_redirect off;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  map $http_x_request_id $req_id { default $http_x_request_id; '' $request_id; }
  map $request_uri $uri_without_slash { '~^(?<start>.*)/$' $start; default $request_uri; }
  upstream web { server 127.0.0.1:${places.web}; }
  upstream pages { server 127.0.0.1:${places.pages}; }
  upstream auth { server 127.0.0.1:${places.auth}; }
  upstream nobody { server 127.0.0.1:${places.nobody}; }
  server { listen 127.0.0.1:${port} default_server; server_name _; location / { proxy_pass http://nobody; } }
${servers.join('\n')}
}
`
}

function printHost({ host, ingresses }: Case, at: number, port: number): string {
  const locations = findLocations(ingresses)
  const isRegex = locations.some(needsRegex)
  const all = isRegex ? locations : locations.flatMap(splitPrefix)
  // R3
  const sorted = [...all].sort((a, b) => b.path.length - a.path.length || (a.path < b.path ? 1 : -1))
  const outside = new Set<string>()
  const inside: string[] = []
  for (const [index, location] of sorted.entries()) {
    const { before, beside, text } = printLocation(location, `${at}_${index}`, host)
    for (const line of before) outside.add(line)
    inside.push(...beside, `location ${printModifier(location, isRegex)} {\n      ${text.join('\n      ')}\n    }`)
  }
  const written = Object.values(ingresses)
  const names = [host, ...written.flatMap(({ nginx }) => nginx['server-alias']?.split(',') ?? [])]
  const root = written.map(({ nginx }) => nginx['app-root']).find((each) => each?.startsWith('/'))
  if (root) inside.unshift(`if ($uri = /) { return 302 $scheme://$http_host${root}; }`)
  const snippet = written.map(({ nginx }) => nginx['server-snippet']).find(Boolean)
  if (snippet) inside.unshift(snippet)
  const listen = `listen 127.0.0.1:${port};`
  if (written.some(({ nginx }) => nginx['from-to-www-redirect'] === 'true')) {
    const other = host.startsWith('www.') ? host.slice(4) : `www.${host}`
    outside.add(`server { ${listen} server_name ${other}; return 308 $scheme://${host}:80$uri_without_slash; }`)
  }
  return `${[...outside].map((line) => `  ${line}`).join('\n')}
  server {
    ${listen}
    server_name ${names.join(' ')};
    ${inside.join('\n    ')}
  }`
}

/** G8: a host has a location /, with the annotations of its first Ingress. */
function findLocations(ingresses: Case['ingresses']): readonly Location[] {
  const locations = Object.entries(ingresses).flatMap(([name, { nginx, paths = [['/']] }]) =>
    paths.map(([path, type = 'Prefix', service = 'web']): Location => ({ path, type, service, nginx, name })),
  )
  if (locations.some(({ path, type }) => path === '/' && type !== 'Exact')) return locations
  return [...locations, { ...locations[0]!, path: '/', type: 'Prefix', service: 'nobody' }]
}

function needsRegex({ path, nginx }: Location): boolean {
  const target = nginx['rewrite-target']
  return nginx['use-regex'] === 'true' || (target !== undefined && target !== path)
}

/** R1 */
function splitPrefix(location: Location, _at: number, all: readonly Location[]): readonly Location[] {
  const { path, type } = location
  if (path === '/' || type !== 'Prefix') return [location]
  const below = { ...location, path: path.endsWith('/') ? path : `${path}/` }
  const isTaken = all.some((other) => other.type === 'Exact' && other.path === path)
  return isTaken ? [below] : [below, { ...location, type: 'Exact' }]
}

function printModifier({ path, type }: Location, isRegex: boolean): string {
  return isRegex ? `~* "^${path}"` : `${type === 'Exact' ? '= ' : ''}"${path}"`
}

const quote = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`

type Printed = { before: string[]; beside: string[]; text: string[] }

/** In the order of the template. */
function printLocation({ path, service, nginx, name }: Location, id: string, host: string): Printed {
  const before: string[] = []
  const beside: string[] = []
  const text: string[] = []
  const is = (annotation: string): boolean => nginx[annotation] === 'true'
  const list = (annotation: string): readonly string[] => nginx[annotation]?.split(',').map((each) => each.trim()) ?? []
  for (const range of list('denylist-source-range')) text.push(`deny ${range};`)
  const allowed = nginx['whitelist-source-range'] === undefined ? 'allowlist-source-range' : 'whitelist-source-range'
  for (const range of list(allowed)) text.push(`allow ${range};`)
  if (list(allowed).length > 0) text.push('deny all;')

  if (is('enable-cors')) printCors(nginx, id, { before, text })

  if (nginx['auth-url'] !== undefined) {
    const auth = `/_auth_${id}`
    beside.push(`location = ${auth} { internal; ${printAuthCall(nginx).join(' ')} }`)
    text.push(`auth_request ${auth};`, 'auth_request_set $auth_cookie $upstream_http_set_cookie;')
    text.push(`add_header Set-Cookie $auth_cookie${is('auth-always-set-cookie') ? ' always' : ''};`)
    for (const [at, field] of list('auth-response-headers').entries()) {
      text.push(`auth_request_set $auth_field${at} $upstream_http_${field.toLowerCase().replaceAll('-', '_')};`)
      text.push(`proxy_set_header ${field} $auth_field${at};`)
    }
    const signin = nginx['auth-signin']
    if (signin !== undefined) {
      const param = nginx['auth-signin-redirect-param'] ?? 'rd'
      const joint = signin.includes(`${param}=`)
        ? ''
        : `${signin.includes('?') ? '&' : '?'}${param}=$scheme://$http_host$request_uri`
      beside.push(
        `location @signin_${id} { internal; add_header Set-Cookie $auth_cookie; return 302 ${signin}${joint}; }`,
      )
      text.push(`error_page 401 = @signin_${id};`)
    }
  }
  if (nginx['auth-type'] === 'basic') {
    text.push(`auth_basic ${quote(nginx['auth-realm'] ?? '')};`, 'auth_basic_user_file htpasswd;')
    text.push('proxy_set_header Authorization "";')
  }

  const multiplier = Number(nginx['limit-burst-multiplier'] ?? 5)
  for (const [annotation, unit] of [
    ['limit-rps', 's'],
    ['limit-rpm', 'm'],
  ] as const) {
    const rate = Number(nginx[annotation] ?? 0)
    if (rate <= 0) continue
    // RL1: all paths of an Ingress count together.
    const zone = `${host.replaceAll('.', '_')}_${name}_${unit}`
    const line = `limit_req_zone $binary_remote_addr zone=${zone}:1m rate=${rate}r/${unit};`
    before.push(line)
    text.push(`limit_req zone=${zone} burst=${rate * multiplier} nodelay;`)
  }
  text.push(`client_max_body_size ${nginx['proxy-body-size'] ?? '1m'};`)
  text.push(...printRequestFields(nginx['upstream-vhost']))
  text.push(`proxy_cookie_domain ${nginx['proxy-cookie-domain'] ?? 'off'};`)
  text.push(`proxy_cookie_path ${nginx['proxy-cookie-path'] ?? 'off'};`)
  text.push('proxy_buffering off;', 'proxy_next_upstream_tries 3;')
  if (nginx['configuration-snippet'] !== undefined) text.push(nginx['configuration-snippet'])
  if (nginx['custom-headers'] !== undefined)
    for (const [field, value] of Object.entries(ANSWER_FIELDS))
      text.push(`proxy_hide_header ${field};`, `add_header ${field} ${quote(value)} always;`)
  if (nginx.satisfy !== undefined) text.push(`satisfy ${nginx.satisfy};`)
  if (nginx['custom-http-errors'] !== undefined && !is('disable-proxy-intercept-errors'))
    text.push('proxy_intercept_errors on;')
  const pages = nginx['default-backend'] ?? 'nobody'
  for (const code of list('custom-http-errors')) {
    beside.push(
      `location @custom_${id}_${code} { internal; proxy_intercept_errors off; ${printPageCall(code, name, service).join(' ')} rewrite (.*) / break; proxy_pass http://${pages}; }`,
    )
    text.push(`error_page ${code} = @custom_${id}_${code};`)
  }
  const redirect = findRedirect(nginx)
  if (redirect !== undefined) text.push(`return ${redirect};`)
  if (is('force-ssl-redirect')) text.push(`return 308 https://$host$uri_without_slash;`)
  const target = nginx['rewrite-target']
  if (target !== undefined && target !== path) {
    text.push(`rewrite "(?i)${path}" ${target} break;`)
    // XP1
    const prefix = nginx['x-forwarded-prefix']
    if (prefix !== undefined) text.push(`proxy_set_header X-Forwarded-Prefix ${quote(prefix)};`)
  }
  text.push(`proxy_pass http://${service};`)
  const from = nginx['proxy-redirect-from'] ?? 'off'
  text.push(
    from === 'default' || from === 'off'
      ? `proxy_redirect ${from};`
      : `proxy_redirect ${from} ${nginx['proxy-redirect-to']};`,
  )
  return { before, beside, text }
}

/** RD2, RD3 */
function findRedirect(nginx: WrittenIngress['nginx']): string | undefined {
  for (const [annotation, usual, most] of [
    ['temporal-redirect', 302, 307],
    ['permanent-redirect', 301, 308],
  ] as const) {
    const url = nginx[annotation]
    if (url === undefined) continue
    const code = Number(nginx[`${annotation}-code`] ?? usual)
    return `${code >= 300 && code <= most ? code : usual} ${url}`
  }
  return undefined
}

/** G11 */
function printRequestFields(host: string | undefined): readonly string[] {
  return [
    `proxy_set_header Host ${host === undefined ? '$http_host' : quote(host)};`,
    'proxy_set_header Upgrade $http_upgrade;',
    'proxy_set_header Connection $connection_upgrade;',
    'proxy_set_header X-Request-ID $req_id;',
    'proxy_set_header X-Real-IP $remote_addr;',
    'proxy_set_header X-Forwarded-For $remote_addr;',
    'proxy_set_header X-Forwarded-Host $http_host;',
    // The port that ingress-nginx listens at.
    'proxy_set_header X-Forwarded-Port 80;',
    'proxy_set_header X-Forwarded-Proto $scheme;',
    'proxy_set_header X-Forwarded-Scheme $scheme;',
    'proxy_set_header X-Scheme $scheme;',
    'proxy_set_header X-Original-Forwarded-For $http_x_forwarded_for;',
    'proxy_set_header X-Original-Forwarded-Host $http_x_forwarded_host;',
    'proxy_set_header Proxy "";',
  ]
}

/** EA1 */
function printAuthCall(nginx: WrittenIngress['nginx']): readonly string[] {
  const method = nginx['auth-method']
  const told = [
    `proxy_method ${method};`,
    'proxy_set_header X-Original-URI $request_uri;',
    'proxy_set_header X-Scheme $scheme;',
  ]
  return [
    'proxy_pass_request_body off;',
    'proxy_set_header Content-Length "";',
    'proxy_set_header X-Forwarded-Proto "";',
    'proxy_set_header X-Request-ID $req_id;',
    ...(method === undefined ? [] : told),
    `proxy_set_header Host ${new URL(nginx['auth-url']!).hostname};`,
    'proxy_set_header X-Original-URL $scheme://$http_host$request_uri;',
    'proxy_set_header X-Original-Method $request_method;',
    'proxy_set_header X-Sent-From "nginx-ingress-controller";',
    'proxy_set_header X-Real-IP $remote_addr;',
    'proxy_set_header X-Forwarded-For $remote_addr;',
    `proxy_set_header X-Auth-Request-Redirect ${nginx['auth-request-redirect'] ?? '$request_uri'};`,
    `client_max_body_size ${nginx['proxy-body-size'] ?? '1m'};`,
    `proxy_pass ${nginx['auth-url']};`,
  ]
}

/** CE1 */
function printPageCall(code: string, ingress: string, service: string): readonly string[] {
  return [
    `proxy_set_header X-Code ${code};`,
    'proxy_set_header X-Format $http_accept;',
    'proxy_set_header X-Original-URI $request_uri;',
    'proxy_set_header X-Namespace default;',
    `proxy_set_header X-Ingress-Name ${ingress};`,
    `proxy_set_header X-Service-Name ${service};`,
    'proxy_set_header X-Service-Port 80;',
    'proxy_set_header X-Request-ID $req_id;',
    'proxy_set_header X-Forwarded-For $remote_addr;',
    'proxy_set_header Host $http_host;',
  ]
}

const USUAL_METHODS = 'GET, PUT, POST, DELETE, PATCH, OPTIONS'
const USUAL_FIELDS =
  'DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization'

/** CO1 to CO5. A field with an empty value is not sent, so that maps stand in for more_set_headers in an `if`. */
function printCors(
  nginx: WrittenIngress['nginx'],
  id: string,
  { before, text }: Pick<Printed, 'before' | 'text'>,
): void {
  const origins = (nginx['cors-allow-origin'] ?? '*').split(',').map((each) => each.trim())
  const isAny = origins.includes('*')
  const pattern = origins
    .map((each) => each.replace(/[.+?^$()[\]{}|\\]/g, '\\$&').replace('*', '[A-Za-z0-9\\-]+'))
    .join('|')
  before.push(
    isAny
      ? `map $host $cors_${id} { default '*'; }`
      : `map $http_origin $cors_${id} { default ''; "~*(${pattern})$" $http_origin; }`,
    `map "$cors_${id}:$request_method" $preflight_${id} { default ''; '~^.+:OPTIONS$' yes; }`,
  )
  const values = [
    ['Allow-Methods', nginx['cors-allow-methods'] ?? USUAL_METHODS],
    ['Allow-Headers', nginx['cors-allow-headers'] ?? USUAL_FIELDS],
    ['Max-Age', nginx['cors-max-age'] ?? '1728000'],
  ] as const
  const fields = [`add_header Access-Control-Allow-Origin $cors_${id} always;`]
  const hidden = ['proxy_hide_header Access-Control-Allow-Origin;']
  const add = (field: string, value: string) => {
    const variable = `$cors_${id}_${field.toLowerCase().replaceAll('-', '_')}`
    before.push(`map $cors_${id} ${variable} { '' ''; default ${quote(value)}; }`)
    fields.push(`add_header Access-Control-${field} ${variable} always;`)
    hidden.push(`proxy_hide_header Access-Control-${field};`)
  }
  if (nginx['cors-allow-credentials'] !== 'false') add('Allow-Credentials', 'true')
  for (const [name, value] of values) add(name, value)
  if (nginx['cors-expose-headers'] !== undefined) add('Expose-Headers', nginx['cors-expose-headers'])
  text.push(...hidden, ...fields, `if ($preflight_${id}) { ${fields.join(' ')} return 204; }`)
}
