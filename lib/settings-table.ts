/**
 * Every setting, once: its type, default, and what it does. From this table come the `Settings` type, the loader's checks,
 * `config/portico.yaml`, the JSON Schema, and the environment variables (`http.port` is `PORTICO_HTTP_PORT`).
 */

/** `workers` is `auto` or a number; `duration` is written `500ms`, `10s`, `5m`, `1h` and held in milliseconds; `bytes` is written `64Ki`, `1Mi` or a number. */
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
  | 'endpoints'
  | 'services'
  | 'workers'

/** One setting: its type, default and what it does. */
export type SettingLeaf =
  | Readonly<{
      type: SettingType
      default: unknown
      doc: string
      min?: number
      max?: number
      /** Of a string: what it must match, and how people are told to write it. */
      pattern?: string
      form?: string
      /** read once, at the start */
      restart?: true
    }>
  | Readonly<{ type: 'enum'; values: readonly string[]; default: string; doc: string; restart?: true }>

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
  },
  https: {
    enabled: { type: 'boolean', default: true, restart: true, doc: 'Serve HTTPS.' },
    address: { type: 'address', default: '::', restart: true, doc: 'Address to listen on.' },
    port: { type: 'port', default: 8443, restart: true, doc: 'Port to listen on; 0 takes a free one.' },
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
    doc: 'Folder for what must outlive a restart (the default certificate, the key of affinity cookies); empty: $XDG_DATA_HOME/portico, /data in the container.',
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
  externalNames: {
    allowPrivate: {
      type: 'boolean',
      default: false,
      doc: 'Let ExternalName Services lead to loopback, link-local, metadata and private addresses.',
    },
  },
  trustedProxies: {
    type: 'cidrs',
    default: [],
    doc: 'Peers whose X-Forwarded-*, X-Real-IP, Forwarded and X-Request-Id are believed.',
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
    drain: { type: 'duration', default: 9_000, min: 0, doc: 'After SIGTERM, requests in flight may take this long.' },
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
      doc: 'Endpoints tried for one request; another is tried only where nothing was sent.',
    },
    maxConnections: {
      type: 'integer',
      default: 1024,
      min: 1,
      doc: 'Most connections to one endpoint, from each worker.',
    },
    maxQueue: {
      type: 'integer',
      default: 1024,
      min: 0,
      doc: 'Most requests that wait for a connection to one endpoint, in each worker; beyond it 503.',
    },
    headerBytes: { type: 'bytes', default: 65_536, min: 1024, max: 1_048_576, doc: 'Largest response head.' },
    verifyTls: { type: 'boolean', default: true, doc: 'Verify the certificates of https endpoints.' },
    caFile: {
      type: 'string',
      default: '',
      doc: 'PEM file of authorities trusted for https endpoints, beside the system ones.',
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
  endpoints: Readonly<Record<string, readonly string[]>>
  /** By Service, then by dotted name under `upstream`. */
  services: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  workers: number | 'auto'
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
