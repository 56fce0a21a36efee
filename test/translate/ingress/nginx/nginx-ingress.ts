/** Ingresses with annotations of ingress-nginx: as text, translated, and served at all doors. All come to the same in Portico's own. */
import type { Test } from 'tap'
import type { Diagnostic } from '../../../../lib/base/diagnostics.ts'
import type { Route } from '../../../../lib/model/route.ts'
import { findIngressTable } from '../../../../lib/model/route-table.ts'
import type { Answer } from '../../../doors/recorder.ts'
import { type DoorRequest, type Doors, startDoors } from '../../../doors/request-doors.ts'
import { findAll } from '../../../helpers/raw-client.ts'
import { translateText } from '../../manifests.ts'
import { rewriteText } from '../../migrate/rewrite-text.ts'

export type WrittenIngress = Readonly<{
  /** By their names without the domain; a name with a domain stays as it is. */
  nginx: Readonly<Record<string, string>>
  /** `NAME.test`, where it is left out. */
  host?: string
  /** `/`, where they are left out. */
  paths?: readonly (readonly [path: string, type?: string, service?: string])[]
  namespace?: string
  created?: string
  tls?: readonly string[]
  /** More of `spec`, as a flow mapping without braces. */
  more?: string
}>

/** By the names of the Ingresses. */
export type WrittenIngresses = Readonly<Record<string, WrittenIngress>>

export function printIngresses(ingresses: WrittenIngresses): string {
  return Object.entries(ingresses).map(printIngress).join('---\n')
}

function printIngress([name, written]: readonly [string, WrittenIngress]): string {
  const { nginx, host = `${name}.test`, paths = [['/']], namespace, created, tls, more } = written
  const annotations = Object.fromEntries(
    Object.entries(nginx).map(([key, value]) => [
      key.includes('/') ? key : `nginx.ingress.kubernetes.io/${key}`,
      value,
    ]),
  )
  const rules = paths.map(([path, pathType = 'Prefix', service = 'web']) => ({
    path,
    pathType,
    backend: { service: { name: service, port: { number: 80 } } },
  }))
  const meta = { name, annotations, ...(namespace && { namespace }), ...(created && { creationTimestamp: created }) }
  const secured = tls === undefined ? '' : `tls: [{hosts: ${JSON.stringify(tls)}}], `
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: ${JSON.stringify(meta)}
spec: {${secured}${more === undefined ? '' : `${more}, `}rules: [{host: ${JSON.stringify(host)}, http: {paths: ${JSON.stringify(rules)}}}]}
`
}

/** The Service of a name, whose endpoint a setting or an annotation names. */
export function printService(name: string, endpoints: string = '127.0.0.1:80'): string {
  return `apiVersion: v1
kind: Service
metadata: {name: ${name}, annotations: {portico.dev/endpoints: "${endpoints}"}}
spec: {ports: [{port: 80}]}
`
}

export type TranslatedNginx = Readonly<{
  diagnostics: readonly Diagnostic[]
  /** Of all hosts, `host path` and what they do, in order. */
  routes: readonly Route[]
  hosts: readonly string[]
}>

export function translateNginx(ingresses: WrittenIngresses, more: string = ''): TranslatedNginx {
  const text = `${printIngresses(ingresses)}---\n${printService('web')}${more}`
  const { model, diagnostics } = translateText(text)
  rewriteText(text)
  const { hosts } = findIngressTable(model)
  return { diagnostics, routes: hosts.flatMap(({ routes }) => routes), hosts: hosts.map(({ host }) => host) }
}

/** What one Ingress with the annotations comes to. */
export function translateOne(nginx: WrittenIngress['nginx'], more: string = ''): TranslatedNginx & { route: Route } {
  const found = translateNginx({ a: { nginx } }, more)
  return { ...found, route: found.routes[0]! }
}

/** Options of a filter of the route. */
export function optionsOf(route: Route, filter: string): Readonly<Record<string, unknown>> | undefined {
  return route.filters?.find(({ name }) => name === filter)?.options
}

/** The Service `web` has an endpoint that records, whose answers are `answers` by path; so do `services`, which `more` has. */
export function startNginx(
  t: Test,
  ingresses: WrittenIngresses,
  more: string = '',
  answers: Readonly<Record<string, Answer>> = {},
  flags: Readonly<Record<string, string>> = {},
  services: readonly string[] = [],
): Promise<Doors> {
  rewriteText(`${printIngresses(ingresses)}---\n${printService('web')}${more === '' ? '' : `\n---\n${more}`}`)
  return startDoors(
    t,
    flags,
    `---\n${printIngresses(ingresses)}---\n${more}${more === '' ? '' : '\n---\n'}`,
    answers,
    services,
  )
}

export type Asked = Readonly<{
  status: number
  field: (name: string) => readonly string[]
  body: string
  upstream: readonly string[]
}>

/** Asks the host `NAME.test`, where the request names none. */
export async function askHost(doors: Doors, door: string, name: string, request: DoorRequest = {}): Promise<Asked> {
  const {
    status = 0,
    headers = [],
    body = '',
    upstream,
  } = await doors.ask(door, {
    host: `${name}.test`,
    target: '/',
    ...request,
  })
  return { status, field: (field) => findAll(headers, field), body, upstream }
}
