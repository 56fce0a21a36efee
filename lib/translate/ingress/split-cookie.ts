/** The cookie that keeps clients with the Service that a divided route has given them: an annotation, or an option of a RoutePolicy. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import { ANNOTATION_DOMAIN } from '../../settings/service.ts'
import { describeText } from '../annotation-schema.ts'
import type { OptionForm, OptionText } from '../route-policy/option-form.ts'
import { type FilterMention, type FilterMentions, reportMention } from './mention.ts'

export const SPLIT_COOKIE_ANNOTATION = `${ANNOTATION_DOMAIN}split-cookie`

/** RFC 6265 §4.1.1: a token. */
const NAME = /^[\w!#$%&'*+\-.^`|~]{1,64}$/

export const SPLIT_COOKIE_SCHEMA = describeText(
  'The name of a cookie that keeps each client with the Service that portico.dev/split has given it.',
  NAME.source,
)

/** What to write. */
export const SPLIT_COOKIE_FORM: OptionForm = { help: 'write letters, digits, "-" and "_", 64 at most, as in "canary"' }

/** Undefined: clients are not kept, or what is said cannot be used. */
export function readSplitCookie(said: FilterMentions): string | undefined {
  const cookie = said.get('split-cookie')
  const name = cookie && readValue(cookie)
  return typeof name === 'string' && NAME.test(name) ? name : undefined
}

/** Reports what an object says and cannot be used. */
export function checkSplitCookie(said: FilterMentions, diagnostics: DiagnosticList): void {
  const cookie = said.get('split-cookie')
  const value = cookie && readValue(cookie)
  if (cookie === undefined || value === undefined || readSplitCookie(said) !== undefined) return
  const { message, help } =
    typeof value === 'string' ? { ...SPLIT_COOKIE_FORM, message: `"${value}" is no name of a cookie` } : value
  reportMention(cookie, message, `${help}; until then no client is kept`, diagnostics)
}

/** Reports a cookie for routes that nothing divides. */
export function reportIdleCookie(cookie: FilterMention, diagnostics: DiagnosticList): void {
  const split = cookie.label.replace(/split.*$/, 'split')
  reportMention(cookie, 'it says nothing without split', `add ${split}, or leave it out`, diagnostics)
}

function readValue({ config }: FilterMention): OptionText {
  return config!.options.value as OptionText
}
