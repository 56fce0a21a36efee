/** Options of a Service's listeners: appProtocol, and the annotations portico.dev/layer and portico.dev/accept-proxy-protocol. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { printResource, type Service, type ServicePort } from '../../kubernetes/resource.ts'
import type { ServiceListener } from '../../model/listener.ts'
import { readAppProtocol } from '../service/app-protocol.ts'

export const LAYER_ANNOTATION = 'portico.dev/layer'
export const LAYERS = ['L4', 'L7']
export const PROXY_PROTOCOL_ANNOTATION = 'portico.dev/accept-proxy-protocol'

/** The options of one port. Unknown values count as absent. */
export function readListenerOptions(
  service: Service,
  port: ServicePort,
): Pick<ServiceListener, 'layer' | 'tls' | 'proxyProtocol'> {
  const { [LAYER_ANNOTATION]: written, [PROXY_PROTOCOL_ANNOTATION]: proxy } = service.meta.annotations
  const spoken = readAppProtocol(port)
  // Other protocols than HTTP/1.1, such as h2c and grpc, pass as bytes.
  const isHttp = written === 'L7' || (spoken !== undefined && written !== 'L4')
  const isTcp = port.protocol === 'TCP'
  const layer = isHttp && isTcp ? 'L7' : 'L4'
  return { layer, tls: layer === 'L7' && spoken === 'https', proxyProtocol: isTcp && proxy === 'true' }
}

/** True if connections to the Service's ports must begin with a PROXY header. */
export function wantsProxyHeader({ meta }: Service): boolean {
  return meta.annotations[PROXY_PROTOCOL_ANNOTATION] === 'true'
}

/** Warns at the first Service that wants a PROXY header, if no proxy is trusted to send one. */
export function warnOfUntrustedProxies(
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

/** Reports unknown values of the two annotations. */
export function checkListenerOptions(service: Service, diagnostics: DiagnosticList): void {
  const { annotations } = service.meta
  for (const [name, values] of [
    [LAYER_ANNOTATION, LAYERS],
    [PROXY_PROTOCOL_ANNOTATION, ['true', 'false']],
  ] as [string, readonly string[]][]) {
    const value = annotations[name]
    if (value === undefined || values.includes(value)) continue
    diagnostics.add('PORTICO_ANN_VALUE', `${name}: ${JSON.stringify(value)} is neither ${values.join(' nor ')}`, {
      position: service.origin.locate(['metadata', 'annotations', name]),
      resource: printResource(service),
      help: `write "${values[0]}" or "${values[1]}"; this one counts as absent`,
    })
  }
}
