/** Visits the demo's shop a few times a second, so that the dashboard has something to show. */
import { Agent, request } from 'node:http'

const PATHS = [
  ...Array.from({ length: 6 }, () => '/visits/products'),
  ...['/visits/basket', '/visits/basket', '/visits/orders', '/visits/missing', '/visits/slow'],
]

/** Milliseconds between two visits, one with the other. */
const PAUSE_MS = 250

/** `port` is where the gateway serves HTTP on this machine. Returns the function that ends the visits. */
export function startVisits(port: number): () => void {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 })
  let timer: NodeJS.Timeout
  const visit = () => {
    const path = PATHS[Math.floor(Math.random() * PATHS.length)]!
    const headers = { host: 'shop.localhost', 'user-agent': 'portico-demo' }
    request({ agent, host: '127.0.0.1', port, path, headers }, (response) => response.resume())
      // A gateway that restarts or drains is visited again a little later.
      .on('error', () => {})
      .end()
    timer = setTimeout(visit, 2 * PAUSE_MS * Math.random()).unref()
  }
  visit()
  return () => {
    clearTimeout(timer)
    agent.destroy()
  }
}
