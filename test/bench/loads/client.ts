/** Runs one of our own load clients as a process of its own, on the core of the load. */
import { fileURLToPath } from 'node:url'
import { Child, type Core, run } from '../child.ts'

export type ClientName =
  | 'open-loop-client'
  | 'websocket-client'
  | 'idle-client'
  | 'honest-client'
  | 'attack-client'
  | 'overload-client'

/** Returns what the client printed, which is JSON. */
export async function runClient<T>(name: ClientName, load: object, core: Core, timeoutMs: number): Promise<T> {
  return JSON.parse(await run(process.execPath, [locate(name), JSON.stringify(load)], core, timeoutMs))
}

/** Starts a client that goes on until it is stopped. */
export function startClient(name: ClientName, load: object, core: Core, output: string): Child {
  return new Child(process.execPath, [locate(name), JSON.stringify(load)], { core, output })
}

function locate(name: ClientName): string {
  return fileURLToPath(new URL(`./${name}.js`, import.meta.url))
}
