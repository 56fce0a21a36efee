/** Checks formats of names and values. Each returns the problems, in the words of apimachinery's util/validation. */

const DNS_LABEL = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const DNS_1035_LABEL = '[a-z]([-a-z0-9]*[a-z0-9])?'
const DNS_SUBDOMAIN = String.raw`${DNS_LABEL}(\.${DNS_LABEL})*`
const WILDCARD_SUBDOMAIN = String.raw`\*\.${DNS_SUBDOMAIN}`
const QUALIFIED_NAME = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const LABEL_VALUE = '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'
const CONFIG_KEY = '[-._a-zA-Z0-9]+'

const DNS_LABEL_PATTERN = anchor(DNS_LABEL)
const DNS_1035_LABEL_PATTERN = anchor(DNS_1035_LABEL)
const DNS_SUBDOMAIN_PATTERN = anchor(DNS_SUBDOMAIN)
const WILDCARD_SUBDOMAIN_PATTERN = anchor(WILDCARD_SUBDOMAIN)
const QUALIFIED_NAME_PATTERN = anchor(QUALIFIED_NAME)
const LABEL_VALUE_PATTERN = anchor(LABEL_VALUE)
const CONFIG_KEY_PATTERN = anchor(CONFIG_KEY)

/** RFC 1123 label: namespaces, port names. */
export function checkDnsLabel(value: string): readonly string[] {
  const problems = checkLength(value, 63)
  if (matches(DNS_LABEL_PATTERN, value)) return problems
  if (matches(DNS_SUBDOMAIN_PATTERN, value)) return [...problems, 'must not contain dots']
  const rule =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character"
  return [...problems, printPattern(rule, DNS_LABEL, 'my-name', '123-abc')]
}

/** RFC 1035 label: Service names. */
export function checkDns1035Label(value: string): readonly string[] {
  const problems = checkLength(value, 63)
  if (matches(DNS_1035_LABEL_PATTERN, value)) return problems
  const rule =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character"
  return [...problems, printPattern(rule, DNS_1035_LABEL, 'my-name', 'abc-123')]
}

/** RFC 1123 subdomain: most names, hosts. */
export function checkDnsSubdomain(value: string): readonly string[] {
  const problems = checkLength(value, 253)
  if (matches(DNS_SUBDOMAIN_PATTERN, value)) return problems
  const rule =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
  return [...problems, printPattern(rule, DNS_SUBDOMAIN, 'example.com')]
}

export function checkWildcardSubdomain(value: string): readonly string[] {
  const problems = checkLength(value, 253)
  if (matches(WILDCARD_SUBDOMAIN_PATTERN, value)) return problems
  const rule =
    "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
  return [...problems, printPattern(rule, WILDCARD_SUBDOMAIN, '*.example.com')]
}

/** `prefix/name`: label and annotation keys, appProtocol, loadBalancerClass. */
export function checkQualifiedName(value: string): readonly string[] {
  const rule =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
  const pattern = printPattern(rule, QUALIFIED_NAME, 'MyName', 'my.name', '123-abc')
  const parts = value.split('/')
  const name = parts.at(-1) ?? ''
  if (parts.length > 2) {
    return [`a qualified name ${pattern} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`]
  }
  const problems: string[] = []
  const prefix = parts.length === 2 ? (parts[0] as string) : undefined
  if (prefix === '') problems.push('prefix part must be non-empty')
  else if (prefix !== undefined) problems.push(...checkDnsSubdomain(prefix).map((problem) => `prefix part ${problem}`))
  if (name === '') problems.push('name part must be non-empty')
  problems.push(...checkLength(name, 63).map((problem) => `name part ${problem}`))
  if (!matches(QUALIFIED_NAME_PATTERN, name)) problems.push(`name part ${pattern}`)
  return problems
}

export function checkLabelValue(value: string): readonly string[] {
  const problems = checkLength(value, 63)
  if (matches(LABEL_VALUE_PATTERN, value)) return problems
  const rule =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
  return [...problems, printPattern(rule, LABEL_VALUE, 'MyValue', 'my_value', '12345')]
}

/** Keys of a Secret's or ConfigMap's data. */
export function checkConfigKey(value: string): readonly string[] {
  const problems = checkLength(value, 253)
  if (!matches(CONFIG_KEY_PATTERN, value)) {
    const rule = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    return [...problems, printPattern(rule, CONFIG_KEY, 'key.name', 'KEY_NAME', 'key-name')]
  }
  if (value === '.' || value === '..') return [...problems, `must not be '${value}'`]
  return value.startsWith('..') ? [...problems, "must not start with '..'"] : problems
}

/** Container port names: targetPort, an Ingress's port name. */
export function checkPortName(value: string): readonly string[] {
  const problems = [...checkLength(value, 15)]
  if (value.length > 4096) return problems
  if (!/^[-a-z0-9]+$/.test(value)) {
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  }
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)')
  if (value.includes('--')) problems.push('must not contain consecutive hyphens')
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen')
  return problems
}

export function checkPortNumber(value: number): readonly string[] {
  return value >= 1 && value <= 65_535 ? [] : ['must be between 1 and 65535, inclusive']
}

function checkLength(value: string, limit: number): readonly string[] {
  return Buffer.byteLength(value) > limit ? [`must be no more than ${limit} characters`] : []
}

/** Prints a rule like apimachinery's RegexError, with its two blanks before "or". */
function printPattern(rule: string, pattern: string, ...examples: readonly string[]): string {
  const shown = examples.map((example) => `'${example}', `).join(' or ')
  return `${rule} (e.g. ${shown}regex used for validation is '${pattern}')`
}

/** A very long text breaks the length rule anyway, so it is not tested against the pattern. */
function matches(pattern: RegExp, value: string): boolean {
  return value.length <= 4096 && pattern.test(value)
}

function anchor(pattern: string): RegExp {
  return new RegExp(`^${pattern}$`)
}
