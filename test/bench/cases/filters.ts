/** What each filter adds to a request: two routes of one process, with the filter and without any, under load in turn. */
import type { Bench, Case, Metric, Sample } from '../case.ts'
import { loadWithWrk } from '../loads/wrk.ts'
import { createScenario } from '../scenario.ts'
import { CPU_PER_REQUEST, FAILURES, measureLoad, OTHERS, startServing } from './load-case.ts'

/** Annotations without their domain. */
type Annotations = Readonly<Record<string, string>>

const CONNECTIONS = 64
const WARM_UP_SECONDS = 3
/** Two names as long as each other. */
const PLAIN_HOST = 'unfiltered.example'
const FILTERED_HOST = 'isfiltered.example'

const ADDED: Metric = { key: 'addedMicros', label: 'added CPU µs/req', digits: 2, ratio: false }
const PLAIN: Metric = { key: 'plainMicros', label: 'without', digits: 1, ratio: false }
const FILTERED: Metric = { ...CPU_PER_REQUEST, label: 'with', ratio: false }
const METRICS = [ADDED, PLAIN, FILTERED, FAILURES, OTHERS]

/** The password "secret", by bcrypt of cost 10. */
const USERS = `apiVersion: v1
kind: Secret
metadata: {name: users}
stringData: {auth: "alice:$2y$10$Fj/MBxyXAObWKMcXQ1sb6uI3E6sFEu3jb69GF/BFCks/ZH/6k27.O"}
`
/** The same backend, under another name. */
const printMirror = ({ backend }: Bench): string => `---
apiVersion: v1
kind: Service
metadata: {name: copy, annotations: {portico.dev/endpoints: "127.0.0.1:${backend.httpPort}"}}
spec: {ports: [{port: 80}]}
`
/** Those that filters ask for; the route without a filter gets them too. */
const FIELDS = [
  ['Origin', 'https://app.example.com'],
  ['Authorization', `Basic ${Buffer.from('alice:secret').toString('base64')}`],
] as const

/** A line for each: the end of the case's id, and the annotations. */
const FILTERS: Readonly<Record<string, (bench: Bench) => Annotations>> = {
  none: () => ({}),
  headers: () => ({ 'request-headers-set': 'X-Env: staging', 'response-headers-set': 'X-Frame-Options: DENY' }),
  'headers-variables': () => ({ 'request-headers-set': `X-Client: \${client.address} \${request.path}` }),
  'security-headers': () => ({ 'security-headers': 'true', hsts: 'max-age=31536000' }),
  rewrite: () => ({ 'rewrite-prefix': '/api' }),
  'rewrite-host': () => ({ 'rewrite-host': 'app.internal' }),
  'rewrite-regex': () => ({ 'rewrite-regex': '^/shop/(.*)$', 'rewrite-replacement': '/api/$1' }),
  'redirect-www': () => ({ 'redirect-www': 'to-apex' }),
  'rate-limit': () => ({ 'rate-limit': '1000000/s' }),
  'rate-limit-three': () => ({
    'rate-limit': '1000000/s, 1000000/s, 1000000/s',
    'rate-limit-by': 'client, header:User-Agent, all',
  }),
  'source-range': () => ({ 'allow-source-range': '10.0.0.0/8, 127.0.0.0/8' }),
  cors: () => ({ 'cors-allow-origins': 'https://app.example.com' }),
  'basic-auth': () => ({ 'basic-auth-secret': 'users' }),
  'concurrency-limit': () => ({ 'concurrency-limit': '1000' }),
  'maintenance-allow': () => ({ maintenance: 'true', 'maintenance-allow': '10.0.0.0/8, 127.0.0.0/8' }),
  compress: () => ({ compress: 'true' }),
  mirror: () => ({ mirror: 'copy' }),
  'forward-auth': ({ backend }) => ({ 'auth-url': `http://127.0.0.1:${backend.httpPort}/verify` }),
}

export const FILTER_CASES: readonly Case[] = Object.entries(FILTERS).map(([name, annotationsOf]) => ({
  id: `filters-${name}`,
  title: name === 'none' ? 'two routes without filters: the error of the others' : `what ${name} adds to a 1 KiB GET`,
  metrics: METRICS,
  needs: ['wrk'],
  refuses: (candidate) => (candidate.name.startsWith('portico') ? undefined : 'it has no such annotations'),
  open: async (candidate, place, bench) => {
    const annotations = Object.fromEntries(
      Object.entries(annotationsOf(bench)).map(([key, value]) => [`portico.dev/${key}`, value]),
    )
    const scenario = createScenario([`127.0.0.1:${bench.backend.httpPort}`], {
      manifests: USERS + printMirror(bench),
      routes: [
        { host: PLAIN_HOST, paths: ['/'] },
        { host: FILTERED_HOST, paths: ['/'], annotations },
      ],
    })
    const running = await startServing(candidate, place, scenario)
    const load = (host: string, seconds: number) =>
      loadWithWrk(
        {
          origin: `http://127.0.0.1:${place.http}`,
          connections: CONNECTIONS,
          fields: FIELDS,
          seconds,
          targets: [[host, '/shop/cart']],
        },
        place.folder,
        bench.loadCore,
      )
    for (const host of [PLAIN_HOST, FILTERED_HOST]) await load(host, WARM_UP_SECONDS)
    return {
      measure: async (): Promise<Sample> => {
        const plain: Sample[] = []
        const filtered: Sample[] = []
        // Short loads in turn: a machine that slows down slows both.
        for (let second = 0; second < bench.seconds; second++) {
          const turn = [
            { host: PLAIN_HOST, samples: plain },
            { host: FILTERED_HOST, samples: filtered },
          ]
          if (second % 2 === 1) turn.reverse()
          for (const { host, samples } of turn) samples.push(await measureLoad(running, () => load(host, 1)))
        }
        const [without, withFilter] = [mean(plain, 'cpuMicros'), mean(filtered, 'cpuMicros')]
        return {
          addedMicros: withFilter - without,
          plainMicros: without,
          cpuMicros: withFilter,
          failures: mean([...plain, ...filtered], 'failures'),
          othersPercent: mean([...plain, ...filtered], 'othersPercent'),
        }
      },
      close: () => running.child.stop(),
    }
  },
}))

function mean(samples: readonly Sample[], key: string): number {
  return samples.reduce((sum, sample) => sum + sample[key]!, 0) / samples.length
}
