/** Endpoints: v1, the older form of EndpointSlice. */
import { checkAddress, checkNonSpecial } from './address.ts'
import { decodeEndpointPort } from './endpoint-slice.ts'
import { checkDnsLabel, checkDnsSubdomain } from './format.ts'
import { decodeMeta } from './metadata.ts'
import type { FieldReader } from './reader.ts'
import type { Endpoints, EndpointsAddress } from './resource.ts'

export function decodeEndpoints(root: FieldReader): Endpoints {
  const meta = decodeMeta(root, 'namespaced', checkDnsSubdomain)
  const subsets = root.items('subsets').map((subset, index) => {
    const addresses = decodeAddresses(subset, 'addresses')
    const notReadyAddresses = decodeAddresses(subset, 'notReadyAddresses')
    if (addresses.length === 0 && notReadyAddresses.length === 0) {
      root.report.required(subset.path, 'must specify `addresses` or `notReadyAddresses`', { help: 'add addresses' })
    }
    return Object.freeze({ addresses, notReadyAddresses, ports: Object.freeze(decodePorts(subset)), index })
  })
  return Object.freeze({ kind: 'Endpoints', meta, origin: root.report.origin, subsets: Object.freeze(subsets) })
}

/** Loopback is allowed, as in slices (E3): without a cluster endpoints are there. */
function decodeAddresses(subset: FieldReader, field: 'addresses' | 'notReadyAddresses'): readonly EndpointsAddress[] {
  const addresses = subset.items(field).map((address) => {
    const ip = address.string('ip') ?? ''
    const malformed = checkAddress(ip)
    const problems = malformed.length > 0 ? malformed : checkNonSpecial(ip, { allowLoopback: true })
    for (const problem of problems) address.report.invalid(address.at('ip'), ip, problem)
    const hostname = address.string('hostname')
    if (hostname) {
      for (const problem of checkDnsLabel(hostname)) address.report.invalid(address.at('hostname'), hostname, problem)
    }
    return Object.freeze({ ip, hostname, targetName: address.child('targetRef').string('name') })
  })
  return Object.freeze(addresses)
}

function decodePorts(subset: FieldReader): Endpoints['subsets'][number]['ports'] {
  const items = subset.items('ports')
  return items.map((item) => {
    if (items.length > 1 && !item.string('name')) item.report.required(item.at('name'))
    if (!item.has('port')) item.report.invalid(item.at('port'), 0, 'must be between 1 and 65535, inclusive')
    return decodeEndpointPort(item)
  })
}
