/** Portico as a candidate: this build or another, on this Node or another. */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Candidate, Place } from '../candidate.ts'
import { Child, run } from '../child.ts'
import type { Scenario, ScenarioRoute } from '../scenario.ts'

/** So many Ingresses go into one file. */
const INGRESSES_PER_FILE = 100

/** `main` is a build's `bin/portico`; `label` tells the candidates of one benchmark apart. */
export async function findPortico(main: string, node: string, label: string): Promise<Candidate> {
  const version = (await run(node, ['--version'], 'any', 10_000)).trim()
  return {
    name: `portico${label}`,
    version: `Node ${version.slice(1)}`,
    serveFolder: (folder, place) => launch(main, node, folder, place, ['--no-https', '--no-access-log']),
    start: async (scenario, place) => {
      const folder = join(place.folder, 'manifests')
      const manifests = new Manifests(folder, scenario, place)
      const flags = scenario.tls
        ? ['--https-address', '127.0.0.1', '--https-port', String(place.https), '--no-redirect']
        : ['--no-https']
      // A default needs no flag, so builds that do not know this one can be compared.
      if (scenario.workers !== 1) flags.push('--set', `workers=${scenario.workers}`)
      if (!scenario.accessLog) flags.push('--no-access-log')
      const child = launch(main, node, folder, place, flags)
      return { child, place, reload: async (next) => manifests.write(next) }
    },
  }
}

function launch(main: string, node: string, folder: string, place: Place, flags: readonly string[]): Child {
  const ports = ['--http-address', '127.0.0.1', '--http-port', String(place.http), '--admin-port', String(place.admin)]
  return new Child(node, [main, 'run', '-f', folder, '--data-dir', place.folder, ...ports, ...flags], {
    core: place.core,
    ...(place.descriptors !== undefined && { descriptors: place.descriptors }),
    output: join(place.folder, 'access.log'),
    errors: join(place.folder, 'output'),
  })
}

/** A scenario as Ingresses, a Service and a Secret; a file is written only where it changed. */
class Manifests {
  readonly #folder: string
  readonly #written = new Map<string, string>()

  constructor(folder: string, scenario: Scenario, place: Place) {
    this.#folder = folder
    // An earlier start may have had more.
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    if (scenario.tls) this.#put('secret.yaml', printSecret(place))
    this.write(scenario)
  }

  write(scenario: Scenario): void {
    const { routes, endpoints, tls } = scenario
    for (let at = 0; at < routes.length; at += INGRESSES_PER_FILE) {
      const documents = routes.slice(at, at + INGRESSES_PER_FILE).map((route) => printIngress(route, tls))
      this.#put(`ingress-${at / INGRESSES_PER_FILE}.yaml`, documents.join('---\n'))
    }
    this.#put('service.yaml', printService(endpoints))
  }

  #put(name: string, text: string): void {
    if (this.#written.get(name) === text) return
    this.#written.set(name, text)
    // Moved into place, so that no half file is read; the other name is none of a manifest.
    const half = join(this.#folder, `${name}.new`)
    writeFileSync(half, text)
    renameSync(half, join(this.#folder, name))
  }
}

function printIngress({ host, paths, annotations = {} }: ScenarioRoute, tls: boolean): string {
  const lines = paths.map(
    (path) => `          - path: ${path}
            pathType: Prefix
            backend: { service: { name: up, port: { number: 80 } } }
`,
  )
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: ${host}
  annotations: ${JSON.stringify(annotations)}
spec:
${tls ? `  tls: [{ hosts: [${host}], secretName: bench }]\n` : ''}  rules:
    - host: ${host}
      http:
        paths:
${lines.join('')}`
}

function printService(endpoints: readonly string[]): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: up
  annotations:
    portico.dev/endpoints: ${endpoints.join(', ')}
spec:
  selector: { app: up }
  ports: [{ port: 80 }]
`
}

function printSecret(place: Place): string {
  return `apiVersion: v1
kind: Secret
metadata:
  name: bench
type: kubernetes.io/tls
data:
  tls.crt: ${readFileSync(place.certificate, 'base64')}
  tls.key: ${readFileSync(place.key, 'base64')}
`
}
