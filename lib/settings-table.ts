/**
 * Every setting, once: its type, default, and what it does. From this table come the `Settings` type, the loader's checks,
 * `config/portico.yaml`, the JSON Schema, and the environment variables (`http.port` is `PORTICO_HTTP_PORT`).
 */

/** `workers` is `auto` or a number; `statuses` is ranges of HTTP status codes; `duration` is written `500ms`, `10s`, `5m`, `1h` and held in milliseconds; `bytes` is written `64Ki`, `1Mi` or a number. */
export type SettingType =
  | 'boolean'
  | 'string'
  | 'strings'
  | 'integer'
  | 'port'
  | 'address'
  | 'duration'
  | 'bytes'
  | 'cidrs'
  | 'addresses'
  | 'addressRanges'
  | 'serviceRange'
  | 'portRange'
  | 'endpoints'
  | 'services'
  | 'serviceNames'
  | 'servers'
  | 'hostPolicy'
  | 'hostname'
  | 'workers'
  | 'statuses'

/** One setting: its type, default and what it does. */
export type SettingLeaf =
  | Readonly<{
      type: SettingType
      default: unknown
      doc: string
      min?: number
      max?: number
      /** of a string, or of each of several: what it must match, and how people are told to write it */
      pattern?: string
      form?: string
      /** of `servers`: "system" stands for those of the system */
      system?: true
      /** read once, at the start */
      restart?: true
      /** an Ingress can have it for its own routes */
      route?: true
    }>
  | Readonly<{ type: 'enum'; values: readonly string[]; default: string; doc: string; restart?: true; route?: true }>

export type SettingTable = { readonly [name: string]: SettingLeaf | SettingTable }

/** Whether the table's sub-tree is one setting. */
export function isSettingLeaf(entry: SettingLeaf | SettingTable): entry is SettingLeaf {
  return typeof entry.type === 'string'
}

/** More processes than any machine has cores for are a slip of the hand. */
export const MAX_WORKERS = 256

/** Field and cookie names are tokens (RFC 9110 §5.6.2). */
const HASH_BY = "^(client-ip|uri|path|(header|cookie):[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128})$"

export const SETTINGS = {
  http: {
    enabled: { type: 'boolean', default: true, restart: true, doc: 'Serve plain HTTP.' },
    address: {
      type: 'address',
      default: '::',
      restart: true,
      doc: 'Address to listen on; "::" is every address, IPv4 and IPv6.',
    },
    port: { type: 'port', default: 8080, restart: true, doc: 'Port to listen on; 0 takes a free one.' },
    proxyProtocol: {
      type: 'enum',
      values: ['none', 'required'],
      default: 'none',
      doc: 'Whether every connection begins with a PROXY protocol header, v1 or v2, that names its client; believed of trustedProxies alone, others are cut.',
    },
  },
  https: {
    enabled: { type: 'boolean', default: true, restart: true, doc: 'Serve HTTPS.' },
    address: { type: 'address', default: '::', restart: true, doc: 'Address to listen on.' },
    port: { type: 'port', default: 8443, restart: true, doc: 'Port to listen on; 0 takes a free one.' },
    proxyProtocol: {
      type: 'enum',
      values: ['none', 'required'],
      default: 'none',
      doc: 'The same as http.proxyProtocol; the header comes before the TLS handshake.',
    },
    redirect: {
      type: 'boolean',
      default: true,
      doc: 'Answer 308 to HTTPS on plain HTTP for hosts that have a tls section.',
    },
    redirectPort: {
      type: 'integer',
      default: 0,
      min: 0,
      max: 65535,
      doc: 'Port to name in that redirect; 0 is the HTTPS port itself. 443 behind a port mapping.',
    },
    minVersion: {
      type: 'enum',
      values: ['TLSv1.2', 'TLSv1.3'],
      default: 'TLSv1.2',
      restart: true,
      doc: 'Oldest TLS version accepted.',
    },
    strictSni: {
      type: 'boolean',
      default: false,
      doc: 'Refuse handshakes for names no certificate covers, where otherwise the default certificate is served.',
    },
    http2: { type: 'boolean', default: true, restart: true, doc: 'Offer HTTP/2 by ALPN.' },
    handshakeTimeout: {
      type: 'duration',
      default: 10_000,
      min: 100,
      restart: true,
      doc: 'A TLS handshake may take this long.',
    },
  },
  admin: {
    enabled: { type: 'boolean', default: true, restart: true, doc: 'Serve health, metrics and the JSON API.' },
    address: {
      type: 'address',
      default: '127.0.0.1',
      restart: true,
      doc: 'Address of the admin listener; another one than loopback needs a token.',
    },
    port: { type: 'port', default: 9901, restart: true, doc: 'Port of the admin listener.' },
    token: {
      type: 'string',
      default: '',
      restart: true,
      doc: 'Bearer token that admin requests must carry (health probes excepted); empty: none.',
    },
  },
  metrics: {
    endpointSeries: {
      type: 'integer',
      default: 1000,
      min: 0,
      max: 100_000,
      restart: true,
      doc: 'Most endpoints with metrics of their own; the requests of all others are added up under the label "others".',
    },
  },
  dns: {
    enabled: {
      type: 'boolean',
      default: false,
      restart: true,
      doc: "Answer the cluster's names over DNS: web.default.svc.cluster.local and the like.",
    },
    address: {
      type: 'address',
      default: '127.0.0.1',
      restart: true,
      doc: 'Address to answer on, UDP and TCP. Other names are looked up for private addresses alone, whatever it is.',
    },
    port: {
      type: 'port',
      default: 8053,
      restart: true,
      doc: 'Port to answer on; 0 takes a free one, 53 is the usual one.',
    },
    zone: { type: 'string', default: 'cluster.local', doc: 'The domain that the names end in.' },
    ttl: { type: 'duration', default: 5_000, min: 0, max: 3_600_000, doc: 'How long answers may be remembered.' },
    forward: {
      type: 'servers',
      system: true,
      default: [],
      doc: 'Where to look other names up: addresses as 192.0.2.1 or 192.0.2.1:5353, or "system" for those in /etc/resolv.conf. Empty: other names are refused.',
    },
    forwardTimeout: { type: 'duration', default: 2_000, min: 50, doc: 'One of these must answer within this time.' },
    maxForwards: {
      type: 'integer',
      default: 512,
      min: 1,
      max: 10_000,
      doc: 'Most names looked up there at once; beyond it SERVFAIL.',
    },
    maxConnections: { type: 'integer', default: 256, min: 1, doc: 'Most TCP connections of DNS clients at once.' },
    idleTimeout: {
      type: 'duration',
      default: 10_000,
      min: 100,
      doc: 'A TCP connection on which no whole question came for this long is closed.',
    },
  },
  fastLane: {
    enabled: {
      type: 'boolean',
      default: true,
      restart: true,
      doc: 'Serve plain HTTP/1.1 requests by a codec of our own, many times faster; off, node:http and Fastify read them all.',
    },
  },
  workers: {
    type: 'workers',
    default: 1,
    restart: true,
    doc: 'Processes that carry traffic, beside the one that reads the configuration; "auto" is one for each core, 0 is none: one process does both.',
  },
  dataDir: {
    type: 'string',
    default: '',
    restart: true,
    doc: 'Folder for what must outlive a restart (the default certificate, allocated ports and addresses, the key of affinity cookies); empty: $XDG_DATA_HOME/portico, /data in the container.',
  },
  watch: { type: 'boolean', default: true, restart: true, doc: 'Reload when a file changes.' },
  ingressClasses: {
    type: 'strings',
    default: [],
    doc: 'Serve Ingresses of these class names only, whatever IngressClass objects say; "*" serves all. Empty: the IngressClass objects decide.',
  },
  nodeName: {
    type: 'string',
    default: '',
    doc: 'The node name of this machine, for Local traffic policies and topology hints.',
  },
  zone: { type: 'string', default: '', doc: 'The topology zone of this machine.' },
  endpoints: {
    type: 'endpoints',
    default: {},
    doc: 'Endpoints of Services, over all other sources: "namespace/name[:port]" to a list of "host:port[;weight=N][;backup]".',
  },
  services: {
    type: 'services',
    default: {},
    doc: 'Settings of single Services, over their annotations and over "upstream": "namespace/name" to any of the settings under "upstream".',
  },
  nodePorts: {
    enabled: { type: 'boolean', default: true, doc: 'Open the nodePorts of NodePort and LoadBalancer Services.' },
    addresses: {
      type: 'addresses',
      default: [],
      doc: 'Addresses of this machine to open them on; empty: "::", which is every address, IPv4 and IPv6.',
    },
    range: {
      type: 'portRange',
      default: '30000-32767',
      doc: 'Where nodePorts may lie, those that are written and those that are allocated.',
    },
  },
  loadBalancers: {
    enabled: { type: 'boolean', default: true, doc: 'Open the ports of LoadBalancer Services.' },
    pool: {
      type: 'addressRanges',
      default: [],
      doc: 'Addresses of this machine that LoadBalancer Services get, one each: "192.0.2.7", "192.0.2.10-192.0.2.20" or "192.0.2.64/28". Empty: they share loadBalancers.address.',
    },
    address: {
      type: 'address',
      default: '::',
      doc: 'What they share where there is no pool; "::" is every address of this machine, which EXTERNAL-IP shows as localhost.',
    },
  },
  clusterNetwork: {
    enabled: {
      type: 'boolean',
      default: false,
      doc: 'Give each Service a clusterIP on this machine and open its ports there.',
    },
    range: {
      type: 'serviceRange',
      default: '127.96.0.0/16',
      doc: 'Where clusterIPs lie, IPv4 or IPv6. The default is loopback: Linux has all of 127.0.0.0/8; the addresses of another range must be given to the machine first. A clusterIP that is written and lies elsewhere is replaced.',
    },
  },
  externalIPs: {
    enabled: {
      type: 'boolean',
      default: false,
      doc: 'Open the ports of Services on their externalIPs. Off, since whoever may write a Service could take the traffic of any address of this machine (CVE-2020-8554).',
    },
  },
  externalNames: {
    allowPrivate: {
      type: 'boolean',
      default: false,
      doc: 'Let ExternalName Services lead to loopback, link-local, metadata and private addresses.',
    },
    allowPrivateFor: {
      type: 'serviceNames',
      default: [],
      doc: 'The Services alone, as "namespace/name", that this is allowed to. Not on the Service itself: who writes manifests does not decide what they reach.',
    },
  },
  resolver: {
    servers: {
      type: 'servers',
      default: [],
      doc: 'DNS servers to ask for the names of endpoints, as "address" or "address:port", below the hosts file; empty: those of the system.',
    },
  },
  trustedProxies: {
    type: 'cidrs',
    default: [],
    doc: 'Peers whose X-Forwarded-*, X-Real-IP, Forwarded, X-Request-Id and PROXY protocol headers are believed.',
  },
  forwardedHeader: { type: 'boolean', default: false, doc: 'Also send the Forwarded header (RFC 7239).' },
  paths: {
    encodedSlash: {
      type: 'enum',
      values: ['keep', 'reject'],
      default: 'keep',
      doc: 'What to do with %2F and %5C in a path: keep them as data, or answer 400.',
    },
  },
  underscoresInHeaders: {
    type: 'enum',
    values: ['drop', 'reject', 'keep'],
    default: 'drop',
    doc: 'What to do with request header names that contain an underscore.',
  },
  limits: {
    bodyBytes: {
      type: 'bytes',
      default: 0,
      min: 0,
      doc: 'Largest request body; 0 is no limit (bodies are streamed, never held).',
    },
    headerBytes: {
      type: 'bytes',
      default: 32_768,
      min: 1024,
      max: 1_048_576,
      restart: true,
      doc: 'Largest request head.',
    },
    headerCount: {
      type: 'integer',
      default: 100,
      min: 10,
      max: 1000,
      restart: true,
      doc: 'Most request header fields.',
    },
    targetBytes: { type: 'bytes', default: 16_384, min: 256, max: 65_536, doc: 'Longest request target.' },
    connections: {
      type: 'integer',
      default: 0,
      min: 0,
      restart: true,
      doc: 'Most client connections at once, to each worker; 0 is no limit.',
    },
    datagramSessions: {
      type: 'integer',
      default: 4096,
      min: 1,
      doc: 'Most UDP sessions at once, in each worker; beyond it datagrams of new clients are dropped.',
    },
    streamsPerConnection: {
      type: 'integer',
      default: 100,
      min: 1,
      restart: true,
      doc: 'Most HTTP/2 streams at once on a connection.',
    },
  },
  timeouts: {
    requestHeaders: {
      type: 'duration',
      default: 10_000,
      min: 100,
      restart: true,
      doc: 'A request head must arrive within this time.',
    },
    requestBodyIdle: { type: 'duration', default: 30_000, min: 100, doc: 'A request body may pause this long.' },
    keepAlive: {
      type: 'duration',
      default: 75_000,
      min: 100,
      restart: true,
      doc: 'An idle client connection is closed after this time.',
    },
    connect: { type: 'duration', default: 5_000, min: 50, doc: 'Connecting to an endpoint may take this long.' },
    responseHeaders: {
      type: 'duration',
      default: 60_000,
      min: 100,
      doc: 'An endpoint must begin its answer within this time.',
    },
    responseIdle: {
      type: 'duration',
      default: 0,
      min: 0,
      doc: 'An answer may pause this long; 0 is for ever (server-sent events).',
    },
    writeStall: {
      type: 'duration',
      default: 60_000,
      min: 100,
      doc: 'A client that takes nothing of its answer for this long is cut.',
    },
    upstreamKeepAlive: {
      type: 'duration',
      default: 4_000,
      min: 0,
      doc: 'An idle connection to an endpoint is closed after this time.',
    },
    tunnelIdle: {
      type: 'duration',
      default: 3_600_000,
      min: 0,
      doc: 'A WebSocket or other upgraded connection without traffic is closed after this time; 0 is never.',
    },
    streamIdle: {
      type: 'duration',
      default: 3_600_000,
      min: 0,
      doc: "A TCP connection of a Service's port without traffic is closed after this time; 0 is never.",
    },
    datagramIdle: {
      type: 'duration',
      default: 60_000,
      min: 100,
      doc: "A UDP session of a Service's port without traffic is forgotten after this time.",
    },
    drain: {
      type: 'duration',
      default: 9_000,
      min: 0,
      doc: 'After SIGTERM, what is under way may take this long.',
    },
  },
  upstream: {
    balancer: {
      type: 'enum',
      values: ['round-robin', 'least-requests', 'power-of-two', 'ewma', 'random', 'hash'],
      default: 'round-robin',
      doc: 'How an endpoint is chosen: each in turn; the one with the fewest requests under way; the better of two drawn at random, by requests under way (power-of-two) or by these and how fast it answered of late (ewma); at random; or always the same for the same hash.by. All follow the weights. Each worker balances on its own.',
    },
    slowStart: {
      type: 'duration',
      default: 0,
      min: 0,
      max: 3_600_000,
      doc: 'An endpoint that joins, or comes back to health, gets from a tenth of its share to all of it over this time; 0 is all at once. Not with hash, nor for clients that are held by affinity.',
    },
    hash: {
      by: {
        type: 'string',
        default: 'client-ip',
        pattern: HASH_BY,
        form: 'client-ip, uri, path, header:NAME or cookie:NAME',
        doc: 'What balancer hash goes by: client-ip, uri (path with query), path, header:NAME or cookie:NAME; the client IP where a request has no such header or cookie.',
      },
      table: {
        type: 'enum',
        values: ['ring', 'maglev'],
        default: 'ring',
        doc: 'A ring moves the fewest keys as endpoints come and go; maglev spreads them most evenly.',
      },
      boundedLoad: {
        type: 'integer',
        default: 125,
        min: 0,
        max: 10_000,
        doc: 'Most requests at once on one endpoint, in percent of the average by weight: what is beyond goes to the next of the table. An endpoint with fewer than 8 is never passed over; 0 is no bound.',
      },
    },
    affinity: {
      type: {
        type: 'enum',
        values: ['none', 'client-ip', 'cookie'],
        default: 'none',
        doc: 'Keep a client with its endpoint: by its address (as sessionAffinity: ClientIP of a Service), or by a cookie that the gateway sets.',
      },
      timeout: {
        type: 'duration',
        default: 10_800_000,
        min: 1_000,
        max: 86_400_000,
        doc: 'client-ip: forgotten this long after its last request.',
      },
      clients: {
        type: 'integer',
        default: 10_000,
        min: 1,
        max: 1_000_000,
        doc: 'client-ip: most addresses remembered for one Service port, in each worker; of more, the one used longest ago is forgotten.',
      },
      onDead: {
        type: 'enum',
        values: ['reassign', 'refuse'],
        default: 'reassign',
        doc: 'When the endpoint of a client is gone, unhealthy or cannot be reached: give it another, or answer 503.',
      },
      cookie: {
        name: {
          type: 'string',
          default: '',
          pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{0,128}$",
          form: 'letters, digits, - and _',
          doc: 'Name of the cookie; empty: portico_ and a number that belongs to the Service port.',
        },
        path: {
          type: 'string',
          default: '/',
          pattern: '^/[!-:<-~]{0,255}$',
          form: 'a path, as /shop',
          doc: 'Its Path.',
        },
        domain: {
          type: 'string',
          default: '',
          pattern: '^([A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63}){0,30})?$',
          form: 'a host name, as example.com',
          doc: 'Its Domain; empty: the host of the request alone.',
        },
        maxAge: {
          type: 'duration',
          default: 0,
          min: 0,
          doc: 'Its Max-Age; 0: until the browser is closed.',
        },
        secure: {
          type: 'enum',
          values: ['auto', 'always', 'never'],
          default: 'auto',
          doc: 'Its Secure; auto: where the client came by HTTPS.',
        },
        httpOnly: { type: 'boolean', default: true, doc: 'Its HttpOnly.' },
        sameSite: {
          type: 'enum',
          values: ['lax', 'strict', 'none', 'unset'],
          default: 'lax',
          doc: 'Its SameSite; none is left out where the cookie is not Secure, since browsers refuse that.',
        },
      },
    },
    tries: {
      type: 'integer',
      default: 2,
      min: 1,
      max: 10,
      route: true,
      doc: 'Tries for one request, the first included: at another endpoint where there is one, and only where "retry" lets it be tried again.',
    },
    retry: {
      conditions: {
        type: 'strings',
        default: ['connect-failure', 'reset', 'timeout'],
        route: true,
        pattern: '^(connect-failure|reset|timeout|gateway-error|5xx|4\\d\\d|5\\d\\d)$',
        form: 'connect-failure, reset, timeout, gateway-error (502, 503, 504), 5xx, or a status from 400 to 599',
        doc: 'After what a request is tried again: connect-failure (nothing was sent), reset (nothing was answered), timeout (tryTimeout), gateway-error (502, 503, 504), 5xx, or single statuses. All but the first only for methods that may be repeated.',
      },
      methods: {
        type: 'strings',
        default: [],
        route: true,
        pattern: '^[A-Z][A-Z-]*$',
        form: 'methods in capitals: POST, PATCH',
        doc: 'Methods that may be sent twice, beside GET, HEAD, OPTIONS, TRACE, PUT and DELETE: for services that recognise a request they have had.',
      },
      bufferBytes: {
        type: 'bytes',
        default: 65_536,
        min: 0,
        max: 16_777_216,
        route: true,
        doc: 'So much of a request body is kept until the answer begins, so that it can be sent again; longer ones are not repeated. 0 keeps none.',
      },
      tryTimeout: {
        type: 'duration',
        default: 0,
        min: 0,
        route: true,
        doc: 'A try must connect, and then must be answered, each within this time; 0 leaves it to the other limits.',
      },
      timeout: {
        type: 'duration',
        default: 0,
        min: 0,
        route: true,
        doc: 'An answer must begin within this time, all tries and waits together; 0 is no limit.',
      },
      backoff: {
        type: 'duration',
        default: 25,
        min: 1,
        route: true,
        doc: 'Before another try: a random time up to this, up to twice this before the next, and so on. None before another endpoint is tried because one could not be connected to.',
      },
      maxBackoff: {
        type: 'duration',
        default: 1_000,
        min: 1,
        route: true,
        doc: 'Longest time up to which that grows.',
      },
      budget: {
        type: 'integer',
        default: 20,
        min: 0,
        max: 1_000,
        doc: 'Tries that may be added to the requests of the last ten seconds, in percent, in each worker; those at another endpoint after a connect failure are not counted.',
      },
      budgetMinimum: {
        type: 'integer',
        default: 10,
        min: 0,
        doc: 'So many a second are allowed whatever the percentage.',
      },
    },
    timeouts: {
      connect: {
        type: 'duration',
        default: 0,
        min: 0,
        route: true,
        doc: 'In place of timeouts.connect; 0 is as there.',
      },
      responseHeaders: {
        type: 'duration',
        default: 0,
        min: 0,
        route: true,
        doc: 'In place of timeouts.responseHeaders; 0 is as there.',
      },
      responseIdle: {
        type: 'duration',
        default: 0,
        min: 0,
        route: true,
        doc: 'In place of timeouts.responseIdle; 0 is as there.',
      },
      requestBodyIdle: {
        type: 'duration',
        default: 0,
        min: 0,
        route: true,
        doc: 'In place of timeouts.requestBodyIdle; 0 is as there.',
      },
    },
    maxConnections: {
      type: 'integer',
      default: 1024,
      min: 1,
      doc: 'Most connections to one endpoint, from each worker.',
    },
    maxRequests: {
      type: 'integer',
      default: 0,
      min: 0,
      doc: 'Most requests at once at one endpoint, from each worker; 0 is as many as maxConnections.',
    },
    maxQueue: {
      type: 'integer',
      default: 1024,
      min: 0,
      doc: 'Most requests that wait while all endpoints are full, in each worker; beyond it 503.',
    },
    queueTimeout: { type: 'duration', default: 5_000, min: 1, doc: 'They wait this long; then 503.' },
    circuit: {
      errorRate: {
        type: 'integer',
        default: 0,
        min: 0,
        max: 100,
        doc: 'From this percentage of failures and answers of 500 and above on, the circuit opens: 503 at once, no endpoint is asked, in each worker for itself. 0 is never.',
      },
      minimumRequests: { type: 'integer', default: 20, min: 1, doc: 'So many must have been tried before.' },
      interval: { type: 'duration', default: 10_000, min: 100, doc: 'The percentage is of the tries of this time.' },
      openTime: {
        type: 'duration',
        default: 5_000,
        min: 1,
        doc: 'An open circuit lets requests try the endpoints again after this time; twice as long each time that fails.',
      },
      maxOpenTime: { type: 'duration', default: 60_000, min: 1, doc: 'Longest time up to which that grows.' },
      halfOpenRequests: {
        type: 'integer',
        default: 3,
        min: 1,
        doc: 'So many try them then: if all are answered well the circuit closes, else it opens again.',
      },
    },
    headerBytes: { type: 'bytes', default: 65_536, min: 1024, max: 1_048_576, doc: 'Largest response head.' },
    proxyProtocol: {
      type: 'enum',
      values: ['none', 'v1', 'v2'],
      default: 'none',
      doc: 'Tell endpoints of each client by a PROXY protocol header of this version, before everything else on the connection; UDP goes without.',
    },
    verifyTls: { type: 'boolean', default: true, doc: 'Verify the certificates of https endpoints.' },
    caFile: {
      type: 'string',
      default: '',
      doc: 'PEM file of authorities trusted for https endpoints, beside the system ones.',
    },
    panicThreshold: {
      type: 'integer',
      default: 0,
      min: 0,
      max: 100,
      doc: 'Percent: where fewer of the ready endpoints are in good health, all ready ones get requests; 0 is never (then 503 when none is).',
    },
    health: {
      check: {
        type: 'enum',
        values: ['auto', 'none', 'http', 'tcp', 'grpc'],
        default: 'auto',
        doc: 'How endpoints are asked whether they are well; auto: as the readinessProbe of their Pod says, where there is one.',
      },
      path: { type: 'string', default: '/', doc: 'What an http check asks for.' },
      port: { type: 'port', default: 0, doc: "The port that is asked; 0 is the endpoint's own." },
      host: { type: 'string', default: '', doc: "The Host of an http check; empty: the endpoint's address." },
      statuses: { type: 'statuses', default: '200-399', doc: 'Answers to an http check that mean good health.' },
      service: { type: 'string', default: '', doc: 'The service that a grpc check asks for; empty: the server.' },
      interval: { type: 'duration', default: 10_000, min: 50, doc: 'Each endpoint is asked so often.' },
      timeout: {
        type: 'duration',
        default: 1_000,
        min: 10,
        max: 300_000,
        doc: 'No answer within this time is a failure.',
      },
      healthyThreshold: {
        type: 'integer',
        default: 1,
        min: 1,
        max: 1000,
        doc: 'Successes in a row that bring an unhealthy endpoint back.',
      },
      unhealthyThreshold: {
        type: 'integer',
        default: 3,
        min: 1,
        max: 1000,
        doc: 'Failures in a row that take an endpoint out; at the start the first answer decides.',
      },
    },
    ejection: {
      consecutiveFailures: {
        type: 'integer',
        default: 5,
        min: 0,
        doc: 'Requests in a row, in one worker, that an endpoint refused, reset, left unanswered or broke off, after which it gets none for a while; 0 is off.',
      },
      errorRate: {
        type: 'integer',
        default: 0,
        min: 0,
        max: 100,
        doc: 'Percent of failures, in one worker, that does the same; 0 is off.',
      },
      answers: {
        type: 'enum',
        values: ['none', 'gateway', '5xx'],
        default: 'gateway',
        doc: 'Answers that count as failures in the error rate: none, gateway (502, 503 and 504) or all 5xx.',
      },
      minimumRequests: { type: 'integer', default: 20, min: 1, doc: 'The error rate of fewer requests says nothing.' },
      interval: { type: 'duration', default: 10_000, min: 100, doc: 'The error rate is that of so long a time.' },
      baseTime: {
        type: 'duration',
        default: 30_000,
        min: 10,
        doc: 'A first ejection lasts so long, the next twice, then three times as long; each interval without one takes one off.',
      },
      maxTime: { type: 'duration', default: 300_000, min: 10, doc: 'No ejection lasts longer.' },
      maxShare: {
        type: 'integer',
        default: 50,
        min: 0,
        max: 100,
        doc: 'Percent of the endpoints that may be ejected at once, one at least where there are two; never the last one in good health. 0 is none.',
      },
    },
    host: {
      type: 'hostPolicy',
      default: 'client',
      doc: 'The Host that endpoints are sent: "client" is what the client sent, "endpoint" the name (or address) that the endpoint was given by, anything else is sent as it stands. X-Forwarded-Host is always the client\'s.',
    },
    sni: {
      type: 'hostname',
      default: '',
      doc: 'The name that https endpoints are asked for and that their certificates must have; empty: the name the endpoint was given by, or "service.namespace.svc" for an address.',
    },
    addressFamily: {
      type: 'enum',
      values: ['auto', 'ipv4', 'ipv6'],
      default: 'auto',
      doc: 'Which addresses of a name are used; auto is both, an address that cannot be connected to giving way to another.',
    },
  },
  log: {
    level: {
      type: 'enum',
      values: ['debug', 'info', 'warn', 'error', 'silent'],
      default: 'info',
      doc: 'Least severe message that is logged.',
    },
    format: {
      type: 'enum',
      values: ['auto', 'json', 'pretty'],
      default: 'auto',
      restart: true,
      doc: 'auto is pretty on a terminal and JSON otherwise.',
    },
    access: { type: 'boolean', default: true, doc: 'Log each request.' },
  },
  strict: {
    type: 'boolean',
    default: false,
    restart: true,
    doc: 'Refuse a configuration with any error, at the start and at reloads.',
  },
  files: {
    maxBytes: { type: 'bytes', default: 16_777_216, min: 1024, doc: 'Largest manifest file.' },
    maxCount: { type: 'integer', default: 20_000, min: 1, doc: 'Most files read from folders.' },
  },
} as const satisfies SettingTable

type Values = {
  boolean: boolean
  string: string
  strings: readonly string[]
  integer: number
  port: number
  address: string
  duration: number
  bytes: number
  cidrs: readonly string[]
  addresses: readonly string[]
  addressRanges: readonly string[]
  serviceRange: string
  portRange: string
  endpoints: Readonly<Record<string, readonly string[]>>
  /** By Service, then by dotted name under `upstream`. */
  services: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  serviceNames: readonly string[]
  servers: readonly string[]
  hostPolicy: string
  hostname: string
  workers: number | 'auto'
  statuses: string
}
type Nested<T> = {
  readonly [K in keyof T]: T[K] extends { type: 'enum'; values: readonly (infer V)[] }
    ? V
    : T[K] extends { type: infer S extends SettingType; doc: string }
      ? Values[S]
      : Nested<T[K]>
}

/** All settings, resolved: every field present, durations in milliseconds, sizes in bytes. */
export type Settings = Nested<typeof SETTINGS>
