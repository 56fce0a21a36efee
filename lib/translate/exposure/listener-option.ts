/** What a Service says of how its ports are listened on: appProtocol and the annotations portico.dev/layer and accept-proxy-protocol. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ServiceListener } from '../../model/service-listener.ts'
import { readAppProtocol } from '../service/app-protocol.ts'

export const LAYER_ANNOTATION = 'portico.dev/layer'
export const PROXY_PROTOCOL_ANNOTATION = 'portico.dev/accept-proxy-protocol'

/** How one port is listened on. Values that mean nothing count as not written. */
export function readListenerOptions(
  service: Service,
  port: ServicePort,
): Pick<ServiceListener, 'layer' | 'tls' | 'proxyProtocol'> {
  const { [LAYER_ANNOTATION]: written, [PROXY_PROTOCOL_ANNOTATION]: proxy } = service.meta.annotations
  const spoken = readAppProtocol(port)
  // What is not HTTP/1.1, h2c and grpc included, passes untouched.
  const isHttp = written === 'L7' || (spoken !== undefined && written !== 'L4')
  const isTcp = port.protocol === 'TCP'
  const layer = isHttp && isTcp ? 'L7' : 'L4'
  return { layer, tls: layer === 'L7' && spoken === 'https', proxyProtocol: isTcp && proxy === 'true' }
}

/** Whether connections to its ports must begin with a PROXY header. */
export function wantsProxyHeader({ meta }: Service): boolean {
  return meta.annotations[PROXY_PROTOCOL_ANNOTATION] === 'true'
}

/** Of the Services that want a PROXY header the first is told, where nobody may send one. */
export function warnOfDistrust(
  [service]: readonly Service[],
  trustedProxies: readonly string[],
  diagnostics: DiagnosticList,
): void {
  if (service === undefined || trustedProxies.length > 0) return
  const why = 'trustedProxies is empty: no PROXY header is believed, so every connection is cut'
  diagnostics.add('PORTICO_ANN_VALUE', `${PROXY_PROTOCOL_ANNOTATION}: ${why}`, {
    severity: 'warning',
    position: service.origin.locate(['metadata', 'annotations', PROXY_PROTOCOL_ANNOTATION]),
    resource: printResource(service),
    help: 'set trustedProxies to the addresses of the proxies in front of this port',
  })
}

/** Reports values of the two annotations that mean nothing. */
export function checkListenerOptions(service: Service, diagnostics: DiagnosticList): void {
  const { annotations } = service.meta
  for (const [name, values] of [
    [LAYER_ANNOTATION, ['L4', 'L7']],
    [PROXY_PROTOCOL_ANNOTATION, ['true', 'false']],
  ] as const) {
    const value = annotations[name]
    if (value === undefined || (values as readonly string[]).includes(value)) continue
    diagnostics.add('PORTICO_ANN_VALUE', `${name}: ${JSON.stringify(value)} is neither ${values.join(' nor ')}`, {
      position: service.origin.locate(['metadata', 'annotations', name]),
      resource: printResource(service),
      help: `write "${values[0]}" or "${values[1]}"; this one counts as not written`,
    })
  }
}
