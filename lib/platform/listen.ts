/** Opening a port, or taking one that another process has bound. */
import type { EventEmitter } from 'node:events'
import type { AddressInfo, Server } from 'node:net'

export type BoundAddress = Readonly<{ address: string; port: number }>

/** What the system says where it has no IPv6. */
const LACKS_IPV6: ReadonlySet<unknown> = new Set(['EAFNOSUPPORT', 'EADDRNOTAVAIL', 'EINVAL'])

/** Opens what `open` opens at `address`. `::` is every address, also where the machine has no IPv6. */
export async function openAt<T>(address: string, open: (address: string) => T | Promise<T>): Promise<T> {
  try {
    return await open(address)
  } catch (error) {
    if (address !== '::' || !LACKS_IPV6.has((error as NodeJS.ErrnoException).code)) throw error
    return open('0.0.0.0')
  }
}

/** `where` is an address and port, or a bound TCP handle. Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
export async function listenOn(server: Server, where: BoundAddress | object): Promise<BoundAddress> {
  if (isAddress(where)) {
    const { address, port } = where
    await openAt(address, (host) => opened(server, () => server.listen({ host, port })))
  } else await opened(server, () => server.listen(where))
  const { address, port } = server.address() as AddressInfo
  return { address, port }
}

function isAddress(where: BoundAddress | object): where is BoundAddress {
  return 'address' in where && 'port' in where
}

/** Resolves when what `open` begins has led to 'listening'; rejects with its error, or when it is closed before. */
export function opened(port: EventEmitter, open: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (then: () => void) => {
      port.off('listening', onListening).off('error', onError).off('close', onClose)
      then()
    }
    const onListening = () => settle(resolve)
    const onError = (error: Error) => settle(() => reject(error))
    const onClose = () => settle(() => reject(new Error('closed while it was opened')))
    port.on('listening', onListening).on('error', onError).on('close', onClose)
    open()
  })
}
