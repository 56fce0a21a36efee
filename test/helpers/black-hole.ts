/** An address that takes no connection and refuses none: who connects hears nothing. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'
import type { Test } from 'tap'

/** Why there can be none here; false: there can. */
export const NO_BLACK_HOLES = process.platform !== 'linux' && 'only Linux drops what a full backlog has no room for'

/** Listens, accepts nobody, and has its backlog full, so that nobody who connects hears anything. */
export async function startBlackHole(t: Test, address: string, port: number): Promise<void> {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    require('node:net').createServer().listen({ ...workerData, backlog: 1 }, () => {
      parentPort.postMessage('listening')
      setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
    })`
  const worker = new Worker(code, { eval: true, workerData: { host: address, port } })
  t.teardown(() => worker.terminate())
  await once(worker, 'message')
  const fillers = Array.from({ length: 8 }, () => connect({ host: address, port }).on('error', () => {}))
  t.teardown(() => {
    for (const filler of fillers) filler.destroy()
  })
  await Promise.all(fillers.slice(0, 2).map((filler) => once(filler, 'connect')))
}
