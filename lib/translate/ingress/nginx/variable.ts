/** Variables of nginx in URLs, as Portico's own (docs/filters.md, Variables). */
import { findEquivalent } from '../../../filters/field-template.ts'
import type { NginxReader } from './feature.ts'

/** Says `option` in the place of the annotation `name`, or closes the routes where the URL has a variable that is not there. */
export function writeUrl(nginx: NginxReader, option: string, url: string, name: string): void {
  const { text, unknown } = translateVariables(url)
  if (unknown === undefined) nginx.set(option, translateGroups(text), name)
  else nginx.close(name, `the variable ${unknown} is not there`, 'write a URL without it')
}

/** The text with Portico's own variables, and the first variable of nginx that has no such; undefined: all have. */
export function translateVariables(written: string): Readonly<{ text: string; unknown: string | undefined }> {
  let unknown: string | undefined
  const text = written.replace(/(?<!\$)\$\{?([a-z]\w*)\}?/g, (variable) => {
    const own = findEquivalent(variable)
    if (own === undefined) unknown ??= variable
    return `\${${own}}`
  })
  return { text, unknown }
}

/** `$1` is a group of the path of the rule. */
export function translateGroups(text: string): string {
  return text.replace(/\$([1-9])/g, (_, group) => `\${match.${group}}`)
}
