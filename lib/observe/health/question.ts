/** What is asked of an endpoint's health, and what came of it. */
import type { StatusRange } from '../../base/status-ranges.ts'
import type { EndpointTls } from '../../model/upstream.ts'

/** How TLS is spoken where a probe speaks it. */
export type ProbeTls = Readonly<{
  /** In SNI and certificate; `''` sends none. */
  serverName: string
  verify: boolean
  /** Beside the authorities of the system; `''` is none. */
  caFile: string
  /** What a Secret has for the endpoint. */
  secret: EndpointTls | undefined
}>

type Place = Readonly<{ address: string; port: number }>

export type HttpProbe = Place &
  Readonly<{
    type: 'http'
    path: string
    headers: readonly (readonly [name: string, value: string])[]
    tls: ProbeTls | undefined
    /** Answers of good health. */
    statuses: readonly StatusRange[]
    /** Follows redirects to the same host, as the kubelet does; one to another host is an answer like any other. */
    followsRedirects: boolean
  }>
export type TcpProbe = Place & Readonly<{ type: 'tcp' }>
export type GrpcProbe = Place & Readonly<{ type: 'grpc'; service: string }>
export type Probe = HttpProbe | TcpProbe | GrpcProbe

/** `detail` is for people: `GET /healthz: 503`. */
export type ProbeResult = Readonly<{ isOk: boolean; detail: string }>
