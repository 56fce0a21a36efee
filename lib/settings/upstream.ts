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

/** Field and cookie names are tokens (RFC 9110 §5.6.2). */
const HASH_BY = "^(client-ip|uri|path|(header|cookie):[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128})$"

export const UPSTREAM_SETTINGS = {
  balancer: choice(['round-robin', 'least-requests', 'power-of-two', 'ewma', 'random', 'hash'], {
    default: 'round-robin',
    doc: 'How an endpoint is chosen: each in turn; the one with the fewest requests under way; the better of two drawn at random, by requests under way (power-of-two) or by these and how fast it answered of late (ewma); at random; or always the same for the same hash.by. All follow the weights. Each worker balances on its own.',
  }),
  slowStart: duration({
    default: 0,
    min: 0,
    max: 3_600_000,
    doc: 'An endpoint that joins, or comes back to health, gets from a tenth of its share to all of it over this time; 0 is all at once. Not with hash, nor for clients that are held by affinity.',
  }),
  hash: {
    by: string({
      default: 'client-ip',
      pattern: HASH_BY,
      form: 'client-ip, uri, path, header:NAME or cookie:NAME',
      doc: 'What balancer hash goes by: client-ip, uri (path with query), path, header:NAME or cookie:NAME; the client IP where a request has no such header or cookie.',
    }),
    table: choice(['ring', 'maglev'], {
      default: 'ring',
      advanced: true,
      doc: 'A ring moves the fewest keys as endpoints come and go; maglev spreads them most evenly.',
    }),
    boundedLoad: integer({
      default: 125,
      min: 0,
      max: 10_000,
      advanced: true,
      doc: 'Most requests at once on one endpoint, in percent of the average by weight: what is beyond goes to the next of the table. An endpoint with fewer than 8 is never passed over; 0 is no bound.',
    }),
  },
  affinity: {
    type: choice(['none', 'client-ip', 'cookie'], {
      default: 'none',
      doc: 'Keep a client with its endpoint: by its address (as sessionAffinity: ClientIP of a Service), or by a cookie that the gateway sets.',
    }),
    timeout: duration({
      default: 10_800_000,
      min: 1_000,
      max: 86_400_000,
      doc: 'client-ip: forgotten this long after its last request.',
    }),
    clients: integer({
      default: 10_000,
      min: 1,
      max: 1_000_000,
      advanced: true,
      doc: 'client-ip: most addresses remembered for one Service port, in each worker; of more, the one used longest ago is forgotten.',
    }),
    onDead: choice(['reassign', 'refuse'], {
      default: 'reassign',
      advanced: true,
      doc: 'When the endpoint of a client is gone, unhealthy or cannot be reached: give it another, or answer 503.',
    }),
    cookie: {
      name: string({
        default: '',
        pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{0,128}$",
        form: 'letters, digits, - and _',
        doc: 'Name of the cookie; empty: portico_ and a number that belongs to the Service port.',
      }),
      path: string({
        default: '/',
        pattern: '^/[!-:<-~]{0,255}$',
        form: 'a path, as /shop',
        advanced: true,
        doc: 'Its Path.',
      }),
      domain: string({
        default: '',
        pattern: '^([A-Za-z0-9-]{1,63}(\\.[A-Za-z0-9-]{1,63}){0,30})?$',
        form: 'a host name, as example.com',
        advanced: true,
        doc: 'Its Domain; empty: the host of the request alone.',
      }),
      maxAge: duration({ default: 0, min: 0, advanced: true, doc: 'Its Max-Age; 0: until the browser is closed.' }),
      secure: choice(['auto', 'always', 'never'], {
        default: 'auto',
        advanced: true,
        doc: 'Its Secure; auto: where the client came by HTTPS.',
      }),
      httpOnly: boolean({ default: true, advanced: true, doc: 'Its HttpOnly.' }),
      sameSite: choice(['lax', 'strict', 'none', 'unset'], {
        default: 'lax',
        advanced: true,
        doc: 'Its SameSite; none is left out where the cookie is not Secure, since browsers refuse that.',
      }),
    },
  },
  tries: integer({
    default: 2,
    min: 1,
    max: 10,
    route: true,
    doc: 'Tries for one request, the first included: at another endpoint where there is one, and only where "retry" lets it be tried again.',
  }),
  retry: {
    conditions: strings({
      default: ['connect-failure', 'reset', 'timeout'],
      route: true,
      pattern: '^(connect-failure|reset|timeout|gateway-error|5xx|4\\d\\d|5\\d\\d)$',
      form: 'connect-failure, reset, timeout, gateway-error (502, 503, 504), 5xx, or a status from 400 to 599',
      doc: 'After what a request is tried again: connect-failure (nothing was sent), reset (nothing was answered), timeout (tryTimeout), gateway-error (502, 503, 504), 5xx, or single statuses. All but the first only for methods that may be repeated.',
    }),
    methods: strings({
      default: [],
      route: true,
      pattern: '^[A-Z][A-Z-]*$',
      form: 'methods in capitals: POST, PATCH',
      doc: 'Methods that may be sent twice, beside GET, HEAD, OPTIONS, PUT and DELETE: for services that recognise a request they have had.',
    }),
    bufferBytes: bytes({
      default: 65_536,
      min: 0,
      max: 16_777_216,
      route: true,
      advanced: true,
      doc: 'So much of a request body is kept until the answer begins, so that it can be sent again; longer ones are not repeated. 0 keeps none.',
    }),
    tryTimeout: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'A try must connect, and then must be answered, each within this time; 0 leaves it to the other limits.',
    }),
    timeout: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'An answer must begin within this time, all tries and waits together; 0 is no limit.',
    }),
    backoff: duration({
      default: 25,
      min: 1,
      route: true,
      advanced: true,
      doc: 'Before another try: a random time up to this, up to twice this before the next, and so on. None before another endpoint is tried because one could not be connected to.',
    }),
    maxBackoff: duration({
      default: 1_000,
      min: 1,
      route: true,
      advanced: true,
      doc: 'Longest time up to which that grows.',
    }),
    budget: integer({
      default: 20,
      min: 0,
      max: 1_000,
      advanced: true,
      doc: 'Tries that may be added to the requests of the last ten seconds, in percent, in each worker; those at another endpoint after a connect failure are not counted.',
    }),
    budgetMinimum: integer({
      default: 10,
      min: 0,
      advanced: true,
      doc: 'So many a second are allowed whatever the percentage.',
    }),
  },
  timeouts: {
    connect: duration({ default: 0, min: 0, route: true, doc: 'In place of timeouts.connect; 0 is as there.' }),
    responseHeaders: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'In place of timeouts.responseHeaders; 0 is as there.',
    }),
    responseIdle: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'In place of timeouts.responseIdle; 0 is as there.',
    }),
    requestBodyIdle: duration({
      default: 0,
      min: 0,
      route: true,
      doc: 'In place of timeouts.requestBodyIdle; 0 is as there.',
    }),
    tunnelIdle: duration({ default: 0, min: 0, route: true, doc: 'In place of timeouts.tunnelIdle; 0 is as there.' }),
    streamIdle: duration({ default: 0, min: 0, doc: 'In place of timeouts.streamIdle; 0 is as there.' }),
    datagramIdle: duration({ default: 0, min: 0, doc: 'In place of timeouts.datagramIdle; 0 is as there.' }),
  },
  requestBuffering: bytes({
    default: 65_536,
    min: 0,
    max: 1_048_576,
    route: true,
    advanced: true,
    doc: 'Request bodies with a declared length up to this are read whole before an endpoint is chosen, so that slow clients hold no place there; of longer ones the first 16Ki. Others, and those sent after Expect: 100-continue, are streamed from the start; 0 streams all.',
  }),
  maxConnections: integer({ default: 1024, min: 1, doc: 'Most connections to one endpoint, from each worker.' }),
  maxRequests: integer({
    default: 0,
    min: 0,
    doc: 'Most requests at once at one endpoint, from each worker; 0 is as many as maxConnections.',
  }),
  adaptiveLimit: boolean({
    default: true,
    advanced: true,
    doc: 'Limit the requests that an overloaded endpoint has at once: while requests wait for it, send it the smallest number with which it was seen to answer as many requests a second. Each worker finds that number for itself; it is never below 16.',
  }),
  maxQueue: integer({
    default: 1024,
    min: 0,
    doc: 'Most requests that wait while all endpoints are full, in each worker; beyond it 503.',
  }),
  queueTimeout: duration({
    default: 1_000,
    min: 1,
    doc: 'They wait this long; then 503. Requests of clients that hold fewer places go first. When a request has waited half of this time, the newest requests go first.',
  }),
  circuit: {
    errorRate: integer({
      default: 0,
      min: 0,
      max: 100,
      doc: 'From this percentage of failures and answers of 500 and above on, the circuit opens: 503 at once, no endpoint is asked, in each worker for itself. 0 is never.',
    }),
    minimumRequests: integer({
      default: 20,
      min: 1,
      advanced: true,
      doc: 'So many must have been tried within ten seconds.',
    }),
    openTime: duration({
      default: 5_000,
      min: 1,
      advanced: true,
      doc: 'An open circuit lets three requests try the endpoints after this time and closes if all are answered well; each time one is not, the time doubles, up to a minute.',
    }),
  },
  headerBytes: bytes({ default: 65_536, min: 1024, max: 1_048_576, advanced: true, doc: 'Largest response head.' }),
  proxyProtocol: choice(['none', 'v1', 'v2'], {
    default: 'none',
    doc: 'Tell endpoints of each client by a PROXY protocol header of this version, before everything else on the connection; UDP goes without.',
  }),
  verifyTls: boolean({ default: true, doc: 'Verify the certificates of https endpoints.' }),
  caFile: string({
    default: '',
    doc: 'PEM file of authorities trusted for https endpoints, beside the system ones. It is followed: others count within a second, for new connections; while it cannot be used, those that it had before do.',
  }),
  panicThreshold: integer({
    default: 0,
    min: 0,
    max: 100,
    advanced: true,
    doc: 'Percent: where fewer of the ready endpoints are in good health, all ready ones get requests; 0 is never (then 503 when none is).',
  }),
  health: {
    check: choice(['auto', 'none', 'http', 'tcp', 'grpc'], {
      default: 'auto',
      doc: 'How endpoints are asked whether they are well; auto: as the readinessProbe of their Pod says, where there is one.',
    }),
    path: string({ default: '/', doc: 'What an http check asks for.' }),
    port: port({ default: 0, doc: "The port that is asked; 0 is the endpoint's own." }),
    host: string({ default: '', doc: "The Host of an http check; empty: the endpoint's address." }),
    statuses: statuses({ default: '200-399', doc: 'Answers to an http check that mean good health.' }),
    service: string({ default: '', doc: 'The service that a grpc check asks for; empty: the server.' }),
    interval: duration({ default: 10_000, min: 50, doc: 'Each endpoint is asked so often.' }),
    timeout: duration({ default: 1_000, min: 10, max: 300_000, doc: 'No answer within this time is a failure.' }),
    healthyThreshold: integer({
      default: 1,
      min: 1,
      max: 1000,
      doc: 'Successes in a row that bring an unhealthy endpoint back.',
    }),
    unhealthyThreshold: integer({
      default: 3,
      min: 1,
      max: 1000,
      doc: 'Failures in a row that take an endpoint out; at the start the first answer decides.',
    }),
  },
  ejection: {
    consecutiveFailures: integer({
      default: 5,
      min: 0,
      doc: 'Requests in a row, in one worker, that an endpoint refused, reset, left unanswered or broke off, after which it gets none for a while; 0 is off.',
    }),
    errorRate: integer({
      default: 0,
      min: 0,
      max: 100,
      advanced: true,
      doc: 'Percent of failures, in one worker, that does the same; 0 is off.',
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
      doc: 'The error rate of fewer requests says nothing.',
    }),
    interval: duration({ default: 10_000, min: 100, advanced: true, doc: 'The error rate is that of so long a time.' }),
    baseTime: duration({
      default: 30_000,
      min: 10,
      advanced: true,
      doc: 'A first ejection lasts so long, the next twice, then three times as long; each interval without one takes one off.',
    }),
    maxTime: duration({ default: 300_000, min: 10, advanced: true, doc: 'No ejection lasts longer.' }),
    maxShare: integer({
      default: 50,
      min: 0,
      max: 100,
      advanced: true,
      doc: 'Percent of the endpoints that may be ejected at once, one at least where there are two; never the last one in good health. 0 is none.',
    }),
  },
  host: hostPolicy({
    default: 'client',
    doc: 'The Host that endpoints are sent: "client" is what the client sent, "endpoint" the name (or address) that the endpoint was given by, anything else is sent as it stands. X-Forwarded-Host is always the client\'s.',
  }),
  sni: hostname({
    default: '',
    doc: 'The name that https endpoints are asked for and that their certificates must have; empty: the name the endpoint was given by, or "service.namespace.svc" for an address.',
  }),
  addressFamily: choice(['auto', 'ipv4', 'ipv6'], {
    default: 'auto',
    doc: 'Which addresses of a name are used; auto is both, an address that cannot be connected to giving way to another.',
  }),
} satisfies SettingTable
