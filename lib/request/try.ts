/** What is noted of one try of a request: numbers alone, and what they are of. HOT */
import type { RequestErrorCode } from '../base/errors.ts'
import type { TryCourse } from '../telemetry/course.ts'
import type { EndpointState } from '../upstream/endpoint/endpoint.ts'

/** Times by the monotonic clock; 0: it has not come so far. `endedAt` is 0 as well where the try ended with its request. */
export class Try {
  endpoint: EndpointState
  readonly startedAt: number
  connectedAt: number = 0
  headAt: number = 0
  endedAt: number = 0
  isReused: boolean = false
  isStale: boolean = false
  /** 0: no answer. */
  status: number = 0
  error: RequestErrorCode | undefined = undefined

  constructor(endpoint: EndpointState, startedAt: number) {
    this.endpoint = endpoint
    this.startedAt = startedAt
  }

  /** `origin`: when the request came. */
  tell(origin: number): TryCourse {
    const { status, error, isReused, isStale } = this
    return {
      endpoint: this.endpoint.label,
      startedAt: this.startedAt - origin,
      isReused,
      connectedAt: since(this.connectedAt, origin),
      headAt: since(this.headAt, origin),
      endedAt: since(this.endedAt, origin),
      status: status === 0 ? undefined : status,
      error,
      isStale,
    }
  }
}

function since(time: number, origin: number): number | undefined {
  return time === 0 ? undefined : time - origin
}
