/**
 * Every setting, once: its type, default, and what it does. From this table come the `Settings` type, the loader's checks,
 * `config/portico.yaml`, the JSON Schema, and the environment variables (`http.port` is `PORTICO_HTTP_PORT`).
 */
import { FACILITIES } from '../base/syslog-facility.ts'
import { TOKEN_FORM } from '../base/token-file.ts'
import type { SettingTable, Values } from './tree.ts'
import { address } from './types/address.ts'
import { addressRanges } from './types/address-ranges.ts'
import { addresses } from './types/addresses.ts'
import { boolean } from './types/boolean.ts'
import { bytes } from './types/bytes.ts'
import { choice } from './types/choice.ts'
import { cidrs } from './types/cidrs.ts'
import { codes } from './types/codes.ts'
import { duration } from './types/duration.ts'
import { endpoints } from './types/endpoints.ts'
import { integer } from './types/integer.ts'
import { logFields, logTemplate } from './types/log-template.ts'
import { options } from './types/options.ts'
import { percent } from './types/percent.ts'
import { port } from './types/port.ts'
import { portRange } from './types/port-range.ts'
import { servers } from './types/servers.ts'
import { serviceNames } from './types/service-names.ts'
import { serviceRange } from './types/service-range.ts'
import { services } from './types/services.ts'
import { string, type TextForm } from './types/string.ts'
import { strings } from './types/strings.ts'
import { workers } from './types/workers.ts'
import { UPSTREAM_SETTINGS } from './upstream.ts'

/** What `http` and `https` have each for itself. */
const LISTENER_PATHS = {
  encodedSlash: choice(['inherit', 'keep', 'reject', 'decode'], {
    default: 'inherit',
    advanced: true,
    doc: 'The same as paths.encodedSlash for this port alone; inherit takes it from there.',
  }),
  mergeSlashes: choice(['inherit', 'match', 'always', 'never'], {
    default: 'inherit',
    advanced: true,
    doc: 'The same as paths.mergeSlashes for this port alone; inherit takes it from there.',
  }),
} satisfies SettingTable

/** An object of the manifests, or none. */
const OBJECT_NAME: TextForm = {
  pattern: '^(?:[a-z0-9][-a-z0-9]*/[a-z0-9][-.a-z0-9]*)?$',
  form: 'namespace/name',
}

/** Names by which tokens, signatures and passwords travel in queries. */
const REDACTED: readonly string[] = [
  ...[
    '*token*',
    '*secret*',
    '*passw*',
    'pass',
    'pwd',
    '*signature*',
    'sig',
    '*hmac*',
    '*credential*',
    '*key',
    'code',
    '*_code',
    'auth',
    '*_auth',
  ],
  ...['authorization', '*session*', 'sid', 'jwt', 'otp', 'ticket', '*assertion', 'saml*'],
]

export const SETTINGS = {
  http: {
    enabled: boolean({ default: true, restart: true, doc: 'Serve plain HTTP.' }),
    address: address({
      default: '::',
      restart: true,
      doc: 'Address to listen on; "::" is every address, IPv4 and IPv6.',
    }),
    port: port({ default: 8080, restart: true, doc: 'Port to listen on; 0 takes a free one.' }),
    proxyProtocol: choice(['none', 'required'], {
      default: 'none',
      doc: 'Whether every connection begins with a PROXY protocol header, v1 or v2, that names its client. The headers of peers in trustedProxies alone are believed; other peers are cut.',
    }),
    paths: LISTENER_PATHS,
  },
  https: {
    enabled: boolean({ default: true, restart: true, doc: 'Serve HTTPS.' }),
    address: address({ default: '::', restart: true, doc: 'Address to listen on.' }),
    port: port({ default: 8443, restart: true, doc: 'Port to listen on; 0 takes a free one.' }),
    proxyProtocol: choice(['none', 'required'], {
      default: 'none',
      doc: 'The same as http.proxyProtocol; the header comes before the TLS handshake.',
    }),
    redirect: boolean({ default: true, doc: 'Answer 308 to HTTPS on plain HTTP for hosts that have a tls section.' }),
    redirectPort: integer({
      default: 0,
      min: 0,
      max: 65535,
      doc: 'Port that the redirect to HTTPS names; 0 is the HTTPS port itself. Set 443 behind a port mapping.',
    }),
    minVersion: choice(['TLSv1.2', 'TLSv1.3'], {
      default: 'TLSv1.2',
      restart: true,
      doc: 'Oldest TLS version accepted.',
    }),
    strictSni: boolean({
      default: false,
      doc: 'Refuse handshakes for names that no certificate covers; off, such handshakes get the default certificate.',
    }),
    http2: boolean({ default: true, restart: true, doc: 'Offer HTTP/2 by ALPN.' }),
    handshakeTimeout: duration({
      default: 10_000,
      min: 100,
      restart: true,
      advanced: true,
      doc: 'A TLS handshake is cut after this time.',
    }),
    paths: LISTENER_PATHS,
  },
  admin: {
    enabled: boolean({ default: true, restart: true, doc: 'Serve health, metrics and the JSON API.' }),
    address: address({
      default: '127.0.0.1',
      restart: true,
      doc: 'Address of the admin listener; any address but loopback needs a token.',
    }),
    port: port({ default: 9901, restart: true, doc: 'Port of the admin listener.' }),
    token: string({
      default: '',
      restart: true,
      secret: true,
      ...TOKEN_FORM,
      doc: 'Bearer token that admin requests must carry, health probes excepted; empty: they need none. The list of processes shows flags: give the token in the environment or in admin.tokenFile.',
    }),
    tokenFile: string({
      default: '',
      restart: true,
      doc: 'File that holds the token of admin requests, in place of admin.token; line breaks around the token do not count. A new token in the file counts within a second. While the file is empty or cannot be read, nobody gets in.',
    }),
    records: integer({
      default: 500,
      min: 0,
      max: 100_000,
      restart: true,
      doc: 'Each worker keeps this many of its last requests for portico tap and the admin API, and as many of those that failed or were slow, which stay longer. They take 1Ki each at most on average. 0 keeps none, and turns tap and the figures of single routes off.',
    }),
    slowRequest: duration({
      default: 1_000,
      min: 1,
      doc: 'A request that takes this long is slow: its record is kept as long as one that failed.',
    }),
    socket: string({
      default: '',
      restart: true,
      doc: 'Path of a Unix socket for the admin listener, in place of admin.address and admin.port; its mode is 0600, so that only this user gets in. A socket that a process left behind is replaced.',
    }),
    writes: boolean({
      default: false,
      restart: true,
      doc: 'Let requests to the admin listener reload, drain, take endpoints out and put routes in maintenance; needs admin.token, admin.tokenFile or admin.socket.',
    }),
  },
  metrics: {
    endpointSeries: integer({
      default: 1000,
      min: 0,
      max: 100_000,
      restart: true,
      advanced: true,
      doc: 'Most endpoints that have metrics of their own; the label "others" adds up the requests of all further endpoints.',
    }),
    byRoute: boolean({
      default: false,
      restart: true,
      doc: 'Count requests by route, with the label "route", and not only by Ingress and Service.',
    }),
    requestSeries: integer({
      default: 10_000,
      min: 1,
      max: 1_000_000,
      restart: true,
      advanced: true,
      doc: 'Most combinations of Ingress, Service and route whose requests are counted apart; further ones are counted together as "other".',
    }),
  },
  dns: {
    enabled: boolean({
      default: false,
      restart: true,
      doc: "Answer the cluster's names over DNS: web.default.svc.cluster.local and the like.",
    }),
    address: address({
      default: '127.0.0.1',
      restart: true,
      doc: 'Address to answer on, UDP and TCP. On any address, names outside the zone are looked up for clients with private addresses alone.',
    }),
    port: port({ default: 8053, restart: true, doc: 'Port to answer on; 0 takes a free one, 53 is the usual one.' }),
    zone: string({ default: 'cluster.local', doc: 'Domain in which the names of Services end.' }),
    ttl: duration({
      default: 5_000,
      min: 0,
      max: 3_600_000,
      advanced: true,
      doc: 'Clients may remember an answer for this time.',
    }),
    forward: servers({
      system: true,
      default: [],
      doc: 'DNS servers that are asked for names outside the zone: addresses as 192.0.2.1 or 192.0.2.1:5353, or "system" for the servers in /etc/resolv.conf. Empty: such names are refused.',
    }),
  },
  fastLane: {
    enabled: boolean({
      default: true,
      restart: true,
      advanced: true,
      doc: 'Serve plain HTTP/1.1 requests by a codec of our own, many times faster; off, node:http and Fastify read all requests.',
    }),
  },
  workers: workers({
    default: 1,
    restart: true,
    doc: 'Processes that carry traffic, beside the process that reads the configuration; "auto" is one for each core. With 0 one process does both.',
  }),
  dataDir: string({
    default: '',
    restart: true,
    doc: 'Folder for data that outlives a restart (the default certificate, allocated ports and addresses, the key of affinity cookies); empty: $XDG_DATA_HOME/portico, /data in the container.',
  }),
  watch: boolean({ default: true, restart: true, doc: 'Reload when a file changes.' }),
  ingressClasses: strings({
    default: [],
    doc: 'Serve Ingresses of these class names only, whatever IngressClass objects say; "*" is any class, "-" none. Empty: the IngressClass objects decide.',
  }),
  nodeName: string({
    default: '',
    doc: 'The node name of this machine, for Local traffic policies and topology hints.',
  }),
  zone: string({ default: '', doc: 'The topology zone of this machine.' }),
  endpoints: endpoints({
    default: {},
    doc: 'Endpoints of Services, in place of those from all other sources: "namespace/name[:port]" to a list of "host:port[;weight=N][;backup]".',
  }),
  services: services(UPSTREAM_SETTINGS, {
    default: {},
    doc: 'Settings of single Services: "namespace/name" to any of the settings under "upstream". They go before the annotations of the Service, and before "upstream".',
  }),
  routes: options({
    default: {},
    doc: 'Filters of all routes, as a RoutePolicy has them under spec: rateLimit: 100/s. Whatever an Ingress, a Service or a RoutePolicy says of a filter goes before them.',
  }),
  secretFolders: strings({
    default: [],
    pattern: '^/.*$',
    form: 'a path that begins with "/"',
    doc: 'Folders with files of secrets, as /etc/portico/secrets: a RoutePolicy, or routes, may name the files below them as {file: …}. Links that lead out of them are not followed. Empty: no file may be named.',
  }),
  nodePorts: {
    enabled: boolean({ default: true, doc: 'Open the nodePorts of NodePort and LoadBalancer Services.' }),
    addresses: addresses({
      default: [],
      doc: 'Addresses of this machine on which nodePorts are opened; empty: "::", which is every address, IPv4 and IPv6.',
    }),
    range: portRange({
      default: '30000-32767',
      doc: 'Range in which nodePorts lie, written ones and allocated ones.',
    }),
  },
  loadBalancers: {
    enabled: boolean({ default: true, doc: 'Open the ports of LoadBalancer Services.' }),
    pool: addressRanges({
      default: [],
      doc: 'Addresses of this machine for LoadBalancer Services, one for each: "192.0.2.7", "192.0.2.10-192.0.2.20" or "192.0.2.64/28". Empty: all share loadBalancers.address.',
    }),
    address: address({
      default: '::',
      doc: 'Address that all LoadBalancer Services share where there is no pool; "::" is every address of this machine, which EXTERNAL-IP shows as localhost.',
    }),
  },
  clusterNetwork: {
    enabled: boolean({
      default: false,
      doc: 'Give each Service a clusterIP on this machine and open its ports there.',
    }),
    range: serviceRange({
      default: '127.96.0.0/16',
      doc: 'Range of clusterIPs, IPv4 or IPv6. The default is loopback: Linux has all of 127.0.0.0/8. Addresses of another range must be given to the machine first. A clusterIP that is written and lies outside the range is replaced.',
    }),
  },
  externalIPs: {
    enabled: boolean({
      default: false,
      doc: 'Open the ports of Services on their externalIPs. Off by default: anybody who may write a Service could take the traffic of any address of this machine (CVE-2020-8554).',
    }),
  },
  externalNames: {
    allowPrivate: boolean({
      default: false,
      doc: 'Let ExternalName Services lead to loopback, link-local, metadata and private addresses.',
    }),
    allowPrivateFor: serviceNames({
      default: [],
      doc: 'Services, as "namespace/name", that may lead to such addresses while allowPrivate is off. No annotation allows it: manifests do not decide what they may reach.',
    }),
  },
  resolver: {
    servers: servers({
      default: [],
      doc: 'DNS servers that are asked for the names of endpoints, after the hosts file, as "address" or "address:port"; empty: the servers of the system.',
    }),
  },
  trustedProxies: cidrs({
    default: [],
    doc: 'Peers whose X-Forwarded-*, X-Real-IP, Forwarded and PROXY protocol headers are believed (docs/behind-a-proxy.md).',
  }),
  forwardedHeader: boolean({ default: false, doc: 'Also send the Forwarded header (RFC 7239).' }),
  paths: {
    encodedSlash: choice(['keep', 'reject', 'decode'], {
      default: 'keep',
      advanced: true,
      doc: 'What %2F in a path is: data that is kept as it is, a reason to answer 400, or a slash, for matching and for the endpoint. %5C is data with keep, and answered 400 with the others.',
    }),
    mergeSlashes: choice(['match', 'always', 'never'], {
      default: 'match',
      advanced: true,
      doc: 'Where doubled slashes in a path are one slash: for matching alone, so that the endpoint gets them as they were sent, for matching and for the endpoint, or nowhere. With never, //admin is not /admin: routes that guard /admin do not take it.',
    }),
  },
  underscoresInHeaders: choice(['drop', 'reject', 'keep'], {
    default: 'drop',
    doc: 'What to do with request header names that contain an underscore.',
  }),
  limits: {
    bodyBytes: bytes({
      default: 0,
      min: 0,
      doc: 'Largest request body; 0 is no limit. upstream.bodyLimit goes before it.',
    }),
    headerBytes: bytes({ default: 32_768, min: 1024, max: 1_048_576, restart: true, doc: 'Largest request head.' }),
    headerCount: integer({
      default: 100,
      min: 10,
      max: 1000,
      restart: true,
      advanced: true,
      doc: 'Most request header fields.',
    }),
    targetBytes: bytes({ default: 16_384, min: 256, max: 65_536, advanced: true, doc: 'Longest request target.' }),
    connections: integer({
      default: 0,
      min: 0,
      restart: true,
      doc: 'Most client connections at once in each worker, over all its TCP ports. A further connection takes the place of the one that has been idle longest, and is reset where none is idle. 0 is automatic: nine tenths of half of the file descriptors (ulimit -n) beyond 64, since a client needs one to an endpoint as well.',
    }),
    connectionsPerClient: integer({
      default: 0,
      min: 0,
      doc: 'Most connections of one client address (of one /64 for IPv6) at once in each worker. A further connection takes the place of the connection of this client that has been idle longest, and is reset where none is idle. The address that a PROXY header names counts; peers in trustedProxies are not counted. 0 is automatic: a quarter of limits.connections, at least 16.',
    }),
    requestsPerClient: integer({
      default: 2048,
      min: 0,
      doc: 'Most requests of one client address (of one /64 for IPv6) at once in each worker; further ones get 429. WebSockets and other tunnels are not counted, nor are addresses in trustedProxies. 0 is no limit.',
    }),
    uploadRate: bytes({
      default: 240,
      min: 0,
      max: 1_048_576,
      advanced: true,
      doc: 'Slowest request body, in bytes a second: a client that falls behind this rate by more than timeouts.requestBodyIdle gets 408. 0 is no limit.',
    }),
    datagramSessions: integer({
      default: 4096,
      min: 1,
      advanced: true,
      doc: 'Most UDP sessions at once in each worker, and never more than a quarter of its file descriptors; beyond that, datagrams of new clients are dropped.',
    }),
    streamsPerConnection: integer({
      default: 100,
      min: 1,
      max: 65_535,
      restart: true,
      advanced: true,
      doc: 'Most HTTP/2 streams at once on a connection.',
    }),
  },
  timeouts: {
    requestHeaders: duration({
      default: 10_000,
      min: 100,
      restart: true,
      doc: 'A request head must arrive within this time.',
    }),
    requestBodyIdle: duration({ default: 30_000, min: 100, doc: 'A request body may pause this long.' }),
    keepAlive: duration({
      default: 75_000,
      min: 100,
      restart: true,
      doc: 'An idle client connection is closed after this time.',
    }),
    connect: duration({ default: 5_000, min: 50, doc: 'Connecting to an endpoint may take this long.' }),
    responseHeaders: duration({
      default: 60_000,
      min: 100,
      doc: 'An endpoint must begin its answer within this time.',
    }),
    responseIdle: duration({
      default: 0,
      min: 0,
      doc: 'An answer may pause this long; 0 is for ever (server-sent events).',
    }),
    writeStall: duration({
      default: 60_000,
      min: 100,
      advanced: true,
      doc: 'A client that takes nothing of its answer for this long, or less than 240 bytes a second, is cut. So is a WebSocket or TCP connection when one side takes none of the bytes that wait for it.',
    }),
    halfClosed: duration({
      default: 3_000,
      min: 1_000,
      advanced: true,
      doc: 'When one side has ended a WebSocket or TCP connection, the connection is cut after nothing has moved for this long.',
    }),
    upstreamKeepAlive: duration({
      default: 4_000,
      min: 0,
      doc: 'An idle connection to an endpoint is closed after this time.',
    }),
    tunnelIdle: duration({
      default: 3_600_000,
      min: 0,
      doc: 'A WebSocket or other upgraded connection without traffic is closed after this time; 0 is never.',
    }),
    streamIdle: duration({
      default: 3_600_000,
      min: 0,
      doc: "A TCP connection of a Service's port without traffic is closed after this time; 0 is never.",
    }),
    datagramIdle: duration({
      default: 60_000,
      min: 100,
      doc: "A UDP session of a Service's port without traffic is forgotten after this time.",
    }),
    drain: duration({
      default: 9_000,
      min: 0,
      doc: 'After SIGTERM, requests and connections under way may take this long.',
    }),
  },
  buffering: {
    folder: string({
      default: '',
      restart: true,
      doc: 'Folder for what memory does not take of buffered bodies (upstream.requestBuffering, upstream.responseBuffering); empty: the folder "bodies" in dataDir. Its files have no names, and are gone when a process ends.',
    }),
    disk: bytes({
      default: 2_147_483_648,
      min: 0,
      doc: 'Most bytes of all buffered bodies together in files, in each worker; those of one client address (of one /64 for IPv6) get half of it at most. Beyond that, requests get 503, and answers go on as fast as their clients take them. 0 keeps no files.',
    }),
    answerDisk: bytes({
      default: 1_073_741_824,
      min: 0,
      advanced: true,
      doc: 'Most bytes of one answer in a file; beyond that, the endpoint waits until the client has taken them. The body limit of the route limits requests.',
    }),
    memory: bytes({
      default: 67_108_864,
      min: 65_536,
      advanced: true,
      doc: 'Most bytes of all buffered bodies together in the memory of each worker. From half of it on, bodies go to files from 4Ki on; beyond it, requests get 503, and answers go on as fast as their clients take them.',
    }),
    bodyMemory: bytes({
      default: 65_536,
      min: 4_096,
      max: 16_777_216,
      advanced: true,
      doc: 'A buffered body is in memory up to this size, then it goes to a file in pieces of this size; up to four of them are in memory meanwhile.',
    }),
  },
  upstream: UPSTREAM_SETTINGS,
  log: {
    level: choice(['debug', 'info', 'warn', 'error', 'silent'], {
      default: 'info',
      doc: 'Least severe message that is logged.',
    }),
    format: choice(['auto', 'json', 'pretty'], {
      default: 'auto',
      restart: true,
      doc: 'auto is pretty on a terminal, and JSON everywhere else.',
    }),
    access: boolean({ default: true, doc: 'Log each request.' }),
  },
  accessLog: {
    format: choice(['auto', 'json', 'common', 'combined', 'ingress-nginx', 'template'], {
      default: 'auto',
      doc: 'Lines of requests: JSON, the Common or the Combined Log Format, the default format of ingress-nginx, or accessLog.template. auto is as log.format says on standard output, and JSON elsewhere.',
    }),
    template: logTemplate({
      default: '',
      doc: 'Line of a request, as nginx has formats of its log: $remote_addr "$request" $status $code (docs/logs.md lists the fields).',
    }),
    escape: choice(['text', 'json'], {
      default: 'text',
      advanced: true,
      doc: 'How texts are escaped in a template: as nginx does by default, with - for nothing, or as in strings of JSON.',
    }),
    fields: logFields({
      default: [],
      advanced: true,
      doc: 'Fields of templates that JSON lines have besides: trace_id, tls_version, http_referer.',
    }),
    to: choice(['stdout', 'file', 'syslog'], {
      default: 'stdout',
      restart: true,
      doc: 'Where lines of requests go.',
    }),
    file: string({
      default: '',
      restart: true,
      doc: 'File of lines of requests. All workers write it; it is opened anew at SIGUSR1.',
    }),
    fileBytes: bytes({
      default: 0,
      min: 0,
      advanced: true,
      doc: 'The file is renamed to FILE.1 when it has so many bytes, and a new one begun; 0 is never.',
    }),
    oldFiles: integer({
      default: 5,
      min: 0,
      max: 1000,
      advanced: true,
      doc: 'Files that were renamed for their size and are kept; the oldest is deleted.',
    }),
    syslog: string({
      default: '',
      restart: true,
      advanced: true,
      pattern: '^(?:udp://(?:[^/:\\[\\]\\s]+|\\[[0-9a-fA-F:.]+\\])(?::[0-9]{1,5})?|unix:/\\S{1,106})?$',
      form: 'udp://host:port or unix:/path',
      doc: 'Receiver of syslog messages (RFC 5424): udp://host:514, or unix:/path for a stream socket.',
    }),
    syslogFacility: choice(FACILITIES, {
      default: 'local7',
      restart: true,
      advanced: true,
      doc: 'Facility of syslog messages.',
    }),
    sample: integer({
      default: 1,
      min: 0,
      doc: 'One of so many requests is logged, by chance; 0: none but those of accessLog.failures and accessLog.slow.',
    }),
    failures: choice(['5xx', '4xx', 'none'], {
      default: '5xx',
      advanced: true,
      doc: 'Requests that are logged whatever accessLog.sample says: with statuses from 500 or from 400 on, and with answers that broke off.',
    }),
    slow: duration({
      default: 0,
      min: 0,
      advanced: true,
      doc: 'Requests that take so long are logged whatever accessLog.sample says; 0: no request is slow.',
    }),
    redact: strings({
      default: REDACTED,
      advanced: true,
      doc: 'Parameters of queries and of path segments whose values the access log, records and traces of requests show as ***: names in any case of letters, with * for any text. Empty: values are shown as they were sent.',
    }),
  },
  tracing: {
    exporter: choice(['none', 'otlp-http', 'otlp-grpc'], {
      default: 'none',
      restart: true,
      doc: 'How spans of requests are sent to a collector of OpenTelemetry. none sends none, and passes the traceparent of clients on as it is.',
    }),
    endpoint: string({
      default: '',
      restart: true,
      pattern: '^(https?://[^\\s/?#@]+(/[^\\s?#]*)?)?$',
      form: 'a URL such as http://127.0.0.1:4318/v1/traces; keys belong in OTEL_EXPORTER_OTLP_HEADERS',
      doc: 'URL of the collector. Empty: OTEL_EXPORTER_OTLP_ENDPOINT of the environment, else port 4318 (otlp-http) or 4317 (otlp-grpc) of this machine. Other variables of OpenTelemetry count too, as OTEL_EXPORTER_OTLP_HEADERS and OTEL_RESOURCE_ATTRIBUTES.',
    }),
    serviceName: string({ default: 'portico', restart: true, doc: 'service.name of the spans.' }),
    sampling: percent({
      default: 1,
      doc: 'Share of the traces begun here whose spans are sent: 100%, 5%, 0.1%.',
    }),
    parents: choice(['all', 'trusted', 'none'], {
      default: 'all',
      doc: 'Whose trace a request continues, and whose decision about its spans counts: that of every client, of trustedProxies alone, or of none.',
    }),
    propagation: choice(['w3c', 'b3', 'b3-multi'], {
      default: 'w3c',
      doc: 'Fields that carry the trace from clients and to endpoints: traceparent (W3C), b3 (one field) or X-B3-TraceId and its like.',
    }),
  },
  compatibility: choice(['auto', 'off', 'ingress-nginx'], {
    default: 'auto',
    doc: 'ingress-nginx: IngressClasses with the controller k8s.io/ingress-nginx are served, and settings that are not written have the defaults of ingress-nginx: bodies of 1Mi (limits.bodyBytes), pauses of 60s in answers and tunnels, three tries, whole request bodies before an endpoint is asked, HSTS. auto: the same, if ingressClasses names such an IngressClass, or is not written and the Deployment or DaemonSet of the controller of ingress-nginx is among the manifests. Annotations of ingress-nginx are read either way.',
  }),
  controllerConfigmap: string({
    default: '',
    ...OBJECT_NAME,
    doc: 'The ConfigMap of the controller of ingress-nginx among the manifests, as in ingress-nginx/ingress-nginx-controller. Where compatibility is on, its keys have a say where these settings do not. Empty: the first that has the name which the charts of ingress-nginx give it.',
  }),
  controllerWorkload: string({
    default: '',
    ...OBJECT_NAME,
    doc: 'The Deployment or DaemonSet of the controller of ingress-nginx whose place Portico takes, if there are several among the manifests, or others may write manifests too.',
  }),
  annotationsPrefix: string({
    default: 'nginx.ingress.kubernetes.io',
    pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
    form: 'a domain, without the slash',
    doc: 'Domain of the annotations of ingress-nginx on Ingresses. With another one, those of nginx.ingress.kubernetes.io are not read.',
  }),
  defaultBackendService: string({
    default: '',
    ...OBJECT_NAME,
    doc: 'The Service whose first port gets the requests that no rule takes, unless an Ingress without rules has a default backend. Empty: such requests are answered 404.',
  }),
  defaultSslCertificate: string({
    default: '',
    ...OBJECT_NAME,
    doc: 'The Secret with the certificate for all names that no other certificate covers. Empty: the gateway signs one itself.',
  }),
  tcpServicesConfigmap: string({
    default: '',
    ...OBJECT_NAME,
    doc: 'The ConfigMap that opens TCP ports, as ingress-nginx has it: each key is a port, on http.address, and its value the port of a Service, as in namespace/service:port. Behind another colon, PROXY asks clients for a PROXY protocol header, and behind a further one it sends the endpoints one.',
  }),
  udpServicesConfigmap: string({
    default: '',
    ...OBJECT_NAME,
    doc: 'The ConfigMap that opens UDP ports, in the same form as tcpServicesConfigmap, without PROXY.',
  }),
  unsupportedGuards: choice(['refuse', 'serve'], {
    default: 'refuse',
    doc: 'What happens to routes whose annotations promise to refuse, check or limit requests in a way that Portico does not support: refuse answers 503, serve lets every request pass.',
  }),
  strict: boolean({
    default: false,
    restart: true,
    doc: 'Refuse a configuration with any error or warning, at the start and at reloads.',
  }),
  ignore: codes({
    default: [],
    doc: 'Codes of problems that are neither told nor counted. What a problem leaves out stays out.',
  }),
  files: {
    maxBytes: bytes({
      default: 16_777_216,
      min: 1024,
      max: 268_435_456,
      advanced: true,
      doc: 'Largest manifest file.',
    }),
    maxCount: integer({
      default: 20_000,
      min: 1,
      max: 1_000_000,
      advanced: true,
      doc: 'Most files read from folders.',
    }),
  },
} satisfies SettingTable

/** All settings, resolved: every field present, durations in milliseconds, sizes in bytes. */
export type Settings = Values<typeof SETTINGS>
