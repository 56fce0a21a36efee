/** How the endpoints of an upstream are chosen among, watched, limited and spoken to: for all Services, or for one by itself. */
import type { SettingTable } from './tree.ts'
import { boolean } from './types/boolean.ts'
import { bytes } from './types/bytes.ts'
import { choice } from './types/choice.ts'
import { duration } from './types/duration.ts'
import { hostPolicy } from './types/host-policy.ts'
import { hostname } from './types/hostname.ts'
import { integer } from './types/integer.ts'
import { port } from './types/port.ts'
import { statuses } from './types/statuses.ts'
import { string } from './types/string.ts'
import { strings } from './types/strings.ts'

/** Field and cookie names are tokens (RFC 9110 §5.6.2), but for the + that joins parts. */
const HASH_PART = "(client-ip|host|uri|path|(header|cookie|query):[A-Za-z0-9!#$%&'*.^_`|~-]{1,128})"
const HASH_BY = `^${HASH_PART}(\\+${HASH_PART}){0,7}$`

/** Browsers keep no cookie longer (RFC 6265bis §5.5), milliseconds: 400 days. */
const LONGEST_COOKIE = 34_560_000_000

const BY_HASH = { name: 'balancer', value: 'hash' } as const
const BY_CLIENT = { name: 'affinity.type', value: 'client-ip' } as const
const BY_COOKIE = { name: 'affinity.type', value: 'cookie' } as const

export const UPSTREAM_SETTINGS = {
  balancer: choice(['round-robin', 'least-requests', 'power-of-two', 'ewma', 'random', 'hash'], {
    default: 'round-robin',
    doc: 'How an endpoint is chosen. round-robin: each in turn; least-requests: the one with the fewest requests under way; power-of-two: two are drawn at random, and the one with fewer requests under way is taken; ewma: the same, where fast answers of late count as well; random: at random; hash: always the same one for the same hash.by. All follow the weights. Each worker balances on its own.',
  }),
  slowStart: duration({
    default: 0,
    min: 0,
    max: 3_600_000,
    doc: 'An endpoint that joins, or comes back to health, gets from a tenth of its share to all of it over this time; 0 gives it all at once. Balancer hash and clients that are held by affinity take no notice.',
  }),
  hash: {
    by: string({
      needs: BY_HASH,
      default: 'client-ip',
      pattern: HASH_BY,
      form: 'client-ip, host, uri, path, header:NAME, cookie:NAME or query:NAME; of several of them host+path',
      doc: 'What balancer hash goes by: client-ip, host (without its port), uri (path with query), path, header:NAME, cookie:NAME or query:NAME (a parameter of the query); or several of them with + between, as host+path. A request that has none of them goes by its client IP.',
    }),
    subset: integer({
      needs: BY_HASH,
      default: 1,
      min: 1,
      max: 100,
      advanced: true,
      doc: 'So many endpoints share the requests of one hash.by: each request goes to the one of them with the fewest requests under way.',
    }),
    table: choice(['ring', 'maglev'], {
      needs: BY_HASH,
      default: 'ring',
      advanced: true,
      doc: 'A ring moves the fewest keys as endpoints come and go; maglev spreads them most evenly.',
    }),
    boundedLoad: integer({
      needs: BY_HASH,
      default: 125,
      min: 0,
      max: 10_000,
      advanced: true,
      doc: 'Most requests at once on one endpoint, in percent of the average by weight; further ones go to the next endpoint of the table. An endpoint with fewer than 8 requests is never passed over; 0 is no bound.',
    }),
  },
  affinity: {
    type: choice(['none', 'client-ip', 'cookie'], {
      default: 'none',
      doc: 'Keep a client with its endpoint: by its address (as sessionAffinity: ClientIP of a Service), or by a cookie that the gateway sets.',
    }),
    timeout: duration({
      needs: BY_CLIENT,
      default: 10_800_000,
      min: 1_000,
      max: 86_400_000,
      doc: 'client-ip: a client is forgotten this long after its last request.',
    }),
    clients: integer({
      needs: BY_CLIENT,
      default: 10_000,
      min: 1,
      max: 1_000_000,
      advanced: true,
      doc: 'client-ip: most client addresses that are remembered for one Service port in each worker; beyond that, the address that was used longest ago is forgotten.',
    }),
    onDead: choice(['reassign', 'keep', 'refuse'], {
      default: 'reassign',
      advanced: true,
      doc: 'What a client gets when its endpoint is gone, unhealthy or cannot be reached: reassign gives it another endpoint, refuse answers 503. keep gives another one only when it is gone or not ready, and fails the requests until then.',
    }),
    cookie: {
      name: string({
        needs: BY_COOKIE,
        default: '',
        pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{0,128}$",
        form: 'letters, digits, - and _',
        doc: 'Name of the cookie; empty: portico_ and a number that belongs to the Service port.',
      }),
      path: string({
        needs: BY_COOKIE,
        default: '/',
        pattern: '^(route|/[!-:<-~]{0,255})$',
        form: 'a path, as /shop, or route',
        advanced: true,
        doc: 'Path of the cookie; route: the path of the rule that takes the request, or / if it is a regular expression. Services of one host whose cookies have the same name need different paths.',
      }),
      domain: string({
        needs: BY_COOKIE,
        default: '',
        pattern: '^([A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63}){0,30})?$',
        form: 'a host name, as example.com',
        advanced: true,
        doc: 'Domain of the cookie; empty: the host of the request alone.',
      }),
      maxAge: duration({
        needs: BY_COOKIE,
        default: 0,
        min: 0,
        max: LONGEST_COOKIE,
        advanced: true,
        doc: 'Max-Age of the cookie; 0: until the browser is closed.',
      }),
      expires: duration({
        needs: BY_COOKIE,
        default: 0,
        min: 0,
        max: LONGEST_COOKIE,
        advanced: true,
        doc: 'Expires of the cookie, this long after the request; 0: there is none. Max-Age goes before it, except in browsers that do not know it.',
      }),
      secure: choice(['auto', 'always', 'never'], {
        needs: BY_COOKIE,
        default: 'auto',
        advanced: true,
        doc: 'Secure of the cookie; auto: for clients that come by HTTPS.',
      }),
      httpOnly: boolean({ needs: BY_COOKIE, default: true, advanced: true, doc: 'Its HttpOnly.' }),
      sameSite: choice(['lax', 'strict', 'none', 'unset'], {
        needs: BY_COOKIE,
        default: 'lax',
        advanced: true,
        doc: 'SameSite of the cookie; none is left out of a cookie that is not Secure, since browsers refuse that.',
      }),
    },
  },
  tries: integer({
    default: 2,
    min: 0,
    max: 100,
    route: true,
    doc: 'Most tries of one request, the first included; 0 is as many as there are endpoints. A further try goes to another endpoint where there is one, and is made only where "retry" allows it.',
  }),
  retry: {
    conditions: strings({
      default: ['connect-failure', 'reset', 'timeout'],
      route: true,
      pattern: '^(connect-failure|reset|timeout|bad-answer|gateway-error|5xx|4\\d\\d|5\\d\\d)$',
      form: 'connect-failure, reset, timeout, bad-answer, gateway-error (502, 503, 504), 5xx, or a status from 400 to 599',
      doc: 'Failures after which a request is tried again: connect-failure (nothing was sent), reset (nothing was answered), timeout (tryTimeout), bad-answer (an answer with a malformed or too large head), gateway-error (502, 503, 504), 5xx, or single statuses. Apart from connect-failure they hold only for methods that may be repeated.',
    }),
    methods: strings({
      default: [],
      route: true,
      pattern: '^[A-Z][A-Z-]*$',
      form: 'methods in capitals: POST, PATCH',
      doc: 'Methods that may be sent twice, beside GET, HEAD, OPTIONS, PUT and DELETE: for services that recognise a repeated request.',
    }),
    bufferBytes: bytes({
      default: 65_536,
      min: 0,
      max: 16_777_216,
      route: true,
      advanced: true,
      doc: 'Most bytes of a request body that are kept until the answer begins, so that the body can be sent again; longer bodies are not sent again. 0 keeps none.',
    }),
    tryTimeout: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'A try must connect within this time, and then be answered within this time; 0 leaves it to the other limits.',
    }),
    within: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'A failure later than this after the request has come leads to no further try; 0 is no limit. timeouts.request limits the tries themselves.',
    }),
    backoff: duration({
      default: 25,
      min: 1,
      route: true,
      advanced: true,
      doc: 'Longest pause before a second try; its length is random. The longest pause doubles before each further try. There is no pause where one endpoint could not be connected to and another one is tried.',
    }),
    maxBackoff: duration({
      default: 1_000,
      min: 1,
      route: true,
      advanced: true,
      doc: 'The longest pause doubles up to this time.',
    }),
    budget: integer({
      default: 20,
      min: 0,
      max: 1_000,
      advanced: true,
      doc: 'Most further tries in each worker, in percent of the requests of the last ten seconds; tries at another endpoint after a connect failure are not counted.',
    }),
    budgetMinimum: integer({
      default: 10,
      min: 0,
      advanced: true,
      doc: 'So many further tries a second are allowed whatever the percentage.',
    }),
  },
  timeouts: {
    request: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'An answer must begin within this time after the request has come, all waits and tries included; else it is 504. The time that the body of the request takes is not counted, and an answer that has begun is not cut: requestBodyIdle, responseIdle and tunnelIdle limit these. 0 is no limit.',
    }),
    connect: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'Goes before timeouts.connect; 0 leaves it to timeouts.connect.',
    }),
    responseHeaders: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'Goes before timeouts.responseHeaders; 0 leaves it to timeouts.responseHeaders.',
    }),
    responseIdle: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'Goes before timeouts.responseIdle; 0 leaves it to timeouts.responseIdle.',
    }),
    requestBodyIdle: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'Goes before timeouts.requestBodyIdle; 0 leaves it to timeouts.requestBodyIdle.',
    }),
    tunnelIdle: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'Goes before timeouts.tunnelIdle; 0 leaves it to timeouts.tunnelIdle.',
    }),
    streamIdle: duration({
      default: 0,
      min: 0,
      doc: 'Goes before timeouts.streamIdle; 0 leaves it to timeouts.streamIdle.',
    }),
    datagramIdle: duration({
      default: 0,
      min: 0,
      doc: 'Goes before timeouts.datagramIdle; 0 leaves it to timeouts.datagramIdle.',
    }),
  },
  bodyLimit: bytes({
    default: 0,
    min: 0,
    unlimited: true,
    route: true,
    doc: 'Largest request body, or "unlimited"; goes before limits.bodyBytes, and may be larger. 0 leaves it to limits.bodyBytes.',
  }),
  requestBuffering: choice(['short', 'all', 'none'], {
    default: 'short',
    route: true,
    doc: 'Request bodies that are read whole before an endpoint is asked, so that slow clients hold no place there. short: those with a declared length up to 64Ki; of longer ones the first 16Ki are read, and bodies without a declared length, or after Expect: 100-continue, are streamed. all: every body, whatever its length, except for gRPC; what memory does not take goes to a file (buffering). none: bodies are streamed.',
  }),
  responseBuffering: choice(['short', 'all'], {
    default: 'short',
    route: true,
    doc: 'Answers that are read as fast as the endpoint sends them, however slowly the client takes them, so that their place at the endpoint is free. short: those up to 64Ki. all: longer ones too; what memory does not take goes to a file (buffering). Clients get bytes as soon as they come either way. text/event-stream, gRPC and answers with X-Accel-Buffering: no are always short.',
  }),
  maxConnections: integer({ default: 1024, min: 1, doc: 'Most connections to one endpoint, from each worker.' }),
  maxRequests: integer({
    default: 0,
    min: 0,
    doc: 'Most requests at once at one endpoint, from each worker; 0 is the same as maxConnections.',
  }),
  adaptiveLimit: boolean({
    default: true,
    advanced: true,
    doc: 'Limit the requests that an overloaded endpoint has at once: while it answers no more requests a second than with fewer of them, only later, or while requests wait for it, send it the smallest number with which it was seen to answer as many. Each worker finds that number for itself; it is never below 16.',
  }),
  maxQueue: integer({
    default: 1024,
    min: 0,
    doc: 'Most requests that wait in each worker while all endpoints are full; further ones get 503.',
  }),
  queueTimeout: duration({
    default: 1_000,
    min: 1,
    doc: 'A request waits this long for an endpoint, then it gets 503. Requests of clients that hold fewer places go first. When a request has waited half of this time, the newest requests go first.',
  }),
  circuit: {
    errorRate: integer({
      default: 0,
      min: 0,
      max: 100,
      doc: 'Percentage of tries within ten seconds that fail or are answered 500 and above: from this percentage on the circuit opens, in each worker for itself. While it is open, requests get 503 at once and no endpoint is asked. 0 is never.',
    }),
    minimumRequests: integer({
      default: 20,
      min: 1,
      advanced: true,
      doc: 'The circuit does not open before so many tries were made within ten seconds.',
    }),
    openTime: duration({
      default: 5_000,
      min: 1,
      advanced: true,
      doc: 'After this time an open circuit lets three requests try the endpoints, and closes when all three are answered well. When one is not, the circuit opens again for twice as long, up to a minute.',
    }),
  },
  headerBytes: bytes({ default: 65_536, min: 1024, max: 1_048_576, advanced: true, doc: 'Largest response head.' }),
  proxyProtocol: choice(['none', 'v1', 'v2'], {
    default: 'none',
    doc: 'Version of the PROXY protocol header that tells endpoints of each client, before everything else on the connection; UDP goes without.',
  }),
  protocol: choice(['auto', 'http', 'https'], {
    default: 'auto',
    doc: 'Protocol that endpoints are spoken to in; auto: as the appProtocol of the Service port says, http where it says nothing.',
  }),
  verifyTls: boolean({ default: true, doc: 'Verify the certificates of https endpoints.' }),
  caFile: string({
    default: '',
    doc: 'PEM file of authorities that are trusted for https endpoints, beside those of the system. A change of the file counts within a second, for new connections; while the file cannot be used, its last good authorities count.',
  }),
  tlsSecret: string({
    default: '',
    pattern: '^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$',
    form: 'the name of a Secret in the namespace of the Service',
    doc: 'Secret, in the namespace of the Service, for https endpoints: its tls.crt and tls.key are shown to endpoints that ask for a certificate, and its ca.crt has the authorities that alone are trusted. Either may be missing. While the Secret cannot be used, nothing is sent to the endpoints.',
  }),
  panicThreshold: integer({
    default: 0,
    min: 0,
    max: 100,
    advanced: true,
    doc: 'Percentage of the ready endpoints that must be in good health; below it all ready endpoints get requests. 0 is never: requests get 503 when no endpoint is in good health.',
  }),
  health: {
    check: choice(['auto', 'none', 'http', 'tcp', 'grpc'], {
      default: 'auto',
      doc: 'How the health of endpoints is checked; auto: as the readinessProbe of their Pod says, where there is one.',
    }),
    path: string({ default: '/', doc: 'Path that an http check asks for.' }),
    port: port({ default: 0, doc: "Port that is checked; 0 is the endpoint's own." }),
    host: string({ default: '', doc: "Host of an http check; empty: the endpoint's address." }),
    statuses: statuses({ default: '200-399', doc: 'Answers to an http check that mean good health.' }),
    service: string({ default: '', doc: 'Service that a grpc check asks for; empty: the server as a whole.' }),
    interval: duration({ default: 10_000, min: 50, doc: 'Time between two checks of an endpoint.' }),
    timeout: duration({
      default: 1_000,
      min: 10,
      max: 300_000,
      doc: 'A check without an answer within this time has failed.',
    }),
    healthyThreshold: integer({
      default: 1,
      min: 1,
      max: 1000,
      doc: 'Successful checks in a row that bring an unhealthy endpoint back.',
    }),
    unhealthyThreshold: integer({
      default: 3,
      min: 1,
      max: 1000,
      doc: 'Failed checks in a row that take an endpoint out; at the start the first check decides.',
    }),
  },
  ejection: {
    consecutiveFailures: integer({
      default: 5,
      min: 0,
      doc: 'So many requests in a row, in one worker, that an endpoint refused, reset, left unanswered or broke off eject the endpoint: it gets no requests for a time. 0 is off.',
    }),
    errorRate: integer({
      default: 0,
      min: 0,
      max: 100,
      advanced: true,
      doc: 'Percentage of failed requests, in one worker, that ejects an endpoint as well; 0 is off.',
    }),
    answers: choice(['none', 'gateway', '5xx'], {
      default: 'gateway',
      advanced: true,
      doc: 'Answers that count as failures in the error rate: none, gateway (502, 503 and 504) or all 5xx.',
    }),
    minimumRequests: integer({
      default: 20,
      min: 1,
      advanced: true,
      doc: 'The error rate counts only from so many requests on.',
    }),
    interval: duration({
      default: 10_000,
      min: 100,
      advanced: true,
      doc: 'Time over which the error rate is counted.',
    }),
    baseTime: duration({
      default: 30_000,
      min: 10,
      advanced: true,
      doc: 'Length of the first ejection of an endpoint; the second is twice, the third three times as long. Each interval without an ejection takes one off.',
    }),
    maxTime: duration({ default: 300_000, min: 10, advanced: true, doc: 'Longest ejection.' }),
    maxShare: integer({
      default: 50,
      min: 0,
      max: 100,
      advanced: true,
      doc: 'Most endpoints that are ejected at once, in percent, but one at least where there are two; the last endpoint in good health is never ejected. 0 is none.',
    }),
  },
  host: hostPolicy({
    default: 'client',
    doc: 'Host that endpoints are sent. "client": the Host that the client sent; "endpoint": the name or address by which the endpoint was given; any other value is sent as it stands. X-Forwarded-Host is always the Host that the client sent.',
  }),
  sni: hostname({
    default: '',
    doc: 'Name that is asked of https endpoints, and that their certificates must have; empty: the name by which the endpoint was given, or "service.namespace.svc" for an address.',
  }),
  addressFamily: choice(['auto', 'ipv4', 'ipv6'], {
    default: 'auto',
    doc: 'Which addresses of a name are used. auto uses both: where one address cannot be connected to, another one is tried.',
  }),
} satisfies SettingTable
