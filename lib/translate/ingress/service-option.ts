/** What an Ingress says of the Services of its paths: settings that no route has for itself. */
import type { Ingress } from '../../kubernetes/resource.ts'
import { ANNOTATION_DOMAIN, SERVICE_SETTINGS_BY_ANNOTATION } from '../../settings/service.ts'
import { type FilterMention, type FilterMentions, NO_MENTIONS } from './mention.ts'
import { readAliases } from './nginx/alias.ts'

/** An object does not change. */
const known = new WeakMap<Ingress, FilterMentions>()

/** By the names of annotations without the domain; an Ingress says it with annotations of ingress-nginx alone. */
export function readServiceOptions(ingress: Ingress): FilterMentions {
  let found = known.get(ingress)
  if (found === undefined) {
    found = readAll(ingress)
    known.set(ingress, found)
  }
  return found
}

function readAll(owner: Ingress): FilterMentions {
  const mentions = new Map<string, FilterMention>()
  for (const [name, { value, annotation }] of readAliases(owner).options) {
    const setting = SERVICE_SETTINGS_BY_ANNOTATION.get(ANNOTATION_DOMAIN + name)
    if (setting === undefined || setting.route) continue
    const config = Object.freeze({ name, options: Object.freeze({ value }) })
    const field = ['metadata', 'annotations', annotation]
    mentions.set(name, { config, owner, label: annotation, field, shown: 'line' })
  }
  return mentions.size === 0 ? NO_MENTIONS : mentions
}
