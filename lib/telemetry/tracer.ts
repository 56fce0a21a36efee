/**
 * Sends spans to a collector over OTLP, by OpenTelemetry's own packages, which are loaded where tracing is on alone. They wait in a bounded queue; spans
 * beyond are dropped and counted, and no request waits for them.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { SecretNames } from '../base/redact.ts'
import type { CourseTeller } from './course.ts'
import type { Log } from './log.ts'
import { LogThrottle } from './log-throttle.ts'
import { hideSecrets, type RequestRecord } from './record.ts'
import { listSpans, type SpanFacts } from './spans.ts'

export type TracerOptions = Readonly<{
  exporter: 'otlp-http' | 'otlp-grpc'
  /** `''`: as the environment says (OTEL_EXPORTER_OTLP_ENDPOINT), else the usual port of this machine. */
  endpoint: string
  serviceName: string
  redact: () => SecretNames
  log: Log
  clock: ConstructorParameters<typeof LogThrottle>[0]
}>

/** Milliseconds that sending what is left may take at the end. */
const CLOSE_MS = 2_000
/** Milliseconds until a batch that the collector does not take is given up. */
const SEND_MS = 5_000
/** Spans that wait to be sent, and how many go at once; milliseconds between two. */
const QUEUE = {
  maxQueueSize: 8_192,
  maxExportBatchSize: 512,
  scheduledDelayMillis: 1_000,
  exportTimeoutMillis: 2 * SEND_MS,
}

const SAMPLED = 1

/** What is used of a processor of spans. */
type Processor = Readonly<{
  onEnd(span: never): void
  forceFlush(): Promise<void>
  shutdown(): Promise<void>
}>

type Packages = Readonly<{ processor: Processor; make: (facts: SpanFacts) => object }>

export class Tracer {
  readonly #options: TracerOptions
  readonly #packages: Promise<Packages | undefined>
  #ready: Packages | undefined

  constructor(options: TracerOptions) {
    this.#options = options
    this.#packages = this.#load()
  }

  /** Called when the request has ended. */
  note(record: RequestRecord, teller: CourseTeller): void {
    const { trace } = teller
    if (trace === undefined || !trace.isSampled || this.#ready === undefined) return
    const { processor, make } = this.#ready
    const shown = hideSecrets(record, this.#options.redact())
    for (const facts of listSpans(shown, teller.tellCourse(), trace.tell())) processor.onEnd(make(facts) as never)
  }

  /** Sends what is left, and no more after it; a collector that does not take it holds up the end for a moment alone. */
  async close(): Promise<void> {
    const shutdown = this.#packages.then((packages) => packages?.processor.shutdown()).catch(() => {})
    await Promise.race([shutdown, sleep(CLOSE_MS, undefined, { ref: false })])
  }

  async #load(): Promise<Packages | undefined> {
    try {
      this.#ready = await createPackages(this.#options)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const isMissing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
      const help = isMissing
        ? 'they are optional dependencies of Portico: install it without --omit=optional'
        : 'look at tracing.endpoint, and at the variables OTEL_… of the environment'
      const what = isMissing ? "OpenTelemetry's packages are not installed" : 'the exporter refuses its configuration'
      this.#options.log.error({ reason: message, help }, `tracing is off: ${what}`)
    }
    return this.#ready
  }
}

async function createPackages({ exporter, endpoint, serviceName, log, clock }: TracerOptions): Promise<Packages> {
  const [api, resources, sdk, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/sdk-trace'),
    exporter === 'otlp-http'
      ? import('@opentelemetry/exporter-trace-otlp-proto')
      : import('@opentelemetry/exporter-trace-otlp-grpc'),
  ])
  const throttle = new LogThrottle(clock)
  const complain = (message: unknown): void => {
    const reason = String(message).slice(0, 300)
    if (throttle.admit(reason)) log.warn({ reason }, 'spans could not be sent to the collector')
  }
  const resource = resources.defaultResource().merge(
    resources.resourceFromAttributes({
      'service.name': serviceName,
      'process.pid': process.pid,
    }),
  )
  const otlp = new OTLPTraceExporter({ timeoutMillis: SEND_MS, ...(endpoint !== '' && { url: endpoint }) })
  const sender = {
    export: (...[spans, done]: Parameters<typeof otlp.export>) =>
      otlp.export(spans, (result) => {
        if (result.error !== undefined) complain(result.error)
        done(result)
      }),
    forceFlush: () => otlp.forceFlush(),
    shutdown: () => otlp.shutdown(),
  }
  const processor = new sdk.BatchSpanProcessor({ exporter: sender, ...QUEUE })
  const scope = { name: 'portico' }
  const kinds = { server: api.SpanKind.SERVER, client: api.SpanKind.CLIENT, internal: api.SpanKind.INTERNAL }
  const make = (facts: SpanFacts): object => {
    const { traceId, spanId, parentId, isParentRemote, startedAt, endedAt, fault } = facts
    const own = { traceId, spanId, traceFlags: SAMPLED }
    return {
      name: facts.name,
      kind: kinds[facts.kind],
      spanContext: () => own,
      ...(parentId !== undefined && {
        parentSpanContext: { traceId, spanId: parentId, traceFlags: SAMPLED, isRemote: isParentRemote },
      }),
      startTime: splitTime(startedAt),
      endTime: splitTime(endedAt),
      duration: splitTime(endedAt - startedAt),
      status:
        fault === undefined ? { code: api.SpanStatusCode.UNSET } : { code: api.SpanStatusCode.ERROR, message: fault },
      attributes: facts.attributes,
      links: [],
      events: [],
      ended: true,
      resource,
      instrumentationScope: scope,
      droppedAttributesCount: 0,
      droppedEventsCount: 0,
      droppedLinksCount: 0,
    }
  }
  return { processor, make }
}

/** Seconds and nanoseconds of a time in milliseconds. */
function splitTime(ms: number): [number, number] {
  const seconds = Math.floor(ms / 1_000)
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)]
}
