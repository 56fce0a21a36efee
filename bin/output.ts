/** The value of `-o`. */
import type { Typed } from './flag.ts'
import { suggestName } from './suggestion.ts'
import { UsageError } from './usage-error.ts'

/** The first form is the default. Throws a UsageError for a form that the verb does not have. */
export function readOutput<const Form extends string>(typed: Typed, forms: readonly [Form, ...Form[]]): Form {
  const asked = typed.value('output')
  if (asked === undefined) return forms[0]
  const form = forms.find((one) => one === asked)
  if (form === undefined) {
    throw new UsageError(`-o ${asked} is not known here`, suggestName(asked, forms) ?? `forms: ${forms.join(', ')}`)
  }
  return form
}
