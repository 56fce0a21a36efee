/** The annotations that say which requests the routes of an Ingress take: their names without the domain, and what their values are. */
import type { Schema } from '../../settings/setting.ts'
import { describeChoices, describeText } from '../annotation-schema.ts'
import type { OptionForm } from '../route-policy/option-form.ts'

const LINES = 'one a line: "name: value", "name: ~expression", "name" or "!name"'

export const MATCH_ANNOTATIONS = {
  'match-methods': describeText('Methods, as in GET, HEAD: the routes take requests that have one of them.'),
  'match-headers': describeText(
    `Conditions on header fields, ${LINES}: the routes take requests that meet all of them.`,
  ),
  'match-query': describeText(`Conditions on parameters, ${LINES}: the routes take requests that meet all of them.`),
  'match-cookies': describeText(`Conditions on cookies, ${LINES}: the routes take requests that meet all of them.`),
  'match-client-addresses': describeText(
    'Addresses and CIDR ranges, as in 10.0.0.0/8, fd00::/8: the routes take requests of these clients.',
  ),
  priority: describeText(
    'Which routes go first: those with the higher number, from -1000000 to 1000000; 0 where it is left out.',
    '^[+-]?\\d{1,7}$',
  ),
  'path-type': describeChoices(
    'regex: paths of type ImplementationSpecific are regular expressions (RE2); host-regex: so are all paths of the hosts of the Ingress, and the case of letters makes no difference.',
    ['regex', 'host-regex'],
  ),
} as const satisfies Readonly<Record<string, Schema>>

export type MatchAnnotation = keyof typeof MATCH_ANNOTATIONS

/** Whole numbers of this size and below, of either sign. */
export const MAX_PRIORITY = 1_000_000

const CONDITIONS: OptionForm = {
  structure: 'conditions',
  help: 'write one condition a line: "name: value", "name: ~expression", "name" or "!name"',
}

/** What to write, and how a RoutePolicy may write it. */
export const MATCH_FORMS: Readonly<Record<MatchAnnotation, OptionForm>> = {
  'match-methods': { structure: 'list', help: 'write methods, as in "GET, HEAD"' },
  'match-headers': CONDITIONS,
  'match-query': CONDITIONS,
  'match-cookies': CONDITIONS,
  'match-client-addresses': {
    structure: 'list',
    help: 'write addresses or CIDR ranges, as in "10.0.0.0/8, fd00::/8"',
  },
  priority: {
    help: `write a whole number from -${MAX_PRIORITY} to ${MAX_PRIORITY}; the highest goes first, and 0 is that of other routes`,
  },
  'path-type': {
    help: 'write regex, and have paths that are regular expressions of pathType ImplementationSpecific; or host-regex',
  },
}

/** A client that is kept away must not come in because of a mistake. */
export const ADDRESSES = 'match-client-addresses' satisfies MatchAnnotation

/** Without them the routes would take more requests than they are to. */
export function isCondition(name: string): name is MatchAnnotation {
  return name.startsWith('match-') && Object.hasOwn(MATCH_ANNOTATIONS, name)
}
