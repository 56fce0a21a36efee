/** The addresses and families of a Service that has a virtual IP (ValidateServiceClusterIPsRelatedFields). */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import { checkAddress } from './address.ts'
import type { FieldReader } from './reader.ts'

const FAMILIES = ['IPv4', 'IPv6']
const FAMILY_POLICIES = ['SingleStack', 'PreferDualStack', 'RequireDualStack']

/** Checks `clusterIPs`, already completed from clusterIP. */
export function checkServiceAddresses(
  spec: FieldReader,
  clusterIP: string | undefined,
  clusterIPs: readonly string[],
): void {
  const { report } = spec
  // If only clusterIP is written, problems are reported there.
  const isWritten = spec.has('clusterIPs')
  const at = isWritten ? spec.at('clusterIPs') : spec.at('clusterIP')
  const addInvalid = (detail: string, help?: string): void => {
    report.invalid(spec.at('clusterIPs'), clusterIPs, detail, { at, help })
  }
  if (clusterIP !== undefined && clusterIPs[0] !== clusterIP) addInvalid('first value must match `clusterIP`')
  if (clusterIP === undefined && clusterIPs.length > 0) {
    addInvalid('must be empty when `clusterIP` is not specified', `add clusterIP: ${clusterIPs[0]}`)
  }
  checkFamilies(spec)
  let usable = true
  for (const [index, address] of clusterIPs.entries()) {
    if (index === 0 && address === 'None') {
      if (clusterIPs.length > 1) {
        usable = false
        addInvalid("'None' must be the first and only value")
      }
      continue
    }
    for (const problem of checkAddress(address)) {
      usable = false
      const place = isWritten ? spec.at('clusterIPs', index) : at
      report.invalid(spec.at('clusterIPs', index), address, problem, { at: place })
    }
  }
  if (clusterIPs.length > 2) addInvalid('may only hold up to 2 values')
  if (clusterIPs[0] === 'None') return
  const isDual = clusterIPs.some(isIPv4) && clusterIPs.some(isIPv6)
  if (usable && clusterIPs.length > 1 && !isDual) addInvalid('may specify no more than one IP for each IP family')
  for (const [index, family] of spec.strings('ipFamilies').entries()) {
    const address = clusterIPs[index]
    if (address === undefined || isIP(address) === 0 || !FAMILIES.includes(family)) continue
    if (isIPv4(address) !== (family === 'IPv4')) {
      const detail = `expected an ${family} value as indicated by \`ipFamilies[${index}]\``
      const place = isWritten ? spec.at('clusterIPs', index) : at
      report.invalid(spec.at('clusterIPs', index), address, detail, { at: place })
    }
  }
}

function checkFamilies(spec: FieldReader): void {
  const { report } = spec
  const families = spec.strings('ipFamilies')
  for (const [index, family] of families.entries()) {
    const at = spec.at('ipFamilies', index)
    if (!FAMILIES.includes(family)) report.unsupported(at, family, FAMILIES)
    const first = families.indexOf(family)
    if (first < index) report.duplicate(at, family, spec.at('ipFamilies', first))
  }
  const policy = spec.string('ipFamilyPolicy')
  if (policy !== undefined && !FAMILY_POLICIES.includes(policy)) {
    report.unsupported(spec.at('ipFamilyPolicy'), policy, FAMILY_POLICIES)
  }
}
