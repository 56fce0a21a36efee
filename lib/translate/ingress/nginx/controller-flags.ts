/** The command line of the controller of ingress-nginx, as its Deployment or DaemonSet has it, in settings of Portico's own. */
import { addOutcome, type DiagnosticList } from '../../../base/diagnostics.ts'
import { findNearest } from '../../../base/nearest.ts'
import type { FieldPath } from '../../../base/position.ts'
import { printName } from '../../../base/resource-name.ts'
import { veilPosition } from '../../../base/veil.ts'
import { type ControllerWorkload, printResource, type Resource } from '../../../kubernetes/resource.ts'
import { type ControllerFlags, NGINX_CONTROLLER } from '../../../settings/compatibility.ts'
import { SETTINGS_BY_NAME } from '../../../settings/resolve.ts'
import { CLASSLESS, CONTROLLER } from '../ingress-class.ts'
import { readFlag } from './feature.ts'

/** The setting that says the same as a flag. */
export const FLAG_SETTINGS: ReadonlyMap<string, string> = new Map([
  ['configmap', 'controllerConfigmap'],
  ['annotations-prefix', 'annotationsPrefix'],
  ['default-backend-service', 'defaultBackendService'],
  ['default-ssl-certificate', 'defaultSslCertificate'],
  ['tcp-services-configmap', 'tcpServicesConfigmap'],
  ['udp-services-configmap', 'udpServicesConfigmap'],
])

/** Together they say which Ingresses are served. */
export const CLASS_FLAGS = [
  'controller-class',
  'ingress-class',
  'ingress-class-by-name',
  'watch-ingress-without-class',
] as const

/** Without it the annotation `ssl-passthrough` has no effect. */
export const PASSTHROUGH_FLAG = 'enable-ssl-passthrough'

/** Nothing of them is done, in each case for this reason. */
export const REFUSED_FLAGS: ReadonlyMap<string, string> = new Map([
  ['disable-catch-all', 'Ingresses without rules are served all the same'],
  ['disable-svc-external-name', 'Services of type ExternalName are reached all the same'],
  ['enable-ssl-chain-completion', 'missing intermediate certificates are not fetched'],
  ['enable-topology-aware-routing', 'write the setting zone: then topology hints count for every Service'],
  ['watch-namespace', 'Ingresses of all namespaces among the manifests are served'],
  ['watch-namespace-selector', 'Ingresses of all namespaces among the manifests are served'],
])

/** Flags that no client would notice. */
const IDLE_FLAGS = (
  'apiserver-host bucket-factor certificate-authority deep-inspect default-server-port disable-full-test ' +
  'disable-leader-election disable-sync-events dynamic-configuration-retries election-id election-ttl ' +
  'enable-annotation-validation enable-metrics exclude-socket-metrics health-check-path health-check-timeout ' +
  'healthz-host healthz-port http-port https-port internal-logger-address kubeconfig length-buckets max-buckets ' +
  'maxmind-edition-ids maxmind-license-key maxmind-mirror maxmind-retries-count maxmind-retries-timeout ' +
  'metrics-per-host metrics-per-undefined-host monitor-max-batch-size post-shutdown-grace-period profiler-port ' +
  'profiling publish-service publish-status-address report-node-internal-ip-address report-status-classes ' +
  'shutdown-grace-period size-buckets ssl-passthrough-proxy-port status-port status-update-interval stream-port ' +
  'sync-period sync-rate-limit time-buckets update-status update-status-on-shutdown v validating-webhook ' +
  'validating-webhook-certificate validating-webhook-key version'
).split(' ')

/** Flags that stand without a value; all others take the next word where they have no `=`. */
const SWITCHES: ReadonlySet<string> = new Set(
  (
    'deep-inspect disable-catch-all disable-full-test disable-leader-election disable-svc-external-name ' +
    'disable-sync-events enable-annotation-validation enable-metrics enable-ssl-chain-completion ' +
    'enable-ssl-passthrough enable-topology-aware-routing ingress-class-by-name metrics-per-host ' +
    'metrics-per-undefined-host profiling report-node-internal-ip-address report-status-classes update-status ' +
    'update-status-on-shutdown version watch-ingress-without-class'
  ).split(' '),
)

/** A flag on the command line: `--name=value`, `--name value`, or `--name` of a switch. */
type Flag = Readonly<{ name: string; value: string; path: FieldPath }>

/** By name; of a flag that is given twice the last one counts. */
function readFlags({ command }: ControllerWorkload): ReadonlyMap<string, Flag> {
  const flags = new Map<string, Flag>()
  for (let index = 0; index < command.length; index++) {
    const { text, path } = command[index]!
    const [, name, written] = /^--([a-z][-a-z0-9]*)(?:=([\s\S]*))?$/.exec(text) ?? []
    if (name === undefined) continue
    const value = written ?? (SWITCHES.has(name) ? 'true' : command[++index]?.text)
    if (value !== undefined) flags.set(name, { name, value, path })
  }
  return flags
}

const FLAG_NAMES: ReadonlySet<string> = new Set([
  ...FLAG_SETTINGS.keys(),
  ...CLASS_FLAGS,
  PASSTHROUGH_FLAG,
  ...REFUSED_FLAGS.keys(),
  ...IDLE_FLAGS,
])

/** `refused` have errors, which are told where they are read. */
export function readControllerFlags(
  workload: ControllerWorkload,
  resources: readonly Resource[],
  refused: readonly Resource[],
  diagnostics: DiagnosticList,
): ControllerFlags {
  const settings = new Map<string, unknown>([['controllerWorkload', printName(workload.meta)]])
  const flags = readFlags(workload)
  const warn = ({ name, path }: Flag, message: string, help: string): void =>
    diagnostics.add('PORTICO_SET_CONTROLLER', `--${name}: ${message}`, {
      severity: 'warning',
      // What an unknown flag has may be a secret.
      position: FLAG_NAMES.has(name) ? workload.origin.locate(path) : veilPosition(workload.origin.locate(path)),
      resource: printResource(workload),
      help,
    })
  const maps = [...resources, ...refused].flatMap((one) => (one.kind === 'ConfigMap' ? [printName(one.meta)] : []))
  let count = 0
  for (const flag of flags.values()) {
    const { name, value } = flag
    const setting = FLAG_SETTINGS.get(name)
    const why = REFUSED_FLAGS.get(name)
    if (!FLAG_NAMES.has(name)) {
      const nearest = findNearest(name, FLAG_NAMES)
      const help = nearest === undefined ? 'what it says does not hold here' : `did you mean --${nearest}?`
      warn(flag, 'ingress-nginx has no such flag', help)
    } else if (setting !== undefined && value !== '') {
      const given = SETTINGS_BY_NAME.get(setting)!.read(value, 'text', name)
      if ('problems' in given) for (const { message, help } of given.problems) warn(flag, message, help)
      else if (name === 'configmap' && !maps.includes(value)) {
        const nearest = findNearest(value, maps)
        const help = nearest === undefined ? 'add it to the manifests' : `did you mean "${nearest}"?`
        warn(flag, `there is no ConfigMap ${value}`, addOutcome(help, 'until then no key of it counts'))
      } else {
        settings.set(setting, given.value)
        count++
      }
    } else if (why !== undefined && value !== '' && readFlag(value) !== false) {
      warn(flag, why, 'what it says does not hold here')
    }
  }
  count += CLASS_FLAGS.filter((name) => flags.has(name)).length
  settings.set('ingressClasses', listServedClasses(workload, resources))
  const passesTls = readFlag(flags.get(PASSTHROUGH_FLAG)?.value) === true
  return Object.freeze({
    name: printResource(workload),
    part: 'flag',
    count: passesTls ? count + 1 : count,
    settings,
    withheld: passesTls ? [] : ['ssl-passthrough'],
    isRefusing: false,
  })
}

/**
 * The names of the classes that a controller serves: that of `--ingress-class`, and those of IngressClasses of its
 * `--controller-class`. Those of Portico's own stay served.
 */
export function listServedClasses(workload: ControllerWorkload, resources: readonly Resource[]): readonly string[] {
  const flags = readFlags(workload)
  const read = (name: string): string | undefined => flags.get(name)?.value
  const controllers = [read('controller-class') || NGINX_CONTROLLER, CONTROLLER]
  const named = resources.flatMap((one) =>
    one.kind === 'IngressClass' && controllers.includes(one.controller) ? [one.meta.name] : [],
  )
  const classless = readFlag(read('watch-ingress-without-class')) ? [CLASSLESS] : []
  return [...new Set([read('ingress-class') || 'nginx', ...named.sort(), ...classless])]
}
