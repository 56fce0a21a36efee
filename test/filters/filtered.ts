/** Requests to an Ingress that has annotations of filters, through all doors. */
import type { Test } from 'tap'
import type { Route } from '../../lib/model/route.ts'
import { findIngressTable } from '../../lib/model/route-table.ts'
import type { Answer } from '../doors/recorder.ts'
import { type DoorRequest, type Doors, startDoors } from '../doors/request-doors.ts'
import { findAll } from '../helpers/raw-client.ts'
import { type TranslatedText, translateText } from '../translate/manifests.ts'

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

/** By their names without the domain. */
type Annotations = object

/** As a flow mapping of YAML. */
function printAnnotations(annotations: Annotations): string {
  return JSON.stringify(
    Object.fromEntries(Object.entries(annotations).map(([name, value]) => [`portico.dev/${name}`, value])),
  )
}

/** All requests go through the filters to the Service `web`, whose endpoints a setting names. */
export function printFiltered(annotations: Annotations): string {
  return `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: ${printAnnotations(annotations)}}
spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}
`
}

/** What is read from the annotations of an Ingress whose one backend is there. */
export function translateFiltered(
  annotations: Annotations,
): Pick<TranslatedText, 'diagnostics'> & { route: Route | undefined } {
  const { model, diagnostics } = translateText(`
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: ${printAnnotations(annotations)}}
spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: web, annotations: {portico.dev/endpoints: "127.0.0.1:80"}}
spec: {ports: [{port: 80}]}
`)
  return { route: findIngressTable(model).defaultRoute, diagnostics }
}

/** An Ingress of HOST with one path to the Service `web`, as a document of startDoors. */
export function printOfHost(
  annotations: Annotations,
  path: string = '/',
  pathType: 'Prefix' | 'ImplementationSpecific' = 'Prefix',
): string {
  return `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: filtered, annotations: ${printAnnotations(annotations)}}
spec: {rules: [{host: ${HOST}, http: {paths: [{path: "${path}", pathType: ${pathType}, backend: {service: {name: web, port: {number: 80}}}}]}}]}
---
`
}

/** `annotations` on an Ingress of HOST whose one path is `path`; `more` are further manifests, `answers` those of the endpoint by path. */
export function startFiltered(
  t: Test,
  annotations: Annotations,
  path: string = '/',
  more: string = '',
  answers: Readonly<Record<string, Answer>> = {},
  pathType: 'Prefix' | 'ImplementationSpecific' = 'Prefix',
): Promise<Doors> {
  return startDoors(t, {}, `${printOfHost(annotations, path, pathType)}${more}\n`, answers)
}

export async function ask(doors: Doors, door: string, request: DoorRequest): Promise<Filtered> {
  const { status = 0, headers = [], body = '', upstream } = await doors.ask(door, { host: HOST, ...request })
  return { status, field: (name) => findAll(headers, name), body, upstream }
}
