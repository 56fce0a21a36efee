/** Explains once, in a container, that an endpoint at a loopback address is the container itself, so that it refuses connections. */
import { isPrivateAddress } from '../base/cidr.ts'
import type { DiagnosticCode } from '../base/diagnostics.ts'
import type { RequestErrorCode } from '../base/errors.ts'
import { isInContainer } from '../platform/container.ts'
import type { Log } from './log.ts'

const CODE: DiagnosticCode = 'PORTICO_SVC_LOOPBACK'

/** The returned function must be called at the end of each request and connection. */
export function createLoopbackHint(
  log: Log,
  isContainer: () => boolean = isInContainer,
): (error: RequestErrorCode | undefined, endpoint: string | undefined) => void {
  let isDue = true
  return (error, endpoint) => {
    if (error !== 'PORTICO_UP_CONNECT_REFUSED' || !isDue || endpoint === undefined) return
    const [, host = '', port] = /^\[?(.*?)\]?:(\d+)(?: |$)/.exec(endpoint) ?? []
    if (host !== 'localhost' && isPrivateAddress(host) !== 'loopback') return
    isDue = false
    if (!isContainer()) return
    const help =
      `start the container with --network host, or name the endpoint host.docker.internal:${port} ` +
      '(on Linux with --add-host=host.docker.internal:host-gateway) and have the server listen on more than loopback'
    log.warn({ code: CODE, help }, `${endpoint} refused the connection: in a container that is the container itself`)
  }
}
