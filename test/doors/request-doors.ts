/** One request through every door: the fast lane and node:http, plain and over TLS, and HTTP/2; and what came of it. */
import type { Test } from 'tap'
import { connectRawH2, H2, readAnswer } from '../helpers/h2-client.ts'
import { connectRaw, connectRawTls, findAll } from '../helpers/raw-client.ts'
import { makeSecretYaml, ONE_ROUTE, type RunningGateway, runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { type Answer as EndpointAnswer, Recorder } from './recorder.ts'

type Pairs = readonly (readonly [name: string, value: string])[]

export type DoorRequest = Readonly<{
  method?: string
  target?: string
  /** `null`: none is sent. */
  host?: string | null
  /** HTTP/2 alone. */
  scheme?: string
  fields?: Pairs
  /** In HTTP/1 it travels in chunks. */
  body?: string
  trailers?: Pairs
}>

export type Outcome = Readonly<{
  /** A number; or how the stream was reset. */
  answer: number | string
  /** Of an answer that the gateway made. */
  code?: string | undefined
  allow?: string | undefined
  contentLength?: string | undefined
  /** Request line, fields of the client and trailers, where the upstream got all of it. */
  upstream: readonly string[]
}>

/** What the gateway says of the client's connection and of the request differs from door to door. */
const OWN_FIELDS = /^(host|x-request-id|x-forwarded-|x-real-ip|transfer-encoding|content-length)/i

/** An answer as it came: fields as names and values in turn. */
export type Answer = Readonly<{ status: number; headers: readonly string[]; body: string }>

export type Doors = {
  readonly names: readonly string[]
  play(door: string, request: DoorRequest): Promise<Outcome>
  /** The same, with all of the answer. */
  ask(door: string, request: DoorRequest): Promise<Partial<Answer> & Pick<Outcome, 'upstream'>>
}

/** `more`: manifests beside the one route to the endpoint, whose answers are `answers` by path; `services` of them lead to it too. */
export async function startDoors(
  t: Test,
  flags: Readonly<Record<string, string>> = {},
  more: string = '',
  answers: Readonly<Record<string, EndpointAnswer>> = {},
  services: readonly string[] = [],
): Promise<Doors> {
  const recorder = new Recorder(answers)
  const port = await recorder.start()
  t.teardown(() => recorder.close())
  const endpoints = Object.fromEntries(['web', ...services].map((name) => [name, [port]]))
  const manifests = ONE_ROUTE + more + (await makeSecretYaml('secure', ['gw.test']))
  const [lane, node] = await Promise.all(
    ['true', 'false'].map((enabled) =>
      runGateway(t, manifests, { endpoints, flags: { 'fastLane.enabled': enabled, ...flags } }),
    ),
  )
  const doors: Record<string, (request: DoorRequest) => Promise<Answer | string>> = {
    lane: (request) => askHttp1(lane!, request, false),
    'lane over TLS': (request) => askHttp1(lane!, request, true),
    'node:http': (request) => askHttp1(node!, request, false),
    'node:http over TLS': (request) => askHttp1(node!, request, true),
    'HTTP/2': (request) => askHttp2(lane!, request),
  }
  const go = async (door: string, request: DoorRequest) => {
    const before = recorder.requests.length
    const answer = await doors[door]!(request)
    await until(() => lane!.gateway.inFlight + node!.gateway.inFlight === 0 && recorder.isQuiet)
    const upstream = recorder.requests
      .slice(before)
      .filter(({ complete }) => complete)
      .flatMap(({ head, body, trailers }) => [
        ...head.filter((line) => !OWN_FIELDS.test(line)).map(lowerName),
        ...(body === '' ? [] : [body]),
        ...trailers.map(lowerName),
      ])
    return { answer, upstream }
  }
  return {
    names: Object.keys(doors),
    async play(door, request) {
      const { answer, upstream } = await go(door, request)
      return { ...(typeof answer === 'string' ? { answer } : describe(answer)), upstream }
    },
    async ask(door, request) {
      const { answer, upstream } = await go(door, request)
      return { ...(typeof answer !== 'string' && answer), upstream }
    },
  }
}

function lowerName(line: string): string {
  return line.replace(/^[^ :]+(?=:)/, (name) => name.toLowerCase())
}

/** The bytes of a request. */
export function printRequest(request: DoorRequest): string {
  const { method = 'GET', target = '/a', host = 'gw.test', fields = [], body, trailers } = request
  const lines = (pairs: Pairs) => pairs.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const hasBody = body !== undefined || trailers !== undefined
  const head = `${method} ${target} HTTP/1.1\r\n${host === null ? '' : `Host: ${host}\r\n`}${lines(fields)}`
  if (!hasBody) return `${head}\r\n`
  const chunk = body ? `${body.length.toString(16)}\r\n${body}\r\n` : ''
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunk}0\r\n${lines(trailers ?? [])}\r\n`
}

async function askHttp1(gateway: RunningGateway, request: DoorRequest, tls: boolean): Promise<Answer> {
  const client = tls ? await connectRawTls(gateway.https, { servername: 'gw.test' }) : await connectRaw(gateway.http)
  const response = await client.send(printRequest(request)).response({ headOnly: request.method === 'HEAD' })
  client.destroy()
  return { status: response.status, headers: response.headers, body: response.body.toString('latin1') }
}

async function askHttp2(gateway: RunningGateway, request: DoorRequest): Promise<Answer | string> {
  const { method = 'GET', target = '/a', host = 'gw.test', scheme = 'https', fields = [], body, trailers } = request
  const isConnect = method === 'CONNECT'
  const pseudo: [string, string][] = [[':method', method]]
  if (!isConnect) pseudo.push([':scheme', scheme], [':path', target])
  if (host !== null) pseudo.push([':authority', host])
  const hasBody = body !== undefined || trailers !== undefined
  const raw = await connectRawH2(gateway.https, { tls: true })
  raw.headers(1, [...pseudo, ...fields], !hasBody)
  if (hasBody) raw.data(1, Buffer.from(body ?? '', 'latin1'), trailers === undefined)
  if (trailers) raw.headers(1, trailers, true)
  const end = await raw.find(({ type, flags, streamId }) => {
    if (type === H2.GOAWAY) return true
    return streamId === 1 && (type === H2.RST_STREAM || (type <= H2.HEADERS && (flags & H2.END_STREAM) !== 0))
  })
  const isAnswered = raw.frames.some(({ type, streamId }) => type === H2.HEADERS && streamId === 1)
  raw.socket.destroy()
  if (end.type === H2.GOAWAY) return `GOAWAY ${end.payload.readUInt32BE(4)}`
  if (!isAnswered) return `reset ${end.payload.readUInt32BE()}`
  // HEAD decides that the length is told without a body; all other methods read alike.
  const response = await readAnswer(raw.frames, method === 'HEAD' ? 'HEAD' : 'GET')
  return { status: response.status, headers: response.rawHeaders, body: response.body.toString('latin1') }
}

function describe({ status, headers, body }: Answer): Omit<Outcome, 'upstream'> {
  const code = /"code":"(\w+)"/.exec(body)?.[1]
  return {
    answer: status,
    ...(code !== undefined && { code }),
    ...(findAll(headers, 'allow')[0] !== undefined && { allow: findAll(headers, 'allow')[0] }),
    ...(body === '' && { contentLength: findAll(headers, 'content-length')[0] }),
  }
}
