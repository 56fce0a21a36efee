/** A whole gateway in this process, over manifests given as text, on free ports of 127.0.0.1; and the clients that ask it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { createGateway, type Gateway, type Provider } from '../../lib/index.ts'
import type { Log } from '../../lib/telemetry/log.ts'
import { makeCertificate } from './certificates.ts'
import { type Echo, type EchoUpstream, startEchoUpstream } from './echo-upstream.ts'
import { FAST_LANE } from './fast-lane.ts'
import { giveCertificate } from './kept-certificate.ts'
import { connectRaw, connectRawTls, type RawResponse } from './raw-client.ts'

/** Everything goes to the one Service `web`. */
export const ONE_ROUTE = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]
`

export type RunningGateway = {
  readonly gateway: Gateway
  readonly http: number
  readonly https: number
  /** 0 where it is off, as it is unless a flag says otherwise. */
  readonly admin: number
  /** Writes other manifests in place of those it has, and waits until they serve. */
  change(manifests: string): Promise<void>
}

export type RunningOptions = {
  /** Endpoints of Services in the default namespace (`web`, `web:http`), as the setting `endpoints` has them. */
  endpoints?: Readonly<Record<string, readonly number[]>>
  flags?: Readonly<Record<string, string>>
  /** Variables of the environment; left out: none. */
  environment?: Readonly<Record<string, string>>
  /** Where to log; left out: nowhere. */
  log?: Log
}

/** `sources` are more files to read, as given with `-f`; `providers` are read beside the files. */
export async function runGateway(
  t: Test,
  manifests: string,
  options: RunningOptions & { sources?: readonly string[]; providers?: readonly Provider[] } = {},
): Promise<RunningGateway> {
  const { endpoints = {}, flags = {}, environment = {}, sources = [], providers = [], log } = options
  const folder = mkdtempSync(join(tmpdir(), 'portico-running-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'manifests.yaml')
  writeFileSync(file, manifests)
  await giveCertificate(join(folder, 'data'))
  const overrides = Object.entries(endpoints).map(
    ([service, ports]) => `default/${service}=${ports.map((port) => `127.0.0.1:${port}`).join(',')}`,
  )
  const address = '127.0.0.1'
  const gateway = await createGateway({
    sources: [file, ...sources],
    providers,
    environment,
    ...(log && { log }),
    flags: {
      'http.port': '0',
      'https.port': '0',
      'http.address': address,
      'https.address': address,
      'admin.enabled': 'false',
      'fastLane.enabled': String(FAST_LANE),
      'log.level': 'silent',
      watch: 'false',
      workers: '0',
      dataDir: join(folder, 'data'),
      ...(overrides.length > 0 && { endpoints: overrides.join(' ') }),
      ...flags,
    },
  })
  await gateway.start()
  t.teardown(async () => {
    // The second call cuts what the first would wait for.
    void gateway.stop()
    await gateway.stop()
  })
  return {
    gateway,
    http: gateway.ports.http ?? 0,
    https: gateway.ports.https ?? 0,
    admin: gateway.ports.admin ?? 0,
    async change(text) {
      writeFileSync(file, text)
      await gateway.reload()
    },
  }
}

/** The metrics page of the admin listener, which a flag must have switched on. */
export function readMetrics({ admin }: RunningGateway): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get({ port: admin, host: '127.0.0.1', path: '/metrics', agent: false }, (response) => {
      text(response).then(resolve, reject)
    })
    request.on('error', reject)
  })
}

/** An echo upstream for each name, closed with the test. */
export async function startEchoes<N extends string>(
  t: Test,
  ...names: readonly N[]
): Promise<Readonly<Record<N, EchoUpstream>>> {
  const started = await Promise.all(names.map((name) => startEchoUpstream({ name })))
  t.teardown(() => Promise.all(started.map((upstream) => upstream.close())))
  return Object.fromEntries(started.map((upstream) => [upstream.name, upstream])) as Record<N, EchoUpstream>
}

/** What `runGateway` takes as endpoints: each Service leads to the upstream of its name. */
export function endpointsOf(upstreams: Readonly<Record<string, EchoUpstream>>): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(upstreams).map(([name, { port }]) => [name, [port]]))
}

export type Visit = {
  readonly response: RawResponse
  readonly status: number
  /** What the upstream received; undefined where the gateway answered itself. */
  readonly echo: Echo | undefined
  /** The upstream that answered, else the status. */
  readonly answeredBy: string | number
  /** `DNS:` names of the certificate, in order; empty on plain HTTP. */
  readonly names: readonly string[]
  /** Redirects that were followed. */
  readonly redirects: readonly string[]
}

export type VisitOptions = { method?: string; fields?: string; follow?: boolean; servername?: string; host?: string }

/**
 * Asks for a URL whose host is sent as Host and as SNI, whatever its port; redirects are followed to the gateway itself
 * where `follow` is true, as the client of ingress-controller-conformance does.
 */
export async function visit(running: RunningGateway, url: string, options: VisitOptions = {}): Promise<Visit> {
  const { method = 'GET', fields = '', follow = false } = options
  const redirects: string[] = []
  for (let next = url; ; ) {
    const [, scheme, authority = '', path = '/'] = /^(https?):\/\/([^/]*)(\/.*)?$/.exec(next) ?? []
    const hostname = authority.replace(/:\d+$/, '')
    const client =
      scheme === 'https'
        ? await connectRawTls(running.https, { servername: options.servername ?? hostname })
        : await connectRaw(running.http)
    try {
      const names = scheme === 'https' ? namesOf(client.socket as TLSSocket) : []
      const host = options.host ?? authority
      const body = /^(POST|PUT|PATCH)$/.test(method) ? 'Content-Length: 0\r\n' : ''
      client.send(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${body}${fields}\r\n`)
      const response = await client.response({ headOnly: method === 'HEAD' })
      const location = response.header('location')
      if (follow && response.status === 308 && location !== undefined && redirects.length < 5) {
        redirects.push(location)
        next = location
        continue
      }
      const name = response.header('x-echo')
      const echo = name === undefined || method === 'HEAD' ? undefined : JSON.parse(response.body.toString())
      return { response, status: response.status, echo, answeredBy: name ?? response.status, names, redirects }
    } finally {
      client.destroy()
    }
  }
}

function namesOf(socket: TLSSocket): readonly string[] {
  return (socket.getPeerCertificate().subjectaltname ?? '')
    .split(', ')
    .filter((name) => name.startsWith('DNS:'))
    .map((name) => name.slice(4))
}

/** A `kubernetes.io/tls` Secret as a YAML document. */
export async function makeSecretYaml(
  name: string,
  names: readonly string[],
  options: { namespace?: string; type?: string; notAfter?: Date } = {},
): Promise<string> {
  const { namespace = 'default', type = 'kubernetes.io/tls', notAfter } = options
  const notBefore = notAfter && new Date(notAfter.getTime() - 86_400_000)
  const pem = await makeCertificate({ names, ...(notAfter && notBefore && { notBefore, notAfter }) })
  const stringData = { 'tls.crt': pem.certificate, 'tls.key': pem.key }
  return `---\n${JSON.stringify({ apiVersion: 'v1', kind: 'Secret', type, metadata: { name, namespace }, stringData })}\n`
}
