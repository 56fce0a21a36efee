/** Filters that no annotation writes: what they are to do follows from something else. */
import { findFilter } from '../../filters/registry.ts'
import { readFilter } from '../../filters/spec.ts'
import type { FilterConfig } from '../../model/filter.ts'

/** `texts` are the values of the filter's annotations, by their names without the domain; undefined: they cannot be used. */
export function makeFilter(name: string, texts: Readonly<Record<string, string>>): FilterConfig | undefined {
  const none = () => undefined
  const options = readFilter(findFilter(name), {
    text: (option) => texts[option],
    content: none,
    entries: none,
    upstream: none,
    server: none,
    secret: none,
    refuse: none,
  })
  return options && Object.freeze({ name, options: Object.freeze(options) })
}
