/** Endpoints from EndpointSlices, Endpoints objects and Pods: the join of S7 to S13 and the choice of S25 to S32. */
import { isIPv6 } from 'node:net'
import type { FieldPath } from '../../base/position.ts'
import {
  type EndpointSlice,
  type Endpoints,
  type Pod,
  printResource,
  type Service,
  type ServicePort,
  type SliceEndpoint,
  type SlicePort,
} from '../../kubernetes/resource.ts'
import { createRef } from '../../model/resource-ref.ts'
import type { Endpoint } from '../../model/upstream.ts'
import { describeProbes } from './probe.ts'

/** What the join asks of a Service, beside the objects that it joins. */
export type EndpointPolicy = Pick<
  Service,
  'publishNotReadyAddresses' | 'internalTrafficPolicy' | 'trafficDistribution' | 'ipFamilies' | 'ipFamilyPolicy'
>

/** What Pods have to listen on. */
export type TargetPort = Pick<ServicePort, 'protocol' | 'targetPort'>

/** Where this gateway stands; `''` where it was not told. */
export type Place = Readonly<{ nodeName: string; zone: string }>

/** An endpoint with what decides whether it stays, none of which the data side needs. */
type Candidate = Readonly<{
  endpoint: Endpoint
  family: 'IPv4' | 'IPv6' | 'FQDN'
  /** The object behind it, `''` where unknown: the same one in slices of both families is one endpoint (S32). */
  target: string
  hintNodes: readonly string[]
  hintZones: readonly string[]
}>

/**
 * The endpoints that the slices of a Service give to one of its ports; the join key is the port's name and protocol (S12).
 * One that names a Pod which is given too, and has its address, is probed as that Pod.
 */
export function collectSliceEndpoints(
  slices: readonly EndpointSlice[],
  policy: EndpointPolicy,
  port: ServicePort,
  place: Place,
  pods: ReadonlyMap<string, Pod>,
): readonly Endpoint[] {
  const candidates: Candidate[] = []
  for (const slice of slices) {
    const numbers = findPortNumbers(slice.ports, port)
    const sourceName = printResource(slice)
    const owner = createRef(slice)
    for (const entry of slice.endpoints) {
      const host = entry.addresses[0]
      if (host === undefined) continue
      const pod = pods.get(entry.targetName ?? '')
      const probes = pod?.podIPs.includes(host) ? describeProbes(pod, policy) : {}
      for (const number of numbers) {
        candidates.push({
          endpoint: {
            ...describeSliceEndpoint(entry, host, number),
            ...probes,
            sourceName,
            owner,
            field: findAddressField(entry.index),
            ...(slice.backup && { backup: true }),
          },
          family: slice.addressType,
          target: entry.targetName ?? '',
          hintNodes: entry.hintNodes,
          hintZones: entry.hintZones,
        })
      }
    }
  }
  return choose(candidates, policy, place)
}

/** By index in the slice: slices are alike, and share them. */
const addressFields: FieldPath[] = []

function findAddressField(index: number): FieldPath {
  addressFields[index] ??= Object.freeze(['endpoints', index, 'addresses', 0])
  return addressFields[index]
}

/** Endpoints v1: addresses times ports within one subset (S30). */
export function collectEndpoints(
  object: Endpoints,
  policy: EndpointPolicy,
  port: ServicePort,
  place: Place,
): readonly Endpoint[] {
  const candidates: Candidate[] = []
  const sourceName = printResource(object)
  const owner = createRef(object)
  for (const subset of object.subsets) {
    for (const number of findPortNumbers(subset.ports, port)) {
      for (const field of ['addresses', 'notReadyAddresses'] as const) {
        for (const [index, address] of subset[field].entries()) {
          const serving = field === 'addresses'
          candidates.push({
            endpoint: {
              host: address.ip,
              port: number,
              weight: 1,
              ready: serving || policy.publishNotReadyAddresses,
              serving,
              terminating: false,
              source: 'Endpoints',
              sourceName,
              owner,
              field: Object.freeze(['subsets', subset.index, field, index, 'ip']),
              ...(address.hostname !== undefined && { hostname: address.hostname }),
            },
            family: isIPv6(address.ip) ? 'IPv6' : 'IPv4',
            target: address.targetName ?? '',
            hintNodes: [],
            hintZones: [],
          })
        }
      }
    }
  }
  return choose(candidates, policy, place)
}

const POD_FIELD: FieldPath = Object.freeze(['status', 'podIP'])

/**
 * The Pods that a Service selects, with the target port each of them has (S8, S18). `subdomain` is the name of the Service: the
 * hostname of a Pod is a name under the Service that the Pod names as its subdomain, and under no other (N13).
 */
export function collectPodEndpoints(
  pods: readonly Pod[],
  policy: EndpointPolicy,
  port: TargetPort,
  place: Place,
  subdomain: string | undefined,
): readonly Endpoint[] {
  const candidates: Candidate[] = []
  for (const pod of pods) {
    const host = pickAddress(pod.podIPs, policy)
    const number = findTargetPort(pod, port)
    if (host === undefined || number === undefined) continue
    const other = isDualStack(policy) ? pod.podIPs.find((each) => isIPv6(each) !== isIPv6(host)) : undefined
    const serving = pod.ready ?? true
    candidates.push({
      endpoint: {
        host,
        port: number,
        weight: 1,
        ready: policy.publishNotReadyAddresses || (serving && !pod.terminating),
        serving,
        terminating: pod.terminating,
        source: 'Pod',
        sourceName: printResource(pod),
        owner: createRef(pod),
        field: POD_FIELD,
        ...(subdomain !== undefined && pod.subdomain === subdomain && pod.hostname && { hostname: pod.hostname }),
        ...(other !== undefined && { otherAddress: other }),
        ...(pod.nodeName !== undefined && { nodeName: pod.nodeName }),
        ...describeProbes(pod, policy),
      },
      family: isIPv6(host) ? 'IPv6' : 'IPv4',
      target: pod.meta.name,
      hintNodes: [],
      hintZones: [],
    })
  }
  return choose(candidates, policy, place)
}

function describeSliceEndpoint(entry: SliceEndpoint, host: string, port: number): Omit<Endpoint, 'sourceName'> {
  return {
    host: host.toLowerCase().replace(/\.$/, ''),
    port,
    weight: 1,
    ready: entry.ready,
    serving: entry.serving,
    terminating: entry.terminating,
    source: 'EndpointSlice',
    ...(entry.hostname !== undefined && { hostname: entry.hostname }),
    ...(entry.nodeName !== undefined && { nodeName: entry.nodeName }),
    ...(entry.zone !== undefined && { zone: entry.zone }),
  }
}

/** No ports at all: a numeric targetPort is taken; a port without a number says nothing (D14). */
function findPortNumbers(ports: readonly SlicePort[], port: ServicePort): readonly number[] {
  if (ports.length === 0) return typeof port.targetPort === 'number' ? [port.targetPort] : []
  return indexPorts(ports).get(`${port.protocol} ${port.name}`) ?? []
}

const portIndexes = new WeakMap<readonly SlicePort[], ReadonlyMap<string, readonly number[]>>()

/** The numbers of ports by protocol and name: each port of a Service asks the same list. */
function indexPorts(ports: readonly SlicePort[]): ReadonlyMap<string, readonly number[]> {
  const known = portIndexes.get(ports)
  if (known) return known
  const index = new Map<string, number[]>()
  for (const { protocol, name, port } of ports) {
    const numbers = index.get(`${protocol} ${name}`) ?? []
    if (port !== undefined) numbers.push(port)
    index.set(`${protocol} ${name}`, numbers)
  }
  portIndexes.set(ports, index)
  return index
}

/** A number holds for every Pod; a name is the container port of that name and protocol (S8, S9). */
function findTargetPort(pod: Pod, port: TargetPort): number | undefined {
  if (typeof port.targetPort === 'number') return port.targetPort
  return pod.ports.find(({ name, protocol }) => name === port.targetPort && protocol === port.protocol)?.containerPort
}

function preferredFamily({ ipFamilies }: EndpointPolicy): 'IPv4' | 'IPv6' {
  return ipFamilies[0] ?? 'IPv4'
}

function pickAddress(addresses: readonly string[], policy: EndpointPolicy): string | undefined {
  const wanted = preferredFamily(policy)
  return addresses.find((address) => (isIPv6(address) ? 'IPv6' : 'IPv4') === wanted) ?? addresses[0]
}

/** D11: a headless Service without a selector is, but it has no Pods either. */
function isDualStack({ ipFamilies, ipFamilyPolicy }: EndpointPolicy): boolean {
  return ipFamilies.length > 1 || ipFamilyPolicy === 'PreferDualStack' || ipFamilyPolicy === 'RequireDualStack'
}

function choose(candidates: readonly Candidate[], policy: EndpointPolicy, place: Place): readonly Endpoint[] {
  const distinct = removeRepeats(removeOtherFamily(candidates, preferredFamily(policy)))
  const local = applyLocalPolicy(distinct, policy, place)
  return applyDistribution(applyHints(local, place), policy, place).map(({ endpoint }) => endpoint)
}

/** Of a target with addresses of both families, one family stays (S32), and knows the address of the other. */
function removeOtherFamily(candidates: readonly Candidate[], wanted: 'IPv4' | 'IPv6'): readonly Candidate[] {
  const reached = new Set(candidates.flatMap(({ target, family }) => (target && family === wanted ? target : [])))
  const others = new Map<string, string>()
  for (const { target, family, endpoint } of candidates) {
    if (family !== wanted && family !== 'FQDN' && reached.has(target)) others.set(target, endpoint.host)
  }
  if (others.size === 0) return candidates.filter(({ target, family }) => family === wanted || !reached.has(target))
  return candidates.flatMap((candidate) => {
    const { target, family, endpoint } = candidate
    if (family !== wanted) return reached.has(target) ? [] : candidate
    const otherAddress = others.get(target)
    return otherAddress === undefined ? candidate : { ...candidate, endpoint: { ...endpoint, otherAddress } }
  })
}

/** While slices are being updated an address may stand in two of them (S28): the one that is better off counts. */
function removeRepeats(candidates: readonly Candidate[]): readonly Candidate[] {
  const kept = new Map<string, Candidate>()
  for (const candidate of candidates) {
    const { host, port, ready, serving } = candidate.endpoint
    const key = `${host} ${port}`
    const other = kept.get(key)?.endpoint
    if (!other || (ready && !other.ready) || (ready === other.ready && serving && !other.serving)) {
      kept.set(key, candidate)
    }
  }
  return [...kept.values()]
}

/** S22; without a node name `Local` means nothing (S23). */
function applyLocalPolicy(
  candidates: readonly Candidate[],
  { internalTrafficPolicy }: EndpointPolicy,
  place: Place,
): readonly Candidate[] {
  if (internalTrafficPolicy !== 'Local' || place.nodeName === '') return candidates
  return candidates.filter(({ endpoint }) => endpoint.nodeName === place.nodeName)
}

/**
 * Hints count only where every ready endpoint has one and one of them is for this place (S26b). Those for other places stay, as
 * distant: they are for when all of this place turn out to be in bad health.
 */
function applyHints(candidates: readonly Candidate[], place: Place): readonly Candidate[] {
  const ready = candidates.filter(({ endpoint }) => endpoint.ready)
  for (const [field, here] of [
    ['hintNodes', place.nodeName],
    ['hintZones', place.zone],
  ] as const) {
    if (here === '' || !ready.every((candidate) => candidate[field].length > 0)) continue
    if (!ready.some((candidate) => candidate[field].includes(here))) continue
    return markDistant(candidates, (candidate) => candidate[field].includes(here))
  }
  return candidates
}

/**
 * S25: a cluster's controller makes hints of the preference, which count where there are any. Without one the preference itself
 * counts, by where endpoints are: the same node before the same zone before all.
 */
function applyDistribution(
  candidates: readonly Candidate[],
  { trafficDistribution }: EndpointPolicy,
  place: Place,
): readonly Candidate[] {
  if (trafficDistribution === undefined) return candidates
  if (candidates.some(({ hintNodes, hintZones }) => hintNodes.length > 0 || hintZones.length > 0)) return candidates
  const ready = candidates.filter(({ endpoint }) => endpoint.ready)
  for (const field of trafficDistribution === 'PreferSameNode'
    ? (['nodeName', 'zone'] as const)
    : (['zone'] as const)) {
    const isHere = ({ endpoint }: Candidate): boolean => place[field] !== '' && endpoint[field] === place[field]
    if (ready.some(isHere)) return markDistant(candidates, isHere)
  }
  return candidates
}

function markDistant(
  candidates: readonly Candidate[],
  isHere: (candidate: Candidate) => boolean,
): readonly Candidate[] {
  return candidates.map((candidate) =>
    !candidate.endpoint.ready || isHere(candidate)
      ? candidate
      : { ...candidate, endpoint: { ...candidate.endpoint, distant: true } },
  )
}
