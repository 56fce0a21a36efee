/** Creates the balancer that the settings name. */
import type { Clock } from '../../../base/clock.ts'
import type { UpstreamPolicy } from '../../../settings/service.ts'
import type { Balancer, Candidate } from './balancer.ts'
import { ConsistentHash } from './consistent-hash.ts'
import { createHashKey } from './hash-key.ts'
import { LeastRequests } from './least-requests.ts'
import { Ewma, PowerOfTwo } from './power-of-two.ts'
import { Random } from './random.ts'
import { type Rotation, RoundRobin } from './round-robin.ts'

export type BalancerOptions = Readonly<{
  kind: UpstreamPolicy['balancer']
  hash: UpstreamPolicy['hash']
  rotation: Rotation
  clock: Clock
}>

export function createBalancer(candidates: readonly Candidate[], options: BalancerOptions): Balancer {
  const { kind, hash, rotation, clock } = options
  switch (kind) {
    case 'round-robin':
      return new RoundRobin(candidates, rotation)
    case 'least-requests':
      return new LeastRequests(candidates)
    case 'power-of-two':
      return new PowerOfTwo(candidates)
    case 'ewma':
      return new Ewma(candidates, clock)
    case 'random':
      return new Random(candidates)
    case 'hash':
      return new ConsistentHash(candidates, { ...hash, key: createHashKey(hash.by) })
  }
}
