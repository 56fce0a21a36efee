/** Requests to an Ingress that has annotations of filters, through all doors. */
import type { Test } from 'tap'
import type { Answer } from '../doors/recorder.ts'
import { type DoorRequest, type Doors, startDoors } from '../doors/request-doors.ts'
import { findAll } from '../helpers/raw-client.ts'

/** The host of the Ingress that has the filters; all other hosts go to the same endpoint without any. */
export const HOST = 'filtered.test'

export type Filtered = Readonly<{
  status: number
  /** Values of a field of the answer. */
  field: (name: string) => readonly string[]
  body: string
  /** Request line and fields as the endpoint got them; empty: it got none. */
  upstream: readonly string[]
}>

/** `annotations` by their names without the domain, on an Ingress of HOST whose one path is `path`; `more` are further manifests, `answers` those of the endpoint by path. */
export function startFiltered(
  t: Test,
  annotations: Readonly<Record<string, string>>,
  path: string = '/',
  more: string = '',
  answers: Readonly<Record<string, Answer>> = {},
): Promise<Doors> {
  const own = Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value])
  return startDoors(
    t,
    {},
    `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: filtered, annotations: ${JSON.stringify(Object.fromEntries(own))}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: "${path}", pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
${more}
`,
    answers,
  )
}

export async function ask(doors: Doors, door: string, request: DoorRequest): Promise<Filtered> {
  const { status = 0, headers = [], body = '', upstream } = await doors.ask(door, { host: HOST, ...request })
  return { status, field: (name) => findAll(headers, name), body, upstream }
}
