/** An upstream that authenticates connections, as servers with NTLM do: three requests for a handshake, then none is asked who it is. */
import { createServer } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Test } from 'tap'

export type ConnectionAuthUpstream = {
  readonly port: number
  /** Open connections; the number that answers tell is that of the order in which they came. */
  readonly open: ReadonlySet<Socket>
  /** Closes those that are authenticated. */
  closeKnown(): void
}

type Known = { readonly number: number; user: string | undefined }

/** `fields` are those of an answer to whoever is not known: names and values in turn. */
export async function startConnectionAuthUpstream(
  t: Test,
  fields: readonly string[] = ['WWW-Authenticate', 'Negotiate', 'WWW-Authenticate', 'NTLM'],
): Promise<ConnectionAuthUpstream> {
  const known = new Map<Socket, Known>()
  const open = new Set<Socket>()
  const server = createServer((request, response) => {
    const connection = known.get(request.socket)!
    const { number } = connection
    const [scheme = '', step = '', nonce] = (request.headers.authorization ?? '').split(/[ :]/)
    request.resume()
    request.on('end', () => {
      if (scheme === 'NTLM' && step === 'hello') {
        response.writeHead(401, { 'WWW-Authenticate': `NTLM nonce-${number}` }).end(`${number} greeted`)
        return
      }
      if (scheme === 'NTLM' && nonce === `nonce-${number}`) connection.user = step
      else if (scheme === 'Direct') connection.user = step
      const isKnown = connection.user !== undefined
      response.writeHead(isKnown ? 200 : 401, isKnown ? [] : [...fields])
      response.end(`${number} ${connection.user ?? 'nobody'}`)
    })
  })
  let count = 0
  server.on('connection', (socket: Socket) => {
    known.set(socket, { number: count++, user: undefined })
    open.add(socket)
    socket.on('close', () => open.delete(socket))
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return {
    port: (server.address() as AddressInfo).port,
    open,
    closeKnown() {
      for (const socket of open) if (known.get(socket)!.user !== undefined) socket.destroy()
    },
  }
}
