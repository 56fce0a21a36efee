/** Lets clients in, or keeps them out, by their addresses. HOT */
import { createAddressSet, normalizeRange } from '../base/cidr.ts'
import { GatewayError } from '../base/errors.ts'
import type { AnnotationForm } from './annotation-form.ts'
import { splitNames } from './field-lines.ts'
import { type AnnotationReader, defineFilter } from './spec.ts'

/** Ranges in normal form; undefined: the list is not there. */
type Options = Readonly<{ deny: readonly string[] | undefined; allow: readonly string[] | undefined }>

const MAX_RANGES = 20_000
/** Most ranges that are printed. */
const MAX_PRINTED = 5

/** Addresses and CIDR ranges, separated by commas or white space; the filter itself checks each. */
const RANGES: AnnotationForm = {
  pattern: /^[\s,]*[0-9A-Fa-f:.]+(?:\/\d{1,3})?(?:[\s,]+[0-9A-Fa-f:.]+(?:\/\d{1,3})?)*[\s,]*$/,
  describeFault: (text) => findFault(splitNames(text)) ?? 'it names no address',
  help: 'write addresses and CIDR ranges with commas between, as in "10.0.0.0/8, 2001:db8::1"',
}

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
      about: 'the same of clients whose requests are answered 403, even where allow-source-range names them too',
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
      // Who is kept out stays out, whatever other checks say.
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

function readRanges(annotations: AnnotationReader, name: string): readonly string[] | undefined {
  const text = annotations.text(name)
  if (text === undefined) return undefined
  const ranges = splitNames(text)
  const fault = ranges.length > MAX_RANGES ? `it has more than ${MAX_RANGES} ranges` : findFault(ranges)
  if (fault !== undefined) {
    annotations.refuse(name, fault, RANGES.help)
    return undefined
  }
  return [...new Set(ranges.map((each) => normalizeRange(each).range))]
}

/** What is wrong with the first range that is none. */
function findFault(ranges: readonly string[]): string | undefined {
  for (const range of ranges) {
    try {
      normalizeRange(range)
    } catch (thrown) {
      return (thrown as RangeError).message
    }
  }
  return undefined
}

function printRanges(ranges: readonly string[]): string {
  const more = ranges.length - MAX_PRINTED
  return ranges.slice(0, MAX_PRINTED).join(' ') + (more > 0 ? ` and ${more} more` : '')
}
