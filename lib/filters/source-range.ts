/** Lets clients in, or keeps them out, by their addresses. HOT */
import { createAddressSet } from '../base/cidr.ts'
import { GatewayError } from '../base/errors.ts'
import { printRanges, RANGES, readRanges } from './address-ranges.ts'
import { defineFilter } from './spec.ts'

/** Ranges in normal form; undefined: the list is not there. */
type Options = Readonly<{ deny: readonly string[] | undefined; allow: readonly string[] | undefined }>

export const SOURCE_RANGE = defineFilter<Options>({
  name: 'source-range',
  order: 120,
  isGuard: true,
  annotations: {
    'allow-source-range': {
      about:
        'addresses and CIDR ranges, IPv4 and IPv6, with commas between: requests of all other clients are answered 403',
      form: RANGES,
    },
    'deny-source-range': {
      about:
        'addresses and CIDR ranges, with commas between, whose clients are answered 403, even if allow-source-range names them too',
      form: RANGES,
    },
  },
  read(annotations) {
    const deny = readRanges(annotations, 'deny-source-range')
    const allow = readRanges(annotations, 'allow-source-range')
    return deny || allow ? { deny, allow } : undefined
  },
  print: ({ deny, allow }) =>
    [...(deny ? [`refuses ${printRanges(deny)}`] : []), ...(allow ? [`admits ${printRanges(allow)}`] : [])].join(', '),
  create({ deny, allow }) {
    const denied = deny && createAddressSet(deny)
    const allowed = allow && createAddressSet(allow)
    return {
      // A client that is denied stays out, whatever other checks say.
      ...(denied && {
        request: ({ clientAddress }) =>
          denied.has(clientAddress) ? refuse(clientAddress, 'is in deny-source-range') : undefined,
      }),
      ...(allowed && {
        check: ({ clientAddress }) =>
          allowed.has(clientAddress) ? undefined : refuse(clientAddress, 'is not in allow-source-range'),
      }),
    }
  },
})

function refuse(address: string, why: string): GatewayError {
  return new GatewayError('PORTICO_REQ_CLIENT_DENIED', `${address} ${why}`)
}
