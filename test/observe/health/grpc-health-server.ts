/** A gRPC server, by the reference implementation, that serves grpc.health.v1.Health. */
import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { Test } from 'tap'

export type GrpcHealthServer = {
  readonly port: number
  /** ServingStatus by service: 1 is SERVING. A service that is not there is NOT_FOUND. */
  readonly statuses: Map<string, number>
  readonly asked: string[]
}

type Request = { service: string }

const CHECK = {
  path: '/grpc.health.v1.Health/Check',
  requestStream: false,
  responseStream: false,
  requestSerialize: ({ service }: Request) => Buffer.from(service),
  // Field 1, a string of less than 128 bytes.
  requestDeserialize: (bytes: Buffer): Request => ({ service: bytes.subarray(2).toString() }),
  // Field 1, an enum; 0 is left out.
  responseSerialize: (value: number) => Buffer.from(value === 0 ? [] : [0x08, value]),
  responseDeserialize: (bytes: Buffer) => bytes[1] ?? 0,
} as const

/** `isHealth` false: it serves something else. */
export async function startGrpcHealthServer(t: Test, isHealth = true): Promise<GrpcHealthServer> {
  const server = new Server()
  const statuses = new Map<string, number>([['', 1]])
  const asked: string[] = []
  const check: handleUnaryCall<Request, number> = ({ request }, callback) => {
    asked.push(request.service)
    const value = statuses.get(request.service)
    if (value === undefined) callback({ code: status.NOT_FOUND, details: 'no such service' })
    else callback(null, value)
  }
  const path = isHealth ? CHECK.path : '/other.Service/Check'
  server.addService({ check: { ...CHECK, path } }, { check })
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  t.teardown(() => server.forceShutdown())
  return { port, statuses, asked }
}
