import type { UpstreamPolicy } from '../settings/service.ts'

/** How long an endpoint may take to accept a connection, in milliseconds; `usual` is the limit of the settings. */
export function findConnectTimeout({ retry, timeouts }: UpstreamPolicy, usual: number): number {
  const limit = timeouts.connect || usual
  return retry.tryTimeout > 0 && retry.tryTimeout < limit ? retry.tryTimeout : limit
}
