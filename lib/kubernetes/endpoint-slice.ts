/** EndpointSlice: discovery.k8s.io/v1 and v1beta1. */
import { isIPv4, isIPv6 } from 'node:net'
import type { FieldPath } from '../base/position.ts'
import { checkAddress, checkNonSpecial } from './address.ts'
import { checkDnsLabel, checkDnsSubdomain, checkPortNumber, checkQualifiedName } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import { BACKUP_ANNOTATION, type EndpointSlice, type SliceEndpoint, type SlicePort } from './resource.ts'
import { decodeProtocol } from './service-port.ts'

const ADDRESS_TYPES = ['FQDN', 'IPv4', 'IPv6'] as const
type AddressType = (typeof ADDRESS_TYPES)[number]

const SERVICE_LABEL = 'kubernetes.io/service-name'
const MAX_ENDPOINTS = 1000
const MAX_ADDRESSES = 100
const MAX_PORTS = 100
const MAX_HINTS = 8

export function decodeEndpointSlice(root: FieldReader): EndpointSlice {
  return decode(root, (endpoint) => ({ zone: endpoint.string('zone'), nodeName: endpoint.string('nodeName') }))
}

/** In v1beta1 zone and node are keys of `topology`. */
export function decodeBetaEndpointSlice(root: FieldReader): EndpointSlice {
  return decode(root, (endpoint) => {
    const topology = endpoint.stringMap('topology')
    return {
      zone: topology['topology.kubernetes.io/zone'],
      nodeName: endpoint.string('nodeName') ?? topology['kubernetes.io/hostname'],
    }
  })
}

type Place = { zone: string | undefined; nodeName: string | undefined }

function decode(root: FieldReader, readPlace: (endpoint: FieldReader) => Place): EndpointSlice {
  const { report } = root
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const written = root.string('addressType') ?? ''
  const addressType = ADDRESS_TYPES.find((known) => known === written)
  if (written === '') report.required(root.at('addressType'), '', { help: 'add addressType: IPv4' })
  else if (addressType === undefined) report.unsupported(root.at('addressType'), written, ADDRESS_TYPES)
  const items = root.items('endpoints')
  if (items.length > MAX_ENDPOINTS) report.tooMany(root.at('endpoints'), items.length, MAX_ENDPOINTS)
  const endpoints = items
    .slice(0, MAX_ENDPOINTS)
    .map((item, index) => decodeEndpoint(item, index, addressType, readPlace(item)))
  return Object.freeze({
    kind: 'EndpointSlice',
    meta,
    origin: report.origin,
    serviceName: meta.labels[SERVICE_LABEL] || undefined,
    addressType: addressType ?? 'IPv4',
    endpoints: Object.freeze(endpoints),
    backup: readBackup(root, meta.annotations),
    ports: Object.freeze(decodePorts(root)),
  })
}

function readBackup(root: FieldReader, annotations: Readonly<Record<string, string>>): boolean {
  const text = annotations[BACKUP_ANNOTATION]
  if (text === undefined || text === 'true' || text === 'false') return text === 'true'
  const at = root.at('metadata', 'annotations', BACKUP_ANNOTATION)
  const problem = `${BACKUP_ANNOTATION}: "${text}" is neither true nor false`
  root.report.add('PORTICO_ANN_VALUE', problem, at, { help: 'write "true", in quotes', isUsable: true })
  return false
}

function decodeEndpoint(
  endpoint: FieldReader,
  index: number,
  addressType: AddressType | undefined,
  { zone, nodeName }: Place,
): SliceEndpoint {
  const { report } = endpoint
  const addresses = endpoint.strings('addresses')
  if (addresses.length === 0) report.required(endpoint.at('addresses'), 'must contain at least 1 address')
  else if (addresses.length > MAX_ADDRESSES) {
    report.tooMany(endpoint.at('addresses'), addresses.length, MAX_ADDRESSES)
  }
  for (const [position, address] of addresses.entries()) {
    const problems = addressType === undefined ? [] : checkSliceAddress(address, addressType)
    for (const problem of problems) report.invalid(endpoint.at('addresses', position), address, problem)
  }
  const hostname = endpoint.string('hostname')
  if (hostname !== undefined) {
    for (const problem of checkDnsLabel(hostname)) report.invalid(endpoint.at('hostname'), hostname, problem)
  }
  const conditions = endpoint.child('conditions')
  const ready = conditions.boolean('ready') ?? true
  return Object.freeze({
    addresses: Object.freeze(addresses),
    ready,
    // Null means true (D15).
    serving: conditions.boolean('serving') ?? true,
    terminating: conditions.boolean('terminating') ?? false,
    hostname,
    nodeName,
    zone,
    hintZones: Object.freeze(decodeHints(endpoint, 'forZones')),
    hintNodes: Object.freeze(decodeHints(endpoint, 'forNodes')),
    targetName: endpoint.child('targetRef').string('name'),
    index,
  })
}

/** Loopback is allowed (E3): without a cluster endpoints are there. */
function checkSliceAddress(address: string, addressType: AddressType): readonly string[] {
  if (addressType === 'FQDN') {
    const name = address.replace(/\.$/, '')
    const problems = checkDnsSubdomain(name)
    return problems.length === 0 && !name.includes('.') && name !== 'localhost'
      ? ['should be a domain with at least two segments separated by dots']
      : problems
  }
  const problems = checkAddress(address)
  if (problems.length > 0) return problems
  if (!(addressType === 'IPv4' ? isIPv4(address) : isIPv6(address))) return [`must be a valid ${addressType} address`]
  return checkNonSpecial(address, { allowLoopback: true })
}

function decodeHints(endpoint: FieldReader, field: 'forZones' | 'forNodes'): readonly string[] {
  const hints = endpoint.child('hints')
  const items = hints.items(field)
  if (items.length > MAX_HINTS) hints.report.tooMany(hints.at(field), items.length, MAX_HINTS)
  return items.map((item) => item.string('name') ?? '')
}

function decodePorts(root: FieldReader): readonly SlicePort[] {
  const items = root.items('ports')
  if (items.length > MAX_PORTS) root.report.tooMany(root.at('ports'), items.length, MAX_PORTS)
  const names = new Map<string, FieldPath>()
  return items.slice(0, MAX_PORTS).map((port) => {
    const name = port.string('name') ?? ''
    const first = names.get(name)
    if (first) port.report.duplicate(port.at('name'), name, first)
    else names.set(name, port.at('name'))
    return decodeEndpointPort(port)
  })
}

/** A port of a slice or of an Endpoints subset. */
export function decodeEndpointPort(item: FieldReader): SlicePort {
  const { report } = item
  const name = item.string('name') ?? ''
  if (name !== '') for (const problem of checkDnsLabel(name)) report.invalid(item.at('name'), name, problem)
  const protocol = decodeProtocol(item) ?? 'TCP'
  const port = item.integer('port')
  if (port !== undefined) for (const problem of checkPortNumber(port)) report.invalid(item.at('port'), port, problem)
  const appProtocol = item.string('appProtocol')
  if (appProtocol !== undefined) {
    for (const problem of checkQualifiedName(appProtocol)) report.invalid(item.at('appProtocol'), appProtocol, problem)
  }
  return Object.freeze({ name, protocol, port, appProtocol })
}
