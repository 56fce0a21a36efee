/** Manifests in bulk: what a large installation's folder looks like, the same for the same options. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export type ManifestOptions = Readonly<{
  files: number
  ingressesPerFile: number
  pathsPerIngress: number
  /** Different hosts in all; the Ingresses take turns on them. Default: one an Ingress. */
  hosts?: number
  /** Whether each Ingress has a Service of its own (default), or all those of one file share one. */
  services?: 'own' | 'shared'
  /** Where every Service listens, as the annotation portico.dev/endpoints has it. Default `127.0.0.1:9001`. */
  endpoints?: string
  /** The names of Secrets that the tls section of every Ingress takes turns on; none: no tls section. */
  secrets?: readonly string[]
}>

/** Writes the files into `folder`, which is made where it is not there; answers their paths in the order of their numbers. */
export function writeManifests(folder: string, options: ManifestOptions): readonly string[] {
  mkdirSync(folder, { recursive: true })
  return Array.from({ length: options.files }, (_, index) => {
    const path = join(folder, `team-${String(index).padStart(5, '0')}.yaml`)
    writeFileSync(path, printManifest(index, options))
    return path
  })
}

/** The text of file `index`; another `revision` moves the first path of its first Ingress. */
export function printManifest(index: number, options: ManifestOptions, revision = 0): string {
  const { ingressesPerFile, services = 'own' } = options
  const documents: string[] = []
  if (services === 'shared') documents.push(printService(nameOf(index), options))
  for (let number = 0; number < ingressesPerFile; number++) {
    const ingress = index * ingressesPerFile + number
    const service = services === 'shared' ? nameOf(index) : nameOf(ingress)
    if (services === 'own') documents.push(printService(service, options))
    documents.push(printIngress(ingress, service, options, number === 0 ? revision : 0))
  }
  return documents.join('---\n')
}

/** The host of Ingress `ingress`, counted over all files. */
export function hostOf(ingress: number, { files, ingressesPerFile, hosts }: ManifestOptions): string {
  return `${nameOf(ingress % (hosts ?? files * ingressesPerFile))}.example.com`
}

/** The path `number` of Ingress `ingress`; Ingresses on one host have paths of their own. */
export function pathOf(ingress: number, number: number, options: ManifestOptions, revision = 0): string {
  const turn = options.hosts === undefined ? 0 : Math.floor(ingress / options.hosts)
  const part = `${PARTS[number % PARTS.length]}${number < PARTS.length ? '' : `-${number}`}`
  const steps = [turn === 0 ? '' : nameOf(turn), part, revision === 0 ? '' : `v${revision}`]
  return `/${steps.filter((step) => step !== '').join('/')}`
}

const PARTS = [
  '',
  'api/v1/orders',
  'api/v1/customers',
  'api/v2/orders',
  'static/assets',
  'login',
  'admin',
  'health',
  'search',
  'webhooks',
]

function nameOf(index: number): string {
  return `app-${String(index).padStart(5, '0')}`
}

function printService(name: string, { endpoints = '127.0.0.1:9001' }: ManifestOptions): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: ${name}
  namespace: shop
  labels:
    app.kubernetes.io/name: ${name}
    app.kubernetes.io/part-of: shop
  annotations:
    portico.dev/endpoints: "${endpoints}"
spec:
  selector:
    app.kubernetes.io/name: ${name}
  ports:
    - name: http
      port: 80
      targetPort: 8080
`
}

function printIngress(ingress: number, service: string, options: ManifestOptions, revision: number): string {
  const { pathsPerIngress, secrets = [] } = options
  const host = hostOf(ingress, options)
  const tls =
    secrets.length === 0
      ? ''
      : `  tls:
    - hosts:
        - ${host}
      secretName: ${secrets[ingress % secrets.length]}
`
  const paths = Array.from(
    { length: pathsPerIngress },
    (_, number) => `          - path: ${pathOf(ingress, number, options, number === 0 ? revision : 0)}
            pathType: ${number % 3 === 2 ? 'Exact' : 'Prefix'}
            backend:
              service:
                name: ${service}
                port:
                  number: 80
`,
  )
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: ${nameOf(ingress)}
  namespace: shop
  labels:
    app.kubernetes.io/name: ${service}
    app.kubernetes.io/part-of: shop
spec:
  ingressClassName: portico
${tls}  rules:
    - host: ${host}
      http:
        paths:
${paths.join('')}`
}
