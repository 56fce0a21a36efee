/** The settings that a translation depends on, and no others: a change of any other leaves the model as it is. */
import { isDeepStrictEqual } from 'node:util'
import type { Settings } from '../settings/table.ts'

/** Of the gateway's own ports, what keeps them from Services. */
type OwnPort = Readonly<{ enabled: boolean; address: string; port: number }>

const NAMES = [
  'clusterNetwork',
  'compatibility',
  'controllerWorkload',
  'defaultBackendService',
  'defaultSslCertificate',
  'endpoints',
  'externalIPs',
  'externalNames',
  'http',
  'https',
  'ingressClasses',
  'limits',
  'loadBalancers',
  'nodeName',
  'nodePorts',
  'paths',
  'routes',
  'services',
  'tcpServicesConfigmap',
  'timeouts',
  'trustedProxies',
  'udpServicesConfigmap',
  'unsupportedGuards',
  'zone',
] as const

export type TranslationSettings = Pick<Settings, (typeof NAMES)[number]> &
  Readonly<{ admin: OwnPort; dns: OwnPort; upstream: Pick<Settings['upstream'], 'protocol' | 'tlsSecret'> }>

/** The part of `settings` that a translation depends on; `before`, where it is equal. */
export function pickSettings(settings: Settings, before: TranslationSettings | undefined): TranslationSettings {
  const picked = {
    ...(Object.fromEntries(NAMES.map((name) => [name, settings[name]])) as Pick<Settings, (typeof NAMES)[number]>),
    admin: pickPort(settings.admin),
    dns: pickPort(settings.dns),
    upstream: { protocol: settings.upstream.protocol, tlsSecret: settings.upstream.tlsSecret },
  }
  return before !== undefined && isDeepStrictEqual(before, picked) ? before : picked
}

function pickPort({ enabled, address, port }: OwnPort): OwnPort {
  return { enabled, address, port }
}
