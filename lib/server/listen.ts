/** Opening a port, or taking one that another process has bound. */
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
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
