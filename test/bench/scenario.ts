/** What a candidate is asked to serve: the same for all of them. */

export type ScenarioRoute = Readonly<{
  host: string
  paths: readonly string[]
  /** Of Portico alone: annotations of the Ingress. */
  annotations?: Readonly<Record<string, string>>
}>

export type Scenario = Readonly<{
  /** Every path is a prefix, and every one leads to the one upstream. */
  routes: readonly ScenarioRoute[]
  /** `host:port` each. */
  endpoints: readonly string[]
  /** Serve HTTPS too. */
  tls: boolean
  /** Log every request to a file. */
  accessLog: boolean
  /** Let connections upgrade. */
  websocket: boolean
  /** Processes or threads that carry traffic. */
  workers: number
}>

/** The host of the plain cases: what wrk and h2load resolve without DNS, so that it can be the name in TLS too. */
export const HOST = 'localhost'

/** Nine routes on three hosts to one endpoint. */
export function createScenario(endpoints: readonly string[], changes: Partial<Scenario> = {}): Scenario {
  const routes = [HOST, 'shop.example.com', 'api.example.com'].map((host) => ({
    host,
    paths: ['/', '/static', '/api/v1'],
  }))
  return { routes, endpoints, tls: false, accessLog: false, websocket: false, workers: 1, ...changes }
}

/** `count` routes, ten to a host. */
export function createRoutes(count: number): readonly ScenarioRoute[] {
  return Array.from({ length: Math.ceil(count / 10) }, (_, at) => ({
    host: `app-${at}.example.com`,
    paths: Array.from({ length: 10 }, (_, path) => `/part-${path}`),
  }))
}

/** Two routes for each of `count` hosts. */
export function createHosts(count: number): readonly ScenarioRoute[] {
  return Array.from({ length: count }, (_, at) => ({ host: `app-${at}.example.com`, paths: ['/', '/api'] }))
}
