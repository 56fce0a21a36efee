/** All that is known of the objects that a person names: their rows, the rows that have to do with them, and their problems. */
import type { CertificateRow } from '../lib/report/certificate-view.ts'
import type { EndpointRow } from '../lib/report/endpoint-view.ts'
import type { DiagnosticRow, ListenerRow, RouteRow, ServiceRow } from '../lib/report/views.ts'
import { isNamed, type Kind, viewOf } from './kind.ts'

export type DescribedKind = 'routes' | 'services' | 'endpoints' | 'certificates' | 'listeners'

/** The kinds that are read for a description, in the order in which it tells of them. */
export const DESCRIBED = ['routes', 'services', 'endpoints', 'certificates', 'listeners', 'diagnostics'] as const

type RowsByKind = {
  readonly routes: readonly RouteRow[]
  readonly services: readonly ServiceRow[]
  readonly endpoints: readonly EndpointRow[]
  readonly certificates: readonly CertificateRow[]
  readonly listeners: readonly ListenerRow[]
  readonly diagnostics: readonly DiagnosticRow[]
}

export type Description = RowsByKind &
  Readonly<{
    kind: DescribedKind
    /** The objects that were asked for, where that is not the rows themselves: `ingress/default/shop`. */
    objects: readonly string[]
    /** The rows that were named. */
    named: readonly unknown[]
  }>

/** Undefined where nothing has that name, nor a problem. */
export function describe(
  kind: DescribedKind,
  name: string,
  all: ReadonlyMap<Kind, readonly unknown[]>,
): Description | undefined {
  const rows = Object.fromEntries(DESCRIBED.map((one) => [one, all.get(one) ?? []])) as unknown as RowsByKind
  const named = (rows[kind] as readonly unknown[]).filter((row) => isNamed(viewOf(kind), row, name))
  const related = { ...relate(kind, named, rows), [kind]: named } as Omit<RowsByKind, 'diagnostics'>
  const resources = new Set([...listResources(kind, related), ...nameResources(kind, name)])
  const diagnostics = rows.diagnostics.filter(({ resource = '' }) => resources.has(resource))
  if (named.length === 0 && diagnostics.length === 0) return undefined
  return { kind, objects: listAsked(kind, name, named), named, ...related, diagnostics }
}

type Related = Omit<RowsByKind, 'diagnostics'>

const NOTHING: Related = { routes: [], services: [], endpoints: [], certificates: [], listeners: [] }

function relate(kind: DescribedKind, named: readonly unknown[], rows: RowsByKind): Related {
  switch (kind) {
    case 'routes': {
      const routes = named as readonly RouteRow[]
      const services = new Set(routes.flatMap(listServices))
      const hosts = new Set(routes.map(({ host }) => host))
      return {
        ...NOTHING,
        services: rows.services.filter((row) => services.has(nameOf(row))),
        endpoints: rows.endpoints.filter((row) => services.has(`${row.namespace}/${row.service}`)),
        certificates: rows.certificates.filter((row) => row.hosts.some((host) => hosts.has(host))),
      }
    }
    case 'services':
      return relateServices(new Set((named as readonly ServiceRow[]).map(nameOf)), rows)
    case 'endpoints':
      return relateServices(
        new Set((named as readonly EndpointRow[]).map(({ namespace, service }) => `${namespace}/${service}`)),
        rows,
      )
    case 'certificates': {
      const hosts = new Set((named as readonly CertificateRow[]).flatMap((row) => row.hosts))
      return { ...NOTHING, routes: rows.routes.filter(({ host }) => hosts.has(host)) }
    }
    case 'listeners': {
      const services = new Set((named as readonly ListenerRow[]).flatMap(({ service }) => service ?? []))
      return { ...relateServices(services, rows), routes: [] }
    }
  }
}

function relateServices(services: ReadonlySet<string>, rows: RowsByKind): Related {
  return {
    ...NOTHING,
    routes: rows.routes.filter((row) => listServices(row).some((service) => services.has(service))),
    services: rows.services.filter((row) => services.has(nameOf(row))),
    endpoints: rows.endpoints.filter((row) => services.has(`${row.namespace}/${row.service}`)),
    listeners: rows.listeners.filter(({ service }) => service !== undefined && services.has(service)),
  }
}

/** `default/web` of `default/web:80`, and each of `default/web:80=90, default/next:80=10`. */
function listServices({ backend }: RouteRow): readonly string[] {
  return backend.split(', ').map((one) => one.replace(/:.*$/, ''))
}

/** As diagnostics name the objects that the named rows come from; of a route the certificates of its host as well. */
function listResources(
  kind: DescribedKind,
  { routes, services, endpoints, certificates, listeners }: Related,
): readonly string[] {
  switch (kind) {
    case 'routes':
      return [
        ...routes.map(({ namespace, ingress }) => `Ingress ${namespace}/${ingress}`),
        ...certificates.map(({ name }) => `Secret ${name}`),
      ]
    case 'services':
      return [...services.map((row) => `Service ${nameOf(row)}`), ...endpoints.map(({ sourceName }) => sourceName)]
    case 'endpoints':
      return endpoints.map(({ sourceName }) => sourceName)
    case 'certificates':
      return certificates.map(({ name }) => `Secret ${name}`)
    case 'listeners':
      return listeners.flatMap(({ service }) => (service === undefined ? [] : [`Service ${service}`]))
  }
}

const OBJECT_KINDS: Readonly<Partial<Record<DescribedKind, string>>> = {
  routes: 'Ingress',
  services: 'Service',
  certificates: 'Secret',
}

/** Names the object itself too: Portico can have problems with an object without serving anything of it. */
function nameResources(kind: DescribedKind, name: string): readonly string[] {
  const object = OBJECT_KINDS[kind]
  return object === undefined ? [] : [`${object} ${qualify(name)}`]
}

/** Ingresses have several rows each, and other objects none where nothing of them is served. */
function listAsked(kind: DescribedKind, name: string, named: readonly unknown[]): readonly string[] {
  const object = OBJECT_KINDS[kind]?.toLowerCase()
  if (named.length === 0) return object === undefined ? [] : [`${object}/${qualify(name)}`]
  if (kind !== 'routes') return []
  const owners = (named as readonly RouteRow[]).filter(
    ({ namespace, ingress }) => name === ingress || name === `${namespace}/${ingress}`,
  )
  return [...new Set(owners.map(({ namespace, ingress }) => `ingress/${namespace}/${ingress}`))]
}

function qualify(name: string): string {
  return name.includes('/') ? name : `default/${name}`
}

function nameOf({ namespace, name }: Pick<ServiceRow, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`
}
