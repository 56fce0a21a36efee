/**
 * Reads an unquoted scalar like kubectl does (YAML 1.1 booleans and octal numbers), so that a manifest means the same here as in
 * a cluster.
 */

const NULL = /^(?:~|null|Null|NULL)?$/
const TRUE = /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/
const FALSE = /^(?:n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/
const DECIMAL = /^[-+]?(?:0|[1-9][0-9_]*)$/
const OCTAL = /^([-+]?)0o?([0-7_]+)$/
const RADIX = /^([-+]?)(0x[0-9a-fA-F_]+|0b[01_]+)$/
const FLOAT = /^[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/
const INFINITE = /^([-+]?)\.(?:inf|Inf|INF)$/
const NOT_A_NUMBER = /^\.(?:nan|NaN|NAN)$/

/** The scalar's value: null, a boolean, a number, or the text itself. */
export function resolveScalar(text: string): string | number | boolean | null {
  // Most scalars begin with a letter that no special form begins with.
  const first = text.charCodeAt(0)
  if ((first >= 97 && first <= 122) || (first >= 65 && first <= 90)) {
    if (text.length > 5) return text
    if (TRUE.test(text)) return true
    if (FALSE.test(text)) return false
    return NULL.test(text) ? null : text
  }
  if (NULL.test(text)) return null
  if (DECIMAL.test(text)) return Number(text.replaceAll('_', ''))
  const octal = OCTAL.exec(text)
  if (octal) return sign(octal[1]) * Number.parseInt((octal[2] as string).replaceAll('_', ''), 8)
  const radix = RADIX.exec(text)
  if (radix) return sign(radix[1]) * Number((radix[2] as string).replaceAll('_', ''))
  if (FLOAT.test(text)) return Number(text.replaceAll('_', ''))
  const infinite = INFINITE.exec(text)
  if (infinite) return sign(infinite[1]) * Number.POSITIVE_INFINITY
  return NOT_A_NUMBER.test(text) ? Number.NaN : text
}

function sign(text: string | undefined): number {
  return text === '-' ? -1 : 1
}
