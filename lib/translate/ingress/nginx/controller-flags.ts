/** The command line of the controller of ingress-nginx, as its Deployment or DaemonSet has it, in settings of Portico's own. */
import type { DiagnosticList } from '../../../base/diagnostics.ts'
import { printName } from '../../../base/resource-name.ts'
import {
  type ControllerFlag,
  type ControllerWorkload,
  printResource,
  type Resource,
} from '../../../kubernetes/resource.ts'
import { type ControllerFlags, NGINX_CONTROLLER } from '../../../settings/compatibility.ts'
import { SETTING_LIST } from '../../../settings/resolve.ts'
import type { NamedSetting } from '../../../settings/tree.ts'
import { CLASSLESS, CONTROLLER } from '../ingress-class.ts'
import { readFlag } from './feature.ts'

/** The setting that says the same as a flag. */
export const FLAG_SETTINGS: Readonly<Record<string, string>> = {
  configmap: 'controllerConfigmap',
  'annotations-prefix': 'annotationsPrefix',
  'default-backend-service': 'defaultBackendService',
  'default-ssl-certificate': 'defaultSslCertificate',
  'tcp-services-configmap': 'tcpServicesConfigmap',
  'udp-services-configmap': 'udpServicesConfigmap',
}

/** Together they say which Ingresses are served. */
export const CLASS_FLAGS = [
  'controller-class',
  'ingress-class',
  'ingress-class-by-name',
  'watch-ingress-without-class',
] as const

/** Nothing of them is done, in each case for this reason. */
export const REFUSED_FLAGS: Readonly<Record<string, string>> = {
  'disable-catch-all': 'Ingresses without rules are served all the same',
  'disable-svc-external-name': 'Services of type ExternalName are reached all the same',
  'enable-ssl-chain-completion': 'missing intermediate certificates are not fetched',
  'enable-topology-aware-routing': 'write the setting zone: then topology hints count for every Service',
  'watch-namespace': 'Ingresses of all namespaces among the manifests are served',
  'watch-namespace-selector': 'Ingresses of all namespaces among the manifests are served',
}

const SETTINGS_BY_NAME: ReadonlyMap<string, NamedSetting> = new Map(SETTING_LIST.map((one) => [one.name, one]))

export function readControllerFlags(
  workload: ControllerWorkload,
  resources: readonly Resource[],
  diagnostics: DiagnosticList,
): ControllerFlags {
  const settings = new Map<string, unknown>()
  const last = new Map(workload.flags.map((flag) => [flag.name, flag]))
  const warn = ({ name, path }: ControllerFlag, message: string, help: string): void =>
    diagnostics.add('PORTICO_SET_CONTROLLER', `--${name}: ${message}`, {
      severity: 'warning',
      position: workload.origin.locate(path),
      resource: printResource(workload),
      help,
    })
  let count = 0
  for (const flag of last.values()) {
    const { name, value } = flag
    const setting = FLAG_SETTINGS[name]
    const why = REFUSED_FLAGS[name]
    if (setting !== undefined && value !== '') {
      const given = SETTINGS_BY_NAME.get(setting)!.read(value, 'text', name)
      if ('problems' in given) for (const { message, help } of given.problems) warn(flag, message, help)
      else if (name === 'configmap' && !hasConfigMap(resources, value)) {
        warn(flag, `there is no ConfigMap ${value}`, 'add it to the manifests; until then no key of it counts')
      } else {
        settings.set(setting, given.value)
        count++
      }
    } else if (why !== undefined && !['', 'false'].includes(value)) {
      warn(flag, why, 'what it says does not hold here')
    }
  }
  const classFlags = CLASS_FLAGS.filter((name) => last.has(name))
  settings.set('ingressClasses', listServedClasses(workload, resources))
  return Object.freeze({ name: printResource(workload), part: 'flag', count: count + classFlags.length, settings })
}

/**
 * The names of the classes that a controller serves: that of `--ingress-class`, and those of IngressClasses of its
 * `--controller-class`. Those of Portico's own stay served.
 */
export function listServedClasses(workload: ControllerWorkload, resources: readonly Resource[]): readonly string[] {
  const read = (name: string): string | undefined => workload.flags.findLast((one) => one.name === name)?.value
  const controllers = [read('controller-class') || NGINX_CONTROLLER, CONTROLLER]
  const named = resources.flatMap((one) =>
    one.kind === 'IngressClass' && controllers.includes(one.controller) ? [one.meta.name] : [],
  )
  const classless = readFlag(read('watch-ingress-without-class')) ? [CLASSLESS] : []
  return [...new Set([read('ingress-class') || 'nginx', ...named.sort(), ...classless])]
}

function hasConfigMap(resources: readonly Resource[], name: string): boolean {
  return resources.some((one) => one.kind === 'ConfigMap' && printName(one.meta) === name)
}
