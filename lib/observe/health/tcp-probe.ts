/** Whether a TCP connection can be opened. */
import { connect } from 'node:net'
import type { ProbeResult, TcpProbe } from './question.ts'

/** Rejects with Node's error, or the reason of `signal`. */
export function askTcp({ address, port }: TcpProbe, signal: AbortSignal): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port, signal })
    socket.on('error', reject)
    socket.on('connect', () => {
      resolve({ isOk: true, detail: `connect to port ${port}: accepted` })
      // Neither what it says nor whether it ends is waited for.
      socket.destroy()
    })
  })
}
