/** The controller of ingress-nginx as the manifests show it: its workload and its ConfigMap. */
import type { DiagnosticList } from '../../../base/diagnostics.ts'
import { printName } from '../../../base/resource-name.ts'
import { type ControllerWorkload, printResource, type Resource } from '../../../kubernetes/resource.ts'
import { keepFirst } from '../../../kubernetes/store.ts'
import {
  type Controller,
  type ControllerConfig,
  type ControllerFlags,
  NGINX_CONTROLLER,
} from '../../../settings/compatibility.ts'
import { findNearestObject } from '../../suggestion.ts'
import { readControllerConfig } from './controller-config.ts'
import { listServedClasses, readControllerFlags } from './controller-flags.ts'

export class NginxController implements Controller {
  readonly #all: readonly Resource[]
  readonly #allRefused: readonly Resource[]
  #kept: readonly Resource[] | undefined

  /** `refused` have errors. */
  constructor(resources: readonly Resource[], refused: readonly Resource[]) {
    this.#all = resources
    this.#allRefused = refused
  }

  /** Of several objects with one name the first counts, as everywhere. Most configurations have no controller, and are not asked for them. */
  get #resources(): readonly Resource[] {
    this.#kept ??= keepFirst(this.#all.filter(({ kind }) => KINDS.has(kind)))
    return this.#kept
  }

  get #refused(): readonly Resource[] {
    return this.#allRefused.filter(({ kind }) => kind === 'ConfigMap')
  }

  get #workloads(): readonly ControllerWorkload[] {
    return this.#resources.filter(isWorkload)
  }

  isServed(ingressClasses: readonly string[] | undefined): boolean {
    if (ingressClasses === undefined) return this.#all.some(isWorkload)
    return this.#all.some(
      (one) =>
        one.kind === 'IngressClass' &&
        one.controller === NGINX_CONTROLLER &&
        (ingressClasses.includes('*') || ingressClasses.includes(one.meta.name)),
    )
  }

  readFlags(
    written: string,
    ingressClasses: readonly string[] | undefined,
    diagnostics: DiagnosticList,
  ): ControllerFlags | undefined {
    const found = this.#workloads.filter((one) => this.#isMeant(one, written, ingressClasses))
    const [first, ...others] = found
    if (first === undefined) {
      if (written !== '') this.#reportLost(written, diagnostics)
      return undefined
    }
    if (others.length === 0) return readControllerFlags(first, this.#resources, this.#refused, diagnostics)
    // Whoever may write manifests could take the place of the controller otherwise, and with it what guards all routes.
    diagnostics.add('PORTICO_SET_CONTROLLER', `there are ${found.length} controllers whose place could be taken`, {
      severity: 'error',
      position: first.origin.locate(['metadata', 'name']),
      resource: printResource(first),
      help: 'name one in the setting controllerWorkload, or its class in ingressClasses; until then all routes answer 503, unless unsupportedGuards is serve',
      notes: others.map((other) => ({
        message: `${printResource(other)} is here`,
        position: other.origin.locate(['metadata', 'name']),
      })),
    })
    return { ...NO_FLAGS, name: `${found.length} controllers` }
  }

  readConfig(name: string, diagnostics: DiagnosticList): ControllerConfig | undefined {
    return readControllerConfig(this.#resources, this.#refused, name, diagnostics)
  }

  #isMeant(one: ControllerWorkload, written: string, ingressClasses: readonly string[] | undefined): boolean {
    if (written !== '') return printName(one.meta) === written
    if (ingressClasses === undefined || ingressClasses.includes('*')) return true
    return listServedClasses(one, this.#resources).some((name) => ingressClasses.includes(name))
  }

  #reportLost(written: string, diagnostics: DiagnosticList): void {
    const nearest = findNearestObject(written, this.#workloads)
    diagnostics.add('PORTICO_SET_FIELD_VALUE', `controllerWorkload: there is no controller ${written}`, {
      help:
        nearest === undefined ? 'write namespace/name of its Deployment or DaemonSet' : `did you mean "${nearest}"?`,
    })
  }
}

function isWorkload(one: Resource): one is ControllerWorkload {
  return one.kind === 'Deployment' || one.kind === 'DaemonSet'
}

/** The kinds that say something of a controller. */
const KINDS: ReadonlySet<string> = new Set(['ConfigMap', 'DaemonSet', 'Deployment', 'IngressClass'])

/** What keeps all requests out until somebody says which flags count. */
const NO_FLAGS = Object.freeze({ part: 'flag', count: 0, settings: new Map(), withheld: [], isRefusing: true } as const)
