/** The controller of ingress-nginx as the manifests show it: its workload and its ConfigMap. */
import type { DiagnosticList } from '../../../base/diagnostics.ts'
import { compareText } from '../../../base/order.ts'
import { printName } from '../../../base/resource-name.ts'
import { type ControllerWorkload, printResource, type Resource } from '../../../kubernetes/resource.ts'
import {
  type Controller,
  type ControllerConfig,
  type ControllerFlags,
  NGINX_CONTROLLER,
} from '../../../settings/compatibility.ts'
import { readControllerConfig } from './controller-config.ts'
import { listServedClasses, readControllerFlags } from './controller-flags.ts'

export class NginxController implements Controller {
  readonly #resources: readonly Resource[]
  readonly #workloads: readonly ControllerWorkload[]

  constructor(resources: readonly Resource[]) {
    this.#resources = resources
    this.#workloads = resources
      .filter((one): one is ControllerWorkload => one.kind === 'Deployment' || one.kind === 'DaemonSet')
      .sort((a, b) => compareText(printName(a.meta), printName(b.meta)))
  }

  isServed(ingressClasses: readonly string[] | undefined): boolean {
    if (ingressClasses === undefined) return this.#workloads.length > 0
    return this.#resources.some(
      (one) =>
        one.kind === 'IngressClass' &&
        one.controller === NGINX_CONTROLLER &&
        (ingressClasses.includes('*') || ingressClasses.includes(one.meta.name)),
    )
  }

  /** Of several, that which serves one of these classes, or else the first by name. */
  readFlags(ingressClasses: readonly string[] | undefined, diagnostics: DiagnosticList): ControllerFlags | undefined {
    const serves = (one: ControllerWorkload): boolean =>
      listServedClasses(one, this.#resources).some((name) => ingressClasses?.includes(name))
    const chosen = this.#workloads.find(serves) ?? this.#workloads[0]
    if (chosen === undefined) return undefined
    for (const other of this.#workloads) {
      if (other === chosen || ingressClasses !== undefined) continue
      diagnostics.add(
        'PORTICO_SET_CONTROLLER',
        `${printResource(other)} is another controller: its flags do not count`,
        {
          severity: 'warning',
          position: other.origin.locate(['metadata', 'name']),
          resource: printResource(other),
          help: 'name the classes to serve in ingressClasses, and run a gateway for those of each controller',
          notes: [
            { message: 'the one whose place is taken is here', position: chosen.origin.locate(['metadata', 'name']) },
          ],
        },
      )
    }
    return readControllerFlags(chosen, this.#resources, diagnostics)
  }

  readConfig(name: string, diagnostics: DiagnosticList): ControllerConfig | undefined {
    return readControllerConfig(this.#resources, name, diagnostics)
  }
}
