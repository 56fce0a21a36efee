/** Opening a port, or taking one that another process has bound. */
import type { EventEmitter } from 'node:events'
import type { AddressInfo, Server } from 'node:net'

export type BoundAddress = Readonly<{ address: string; port: number }>

/** `where` is an address and port, or a bound TCP handle. Rejects with Node's error: its `code` is EADDRINUSE, EACCES … */
export async function listenOn(server: Server, where: BoundAddress | object): Promise<BoundAddress> {
  if (!isAddress(where)) await listen(server, where)
  else {
    const { address: host, port } = where
    try {
      await listen(server, { host, port })
    } catch (error) {
      // `::` is every address, also where the machine has no IPv6.
      const { code } = error as NodeJS.ErrnoException
      if (host !== '::' || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) throw error
      await listen(server, { host: '0.0.0.0', port })
    }
  }
  const { address, port } = server.address() as AddressInfo
  return { address, port }
}

function isAddress(where: BoundAddress | object): where is BoundAddress {
  return 'address' in where && 'port' in where
}

function listen(server: Server, where: object): Promise<void> {
  return opened(server, () => server.listen(where))
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
