/** Says in fields of an answer how its request was served: for one who asked for it with the token of the admin listener. */
import type { TryCourse } from '../telemetry/course.ts'
import type { RequestContext } from './context.ts'
import { tellCourse } from './course.ts'

/** Characters of a value. */
const MOST = 1024

/** `''` where the client did not ask for it, or may not. `status` is the status of the answer, which is about to be sent. */
export function composeExplainLines(context: RequestContext, status: number): string {
  if (!context.explains) return ''
  const { served, error, attempts } = context
  const { tries, filters, wantedAt } = tellCourse(context)
  const now = context.clock.monotonic() - context.startedMonotonic
  const last = tries.at(-1)
  const waits = filters.filter(({ duration }) => duration !== undefined)
  const stop = filters.find(({ effect }) => effect === 'answered' || effect === 'refused')
  const times = [
    ...waits.map(({ name, duration = 0 }) => `${name}=${printMs(duration)}`),
    ...(wantedAt !== undefined && tries[0] !== undefined ? [`queue=${printMs(tries[0].startedAt - wantedAt)}`] : []),
    ...(last?.connectedAt === undefined ? [] : [`connect=${printMs(last.connectedAt - last.startedAt)}`]),
    `answer=${printMs(now)}`,
  ]
  const fields: readonly (readonly [name: string, value: string | undefined])[] = [
    ['Route', served?.labels.route],
    ['Service', served?.labels.upstream],
    ['Endpoint', attempts?.last?.label],
    [
      'Tries',
      tries.map((each) => printTry(each, each === last && error === undefined ? status : undefined)).join(', '),
    ],
    ['Filter', stop && `${stop.name} ${stop.effect}`],
    ['Code', error?.code],
    ['Cause', error?.detail],
    ['Timings', times.join(', ')],
  ]
  return fields.map(([name, value]) => (value ? `X-Portico-${name}: ${makeSafe(value)}\r\n` : '')).join('')
}

function printTry({ endpoint, status, error, isStale, isReused }: TryCourse, answered: number | undefined): string {
  const how = isReused ? ' reused' : ''
  return `${endpoint} ${isStale ? 'stale' : (error ?? status ?? answered ?? 'unanswered')}${how}`
}

function printMs(ms: number): string {
  return `${ms.toFixed(2)}ms`
}

/** Visible ASCII and blanks. */
function makeSafe(value: string): string {
  return value.slice(0, MOST).replaceAll(/[^\x20-\x7e]/g, '?')
}
