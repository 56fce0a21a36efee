import type { UpstreamRequest } from '../../lib/upstream/transport/call.ts'

/** A request without a body, that asks for nothing but its answer. */
export const BODILESS = Object.freeze({
  contentLength: undefined,
  hasBody: false,
  acceptsTrailers: false,
  expectsContinue: false,
  upgrade: undefined,
  authenticatesConnection: false,
}) satisfies Partial<UpstreamRequest>
