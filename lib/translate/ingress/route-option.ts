/** What is said of routes and upstreams beside filters: conditions, priority, type of paths, split, and settings of upstreams. */
import { ANNOTATION_DOMAIN, SERVICE_SETTINGS_BY_ANNOTATION } from '../../settings/service.ts'
import type { OptionForm, OptionText } from '../route-policy/option-form.ts'
import { HOST_FORMS } from './host-option.ts'
import { isCondition, MATCH_FORMS, type MatchAnnotation } from './match-annotation.ts'
import type { FilterMention, FilterMentions } from './mention.ts'
import { SPLIT_FORM } from './split.ts'
import { SPLIT_COOKIE_FORM } from './split-cookie.ts'

const SETTING_FORMS = [...SERVICE_SETTINGS_BY_ANNOTATION].map(([annotation, { separator }]): [string, OptionForm] => [
  annotation.slice(ANNOTATION_DOMAIN.length),
  { help: 'write a text, a number or a boolean', ...(separator === ',' && { structure: 'list' as const }) },
])

/** By the names of annotations without the domain: how a RoutePolicy may write them. */
export const ROUTE_OPTIONS: ReadonlyMap<string, OptionForm> = new Map([
  ...Object.entries(MATCH_FORMS),
  ...Object.entries(HOST_FORMS),
  ['split', SPLIT_FORM],
  ['split-cookie', SPLIT_COOKIE_FORM],
  ...SETTING_FORMS,
])

/** What an object says: the text, or what is wrong with what it has instead; undefined: it does not speak of it. */
export function readRouteOption(said: FilterMentions, name: string): OptionText | undefined {
  return said.get(name)?.config?.options.value as OptionText | undefined
}

/** The first mention of a condition, of a priority or of the type of paths; undefined: there is none. */
export function findMatchMention(said: FilterMentions): FilterMention | undefined {
  const name = (Object.keys(MATCH_FORMS) as MatchAnnotation[]).find((one) => said.has(one))
  return name === undefined ? undefined : said.get(name)
}

/** The first mention of a condition; undefined: there is none. */
export function findCondition(said: FilterMentions): FilterMention | undefined {
  const name = Object.keys(MATCH_FORMS).find((one) => isCondition(one) && said.has(one))
  return name === undefined ? undefined : said.get(name)
}
