/** One of two gateways that must not be told apart: it plays a client's case and tells all that can be seen of it. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ConnectionOptions } from 'node:tls'
import { pino } from 'pino'
import type { Test } from 'tap'
import { connectRaw, connectRawTls, parseResponse, type RawClient } from '../helpers/raw-client.ts'
import { makeSecretYaml, type RunningGateway, readMetrics, runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import type { ClientCase } from './client-cases.ts'
import { type Recorded, Recorder } from './recorder.ts'
import { UPSTREAM_ANSWERS } from './upstream-answers.ts'

const MANIFESTS = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: refusing}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: gw.test
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /refusing, pathType: Prefix, backend: {service: {name: refusing, port: {number: 80}}}}
          - {path: /unavailable, pathType: Prefix, backend: {service: {name: missing, port: {number: 80}}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secure}
spec:
  tls: [{hosts: [secure.test], secretName: secure}]
  rules:
    - host: secure.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
`

type Line = Readonly<Record<string, unknown>>

export type Side = {
  running: RunningGateway
  recorder: Recorder
  upstreamPort: number
  lines: Line[]
}

/** All that can be seen of one connection. */
export type Seen = {
  answers: readonly unknown[]
  /** What came behind the last whole answer. */
  rest: string
  /** The connection outlived the answers, and carried one more request. */
  reused: boolean
  upstream: readonly Recorded[]
  log: readonly Line[]
}

/** Beside what a test changes. */
const FLAGS = {
  'timeouts.requestHeaders': '1s',
  'timeouts.requestBodyIdle': '1s',
  'timeouts.responseHeaders': '2s',
  'admin.enabled': 'true',
  'admin.port': '0',
  'https.redirectPort': '443',
}

export async function startSide(t: Test, fastLane: boolean, flags: Readonly<Record<string, string>>): Promise<Side> {
  const recorder = new Recorder(UPSTREAM_ANSWERS)
  const upstreamPort = await recorder.start()
  t.teardown(() => recorder.close())
  const lines: Line[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const running = await runGateway(t, MANIFESTS + (await makeSecretYaml('secure', ['secure.test'])), {
    // Nobody listens on port 1.
    endpoints: { web: [upstreamPort], refusing: [1] },
    flags: { ...FLAGS, 'fastLane.enabled': String(fastLane), ...flags },
    log,
  })
  return { running, recorder, upstreamPort, lines }
}

const PROBE = 'GET /counted HTTP/1.1\r\nHost: gw.test\r\nUser-Agent: probe\r\nConnection: close\r\n\r\n'

export async function play(side: Side, { pieces, ending, headOnly = false }: ClientCase, tls: boolean): Promise<Seen> {
  const { running, recorder, lines } = side
  const firstLine = lines.length
  const firstRequest = recorder.requests.length
  // Half open, so that it goes on when the gateway has said its last word: what it sends then means nothing.
  const client = tls
    ? await connectRawTls(running.https, { servername: 'gw.test', allowHalfOpen: true } as ConnectionOptions)
    : await connectRaw(running.http, { allowHalfOpen: true })
  for (const piece of pieces) {
    if (client.isClosed) break
    if (typeof piece === 'number') await receiveFinals(client, piece, headOnly)
    else await client.flush(piece)
    await nextTurn()
  }
  if (ending === 'fin') client.end()
  else {
    if (typeof ending === 'number') await receiveFinals(client, ending, headOnly)
    if (!client.isClosed) await client.flush(PROBE)
  }
  if (client.hasEnded) client.end()
  else client.socket.once('end', () => client.end())
  await client.closed
  await until(() => running.gateway.inFlight === 0 && recorder.isQuiet)
  const { answers, rest } = readAnswers(client.received, headOnly)
  // Behind a FIN the lane says that the connection closes; node:http does not look.
  if (ending === 'fin') for (const answer of answers) answer.fields = withoutPersistence(answer.fields)
  // How far a broken request came before it was found broken is chance.
  const upstream = recorder.requests.slice(firstRequest).filter(({ complete }) => complete)
  const isProbe = ({ head }: Recorded) => head.includes('User-Agent: probe')
  return {
    answers,
    rest,
    reused: upstream.some(isProbe),
    upstream: upstream.map((request) => normalizeRequest(request, side)),
    log: lines.slice(firstLine).map((line) => normalizeLine(line, side)),
  }
}

async function receiveFinals(client: RawClient, count: number, headOnly: boolean): Promise<void> {
  const isThere = () => {
    const { answers } = readAnswers(client.received, headOnly, client.hasEnded)
    return answers.filter(({ status }) => status >= 200).length >= count
  }
  // Whatever ends the connection first is seen in what came.
  await client.until(isThere).catch(() => {})
}

function readAnswers(bytes: Buffer, headOnly: boolean, ended = true) {
  const answers = []
  let left = bytes
  for (;;) {
    const parsed = parseResponse(left, ended, headOnly)
    if (!parsed) return { answers, rest: left.toString('latin1') }
    left = left.subarray(parsed.length)
    const { status, reason, headers, body, complete, trailers } = parsed.response
    const id = parsed.response.header('x-request-id')
    const anonymous = (what: string) => (id === undefined ? what : what.replaceAll(id, '<id>'))
    const fields = headers.map((value, at) => (headers[at - 1]?.toLowerCase() === 'date' ? '<date>' : anonymous(value)))
    answers.push({ status, reason, fields, body: anonymous(body.toString('latin1')), complete, trailers })
  }
}

/** Codes of requests that were broken off or refused in their middle. */
const CUT: ReadonlySet<unknown> = new Set([
  'PORTICO_REQ_MALFORMED',
  'PORTICO_REQ_TOO_LARGE',
  'PORTICO_REQ_ABORTED',
  'PORTICO_REQ_HEADERS_TOO_LARGE',
])

function withoutPersistence(fields: readonly string[]): string[] {
  return fields.filter((_, at) => !/^(connection|keep-alive)$/i.test(fields[at - (at % 2)]!))
}

const ID = /\b[0-9a-f]{32}\b/g

function normalizeRequest(request: Recorded, { running }: Side): Recorded {
  const ownPorts = [running.http, running.https].map(String)
  const head = request.head.map((line) =>
    line
      .replace(ID, '<id>')
      .replace(/^X-Forwarded-Port: (\d+)$/, (all, port) =>
        ownPorts.includes(port) ? 'X-Forwarded-Port: <port>' : all,
      ),
  )
  return { ...request, head }
}

function normalizeLine(line: Line, { upstreamPort }: Side): Line {
  // Whether an idle connection to the upstream is met that it is just closing is a matter of moments: then it is tried anew.
  const { time, pid, hostname, duration_ms, upstream_ms, tries, ...rest } = line
  const asText = JSON.stringify(rest).replace(ID, '<id>').replaceAll(`:${upstreamPort}`, ':<upstream>')
  const normal = { ...JSON.parse(asText), timed: [typeof time, typeof duration_ms, typeof upstream_ms, typeof tries] }
  if (!CUT.has(normal.code)) return normal
  // What llhttp says differs from Node to Node, and how much had come when it said so is chance.
  return { ...normal, detail: typeof normal.detail, bytes_in: 0 }
}

/** Counters of requests and answers; times, sizes of the process and gauges of the moment are left out. */
export async function readCounters({ running, upstreamPort }: Side): Promise<string[]> {
  return (
    (await readMetrics(running))
      .split('\n')
      // Whether a stale connection is met is chance, and how much comes of a body that is broken off.
      .filter(
        (line) =>
          /^portico_/.test(line) &&
          !/_seconds|_timestamp|connections|request_body_bytes|request_size_bytes|reason="stale"/.test(line),
      )
      .map((line) => line.replaceAll(`:${upstreamPort}`, ':<upstream>'))
  )
}
