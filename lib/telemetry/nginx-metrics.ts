/**
 * The metrics of ingress-nginx's controller, from the same counts as Portico's own, for dashboards and alerts that have them. There is no
 * label `host`, as with its flag --metrics-per-host=false, unless series are by route.
 */
import type { Distribution, RequestSeries } from './request-series.ts'
import { histogramSamples, type Labels, type Sample } from './sample.ts'

export type NginxMetric = Readonly<{
  type: 'counter' | 'gauge' | 'histogram'
  name: string
  help: string
  samples: () => Sample[]
}>

export type NginxSources = Readonly<{
  series: () => readonly RequestSeries[]
  /** Open client connections of all listeners. */
  connections: () => number
  /** `notAfter` in milliseconds since the epoch; `secret` is `namespace/name`. */
  certificates: () => readonly Readonly<{ host: string; secret: string; notAfter: number }>[]
  isLastReloadOk: () => boolean
  /** Milliseconds since the epoch. */
  takenAt: () => number | undefined
}>

const CONTROLLER: Labels = {
  controller_class: 'k8s.io/ingress-nginx',
  controller_namespace: '',
  controller_pod: 'portico',
}

/** Each by the part of its name behind `nginx_ingress_controller_`. */
export function listNginxMetrics(sources: NginxSources): readonly NginxMetric[] {
  const { series, connections, certificates } = sources
  const ofRequests = (): Sample[] =>
    series().flatMap((each) =>
      [...each.requests].flatMap(([method, statuses]) =>
        [...statuses].map(([status, value]) => ({ labels: { ...labelsOf(each), method, status }, value })),
      ),
    )
  const histogram = (part: string, help: string, read: (series: RequestSeries) => Distribution): NginxMetric => {
    const name = `nginx_ingress_controller_${part}`
    const samples = () =>
      series().flatMap((each) => {
        const { bounds, counts, sum } = read(each)
        return histogramSamples(name, labelsOf(each), { bounds, counts, sum })
      })
    return { type: 'histogram', name, help, samples }
  }
  const gauge = (name: string, help: string, samples: () => Sample[]): NginxMetric => ({
    type: 'gauge',
    name: `nginx_ingress_controller_${name}`,
    help,
    samples,
  })
  return [
    {
      type: 'counter',
      name: 'nginx_ingress_controller_requests',
      help: 'Requests that ended, as ingress-nginx counts them.',
      samples: ofRequests,
    },
    histogram(
      'request_duration_seconds',
      'Time from the request head to the end of the response.',
      (each) => each.duration,
    ),
    histogram('header_duration_seconds', "Time to the upstream's response head.", (each) => each.upstream),
    histogram('response_duration_seconds', "Time to the end of the upstream's response.", (each) => each.duration),
    histogram('request_size', 'Bytes of request bodies.', (each) => each.requestBytes),
    histogram('response_size', 'Bytes of response bodies.', (each) => each.responseBytes),
    histogram('bytes_sent', 'Bytes of response bodies.', (each) => each.responseBytes),
    gauge('nginx_process_connections', 'Open client connections.', () => [
      { labels: { ...CONTROLLER, state: 'active' }, value: connections() },
    ]),
    gauge('config_last_reload_successful', 'Whether the last configuration read was taken whole.', () => [
      { labels: CONTROLLER, value: sources.isLastReloadOk() ? 1 : 0 },
    ]),
    gauge('config_last_reload_successful_timestamp_seconds', 'When a configuration was last taken whole.', () => {
      const at = sources.takenAt()
      return at === undefined ? [] : [{ labels: CONTROLLER, value: at / 1000 }]
    }),
    gauge('ssl_expire_time_seconds', 'When the certificate of a host expires.', () =>
      certificates().map(({ host, secret, notAfter }) => {
        const [namespace = '', name = ''] = secret.split('/')
        const labels = { ...CONTROLLER, host, namespace, secret_name: name }
        return { labels, value: notAfter / 1000 }
      }),
    ),
  ]
}

function labelsOf({ ingress, service, route }: RequestSeries): Labels {
  const [namespace = '', name = ''] = ingress.split('/')
  const of = /^[^/]*\/(.*):[^:]*$/.exec(service)?.[1] ?? ''
  const labels = { ...CONTROLLER, namespace, ingress: name, service: of, canary: '' }
  const [, host, rule] = route.split('|')
  return host === undefined ? labels : { ...labels, host, path: rule?.replace(/^\S+ /, '') ?? '' }
}
