/** The client of a request, for what the gateway itself asks beside the request. */
import type { ProxyVersion } from '../base/proxy-protocol.ts'
import type { ClientSide } from '../upstream/transport/call.ts'
import { PrivateConnections } from '../upstream/transport/private-connections.ts'

const NO_PRIVATES = new PrivateConnections()
NO_PRIVATES.close()

/** Its addresses, if a PROXY header tells them, and no private connections: the answer is not the client's, and claims none for it. */
export function detachClient(client: Pick<ClientSide, 'path'>, proxyVersion: ProxyVersion | undefined): ClientSide {
  return { path: proxyVersion && client.path, privates: undefined, claimPrivates: () => NO_PRIVATES }
}
