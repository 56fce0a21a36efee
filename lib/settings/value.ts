/** Reads the value of one setting, from a document (typed) or from text (a flag, an environment variable). No guessing. */
import { isIP, isIPv6 } from 'node:net'
import { parseAddressRange, parseServiceRange } from '../base/address-range.ts'
import { createAddressSet, isPrivateAddress } from '../base/cidr.ts'
import { DIAGNOSTICS } from '../base/diagnostics.ts'
import { parseEndpointAddress } from '../base/endpoint-address.ts'
import { parseAuthority } from '../base/hostname.ts'
import { BYTES, DURATION, type Measure, parseMeasure } from '../base/measure.ts'
import { findNearest } from '../base/nearest.ts'
import { parsePortRange, printPortRange } from '../base/port-range.ts'
import type { FieldPath } from '../base/position.ts'
import { parseResolverAddress, SYSTEM_RESOLVERS } from '../base/resolver-address.ts'
import { parseStatusRanges } from '../base/status-ranges.ts'
import { MAX_TIMER_MS } from '../base/timers.ts'
import { PRIVATE_KEY } from '../base/veil.ts'
import type { SettingLeaf } from './leaf.ts'
import { SERVICE_SETTINGS_BY_NAME } from './service.ts'
import { MAX_WORKERS } from './table.ts'

/** What is wrong with a value; `at` leads from the setting to the part that is wrong. */
export type ValueProblem = Readonly<{ at: FieldPath; message: string; help: string }>
/** What a text must match, and how people are told to write it. */
type TextForm = Readonly<{ pattern?: string; form?: string }>
export type Read = Readonly<{ value: unknown }> | Readonly<{ problems: readonly ValueProblem[] }>

/** `variable` is the setting's environment variable, for advice. */
export function readSetting(leaf: SettingLeaf, raw: unknown, form: 'document' | 'text', variable: string): Read {
  if (PRIVATE_KEY.test(JSON.stringify(raw) ?? '')) {
    return problem('a private key cannot stand here', 'take it out: who can read this file has the key')
  }
  switch (leaf.type) {
    case 'boolean':
      return readBoolean(raw, form)
    case 'string':
      return readString(raw, form, variable, leaf)
    case 'strings':
      return readStrings(raw, form, leaf)
    case 'integer':
      return readInteger(raw, form, leaf.min ?? Number.MIN_SAFE_INTEGER, leaf.max ?? Number.MAX_SAFE_INTEGER)
    case 'port':
      return readInteger(raw, form, 0, 65_535)
    case 'address':
      return readAddress(raw)
    case 'duration':
      return readMeasure(raw, form, DURATION, leaf.min ?? 0, leaf.max)
    case 'bytes':
      return readMeasure(raw, form, BYTES, leaf.min ?? 0, leaf.max)
    case 'cidrs':
      return readList(raw, form, 'a list of addresses and CIDR ranges', checkCidr)
    case 'addresses':
      return readList(raw, form, 'a list of IP addresses', checkAddress)
    case 'addressRanges':
      return readAddressRanges(raw, form)
    case 'serviceRange':
      return readServiceRange(raw)
    case 'portRange':
      return readPortRange(raw)
    case 'endpoints':
      return readEndpoints(raw, form)
    case 'serviceNames':
      return readList(raw, form, 'a list of Services', checkServiceName)
    case 'codes':
      return readList(raw, form, 'a list of codes', checkCode)
    case 'servers':
      return readList(raw, form, 'a list of DNS servers', (entry) => checkServer(entry, leaf.system === true))
    case 'hostPolicy':
      return readHost(raw)
    case 'hostname':
      return readHostname(raw)
    case 'services':
      return readServices(raw, form, variable)
    case 'workers':
      return readWorkers(raw, form)
    case 'enum':
      return readEnum(raw, leaf.values)
    case 'statuses':
      return readStatuses(raw)
  }
}

function problem(message: string, help: string, at: FieldPath = []): { problems: ValueProblem[] } {
  return { problems: [{ at, message, help }] }
}

/** What a value looks like to the person who wrote it; secrets never come here. */
function show(raw: unknown): string {
  const text = JSON.stringify(raw) ?? String(raw)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function readBoolean(raw: unknown, form: 'document' | 'text'): Read {
  if (typeof raw === 'boolean') return { value: raw }
  if (form === 'text' && (raw === 'true' || raw === 'false')) return { value: raw === 'true' }
  return problem(`${show(raw)} is neither true nor false`, `write true or false${unquoted(form)}`)
}

/** Of what is text anyhow: an annotation has to be quoted in YAML. */
function unquoted(form: 'document' | 'text'): string {
  return form === 'document' ? ', without quotes' : ''
}

function readString(raw: unknown, form: 'document' | 'text', variable: string, textForm: TextForm): Read {
  if (typeof raw !== 'string') return problem('must be a string', 'put the value in quotes')
  if (form === 'document' && /\$\{|\$\(/.test(raw)) {
    return problem('variables are not replaced in this file', `give the value in the environment variable ${variable}`)
  }
  if (/[\0\r\n]/.test(raw)) return problem('must be one line', 'remove the line break')
  const fault = checkForm(raw, textForm)
  return fault ? problem(fault.message, fault.help) : { value: raw }
}

function checkForm(text: string, { pattern, form }: TextForm): { message: string; help: string } | undefined {
  if (pattern === undefined || new RegExp(pattern).test(text)) return undefined
  return { message: `${show(text)} cannot stand here`, help: `write ${form}` }
}

function readEnum(raw: unknown, values: readonly string[]): Read {
  if (typeof raw === 'string' && values.includes(raw)) return { value: raw }
  const near = typeof raw === 'string' ? findNearest(raw, values) : undefined
  return problem(
    `${show(raw)} is not one of ${values.join(', ')}`,
    near ? `did you mean "${near}"?` : `write ${values.join(' or ')}`,
  )
}

function readInteger(raw: unknown, form: 'document' | 'text', min: number, max: number): Read {
  const value = form === 'text' && typeof raw === 'string' && /^-?\d{1,15}$/.test(raw) ? Number(raw) : raw
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    const link = typeof raw === 'string' && /^(tcp|udp):\/\//.test(raw)
    return problem(
      `${show(raw)} is not a whole number`,
      link
        ? 'Kubernetes and Docker set this variable for a Service of that name: set enableServiceLinks: false'
        : `write digits alone${unquoted(form)}`,
    )
  }
  return checkRange(value, min, max, String)
}

function readWorkers(raw: unknown, form: 'document' | 'text'): Read {
  if (raw === 'auto') return { value: raw }
  const read = readInteger(raw, form, 0, MAX_WORKERS)
  const isNumber = 'value' in read || typeof raw === 'number' || /^-?\d+$/.test(String(raw))
  return isNumber
    ? read
    : problem(`${show(raw)} is no number of workers`, `write auto, or a number up to ${MAX_WORKERS}`)
}

/** In YAML a single status is a number. */
function readStatuses(raw: unknown): Read {
  const text = typeof raw === 'number' ? String(raw) : raw
  if (typeof text === 'string' && parseStatusRanges(text)) return { value: text }
  return problem(`${show(raw)} is no list of status codes`, 'write 200-399, or 200,204')
}

function checkRange(value: number, min: number, max: number, print: (value: number) => string): Read {
  if (value >= min && value <= max) return { value }
  const top = max >= MAX_TIMER_MS && max !== 65_535
  const range = top && value < min ? `at least ${print(min)}` : `${print(min)} to ${print(max)}`
  return problem(`${print(value)} is out of range`, `allowed: ${range}`)
}

function readMeasure(raw: unknown, form: 'document' | 'text', measure: Measure, min: number, max = measure.max): Read {
  const { what, example, pattern } = measure
  const zero = raw === 0 || raw === '0'
  const bare = typeof raw === 'number' || (form === 'text' && typeof raw === 'string' && /^-?\d+$/.test(raw))
  if (bare && !zero && !measure.bare) return problem(`${show(raw)} has no unit`, example)
  const text = typeof raw === 'number' ? String(raw) : raw
  if (typeof text !== 'string' || !(zero || pattern.test(text))) return problem(`${show(raw)} is not ${what}`, example)
  const value = zero ? 0 : parseMeasure(text, measure)
  if (!Number.isSafeInteger(value)) return problem(`${show(raw)} is not ${what}`, example)
  return checkRange(value, min, max, measure.print)
}

function readAddress(raw: unknown): Read {
  if (typeof raw === 'string' && isIP(raw) !== 0) return { value: raw }
  const inner = typeof raw === 'string' ? /^\[(.*)\]$/.exec(raw)?.[1] : undefined
  return problem(
    `${show(raw)} is not an IP address`,
    inner !== undefined && isIPv6(inner)
      ? `write it without brackets: "${inner}"`
      : 'write 127.0.0.1 for this machine alone, "::" for every address',
  )
}

/** A list from YAML, or comma-separated text; a flag given several times comes as a list of such texts. */
function readList(
  raw: unknown,
  form: 'document' | 'text',
  what: string,
  check: (entry: string) => { message: string; help: string } | undefined,
): Read {
  const bracketed = form === 'text' && [raw].flat().find(isBracketed)
  if (bracketed)
    return problem(
      `${show(bracketed)} has brackets, which are for files`,
      'write the entries with commas between: one,two',
    )
  const entries = form === 'text' ? splitText(raw, /,/) : raw
  if (!Array.isArray(entries)) return problem(`must be ${what}`, 'write each on its own line after a dash')
  const problems: ValueProblem[] = []
  for (const [index, entry] of entries.entries()) {
    if (typeof entry !== 'string' || entry === '') {
      problems.push({ at: [index], message: `${show(entry)} is not a name`, help: 'put the value in quotes' })
      continue
    }
    const found = check(entry)
    if (found) problems.push({ at: [index], ...found })
  }
  return problems.length > 0 ? { problems } : { value: entries }
}

function readStrings(raw: unknown, form: 'document' | 'text', textForm: TextForm): Read {
  if (textForm.pattern === undefined) return readList(raw, form, 'a list of names', () => undefined)
  // YAML makes numbers of entries that are written without quotes.
  const entries = Array.isArray(raw) ? raw.map((entry) => (typeof entry === 'number' ? String(entry) : entry)) : raw
  return readList(entries, form, 'a list', (entry) => checkForm(entry, textForm))
}

/** A list as YAML or Helm have it, and no IPv6 address. */
function isBracketed(text: unknown): boolean {
  const inner = typeof text === 'string' ? /^[[{]([^[\]]*)[\]}]$/.exec(text.trim())?.[1] : undefined
  return inner !== undefined && !isIPv6(inner)
}

function splitText(raw: unknown, separator: RegExp): unknown {
  const texts = Array.isArray(raw) ? raw : [raw]
  return texts.flatMap((text) =>
    typeof text === 'string'
      ? text
          .split(separator)
          .map((part) => part.trim())
          .filter((part) => part !== '')
      : [text],
  )
}

function checkCidr(entry: string): { message: string; help: string } | undefined {
  try {
    createAddressSet([entry])
    return undefined
  } catch {
    return {
      message: `"${entry}" is not an address or a CIDR range`,
      help: 'write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32',
    }
  }
}

function checkAddress(entry: string): { message: string; help: string } | undefined {
  const read = readAddress(entry)
  const [problem] = 'problems' in read ? read.problems : []
  return problem && { message: problem.message, help: problem.help }
}

function readAddressRanges(raw: unknown, form: 'document' | 'text'): Read {
  const help = 'write 192.0.2.7, 192.0.2.10-192.0.2.20 or 192.0.2.64/28'
  const read = readList(raw, form, 'a list of addresses and ranges', (entry) => {
    const fault = findFault(() => parseAddressRange([entry]))
    return fault === undefined ? checkSpecial(entry) : { message: fault, help }
  })
  if ('problems' in read) return read
  const fault = findFault(() => parseAddressRange(read.value as readonly string[]))
  return fault === undefined ? read : problem(fault, 'name each address once')
}

/** Addresses that no Service can be reached at. */
function checkSpecial(entry: string): { message: string; help: string } | undefined {
  const kind = isPrivateAddress(/^[^-/]*/.exec(entry.trim())![0].trim())
  if (kind !== 'unspecified' && kind !== 'multicast') return undefined
  return { message: `"${entry}" is ${kind}`, help: 'name addresses that this machine has' }
}

function readServiceRange(raw: unknown): Read {
  const help = 'write 127.96.0.0/16 or another CIDR range'
  if (typeof raw !== 'string') return problem(`${show(raw)} is not a CIDR range`, help)
  const fault = findFault(() => parseServiceRange(raw))
  if (fault !== undefined) return problem(fault, help)
  const special = checkSpecial(raw)
  return special ? problem(special.message, special.help) : { value: raw }
}

function readPortRange(raw: unknown): Read {
  const range = typeof raw === 'string' ? parsePortRange(raw) : undefined
  return range ? { value: printPortRange(range) } : problem(`${show(raw)} is not a range of ports`, 'write 30000-32767')
}

function findFault(parse: () => unknown): string | undefined {
  try {
    parse()
    return undefined
  } catch (error) {
    return (error as RangeError).message
  }
}

function checkServiceName(entry: string): { message: string; help: string } | undefined {
  if (SERVICE_NAME.test(entry)) return undefined
  return { message: `"${entry}" names no Service`, help: 'write namespace/name' }
}

function checkCode(entry: string): { message: string; help: string } | undefined {
  if (entry.startsWith('PORTICO_SET_')) {
    return { message: `"${entry}" cannot be left out`, help: 'settings with errors are never used' }
  }
  if (Object.hasOwn(DIAGNOSTICS, entry)) return undefined
  const near = findNearest(entry, Object.keys(DIAGNOSTICS))
  return {
    message: `"${entry}" is no code of a problem`,
    help: near ? `did you mean "${near}"?` : 'check prints the code of each, as PORTICO_REF_NO_ENDPOINTS',
  }
}

function checkServer(entry: string, system: boolean): { message: string; help: string } | undefined {
  if (parseResolverAddress(entry) || (system && entry === SYSTEM_RESOLVERS)) return undefined
  return {
    message: `"${entry}" is not the address of a DNS server`,
    help: `write 192.0.2.53, 192.0.2.53:5353${system ? `, [2001:db8::53]:5353 or ${SYSTEM_RESOLVERS}` : ' or [2001:db8::53]:5353'}`,
  }
}

/** `client`, `endpoint`, or what a Host field may say. */
function readHost(raw: unknown): Read {
  if (typeof raw === 'string' && parseAuthority(raw)?.hostname) return { value: raw }
  return problem(`${show(raw)} is not a Host`, 'write client, endpoint, or a host name with or without a port')
}

/** A DNS name, or nothing. */
function readHostname(raw: unknown): Read {
  const parsed = typeof raw === 'string' && !raw.includes(':') ? parseAuthority(raw) : undefined
  if (parsed && isIP(parsed.hostname) === 0) return { value: parsed.hostname }
  return problem(`${show(raw)} is not a host name`, 'write a DNS name such as api.example.com, without scheme and port')
}

const SERVICE_KEY = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?\/[a-z0-9]([a-z0-9-]*[a-z0-9])?(:[a-z0-9]([a-z0-9-]*[a-z0-9])?)?$/

/** A mapping from YAML, or `namespace/name[:port]=host:port,host:port` separated by spaces. */
function readEndpoints(raw: unknown, form: 'document' | 'text'): Read {
  const problems: ValueProblem[] = []
  const entries: [string, unknown][] = []
  if (form === 'text') {
    const parts = splitText(raw, /\s+/)
    for (const part of Array.isArray(parts) ? parts : []) {
      const text = String(part)
      const equals = text.indexOf('=')
      if (equals < 1) {
        problems.push({
          at: [],
          message: `${show(part)} names no endpoints`,
          help: 'write namespace/name=host:port, as in default/api=127.0.0.1:3000',
        })
        continue
      }
      entries.push([text.slice(0, equals), splitText(text.slice(equals + 1), /,/)])
    }
  } else if (typeof raw === 'object' && raw !== null && !Array.isArray(raw)) {
    entries.push(...Object.entries(raw))
  } else {
    return problem('must be a mapping of Services to lists of endpoints', 'write default/api: ["127.0.0.1:3000"]')
  }
  const value: Record<string, readonly string[]> = Object.create(null)
  for (const [key, list] of entries) {
    if (!SERVICE_KEY.test(key)) {
      problems.push({
        at: [key],
        message: `"${key}" names no Service`,
        help: 'write namespace/name, or namespace/name:port',
      })
    }
    const lines = typeof list === 'string' ? [list] : list
    if (!Array.isArray(lines)) {
      problems.push({ at: [key], message: 'must be a list of endpoints', help: 'write ["127.0.0.1:3000"]' })
      continue
    }
    for (const [index, line] of lines.entries()) {
      const at = typeof list === 'string' ? [key] : [key, index]
      const parsed = typeof line === 'string' ? parseEndpointAddress(line) : notAnEndpoint(line)
      if ('problem' in parsed) problems.push({ at, message: parsed.problem, help: parsed.help })
    }
    // A flag may be given once an endpoint; a YAML mapping has each key once.
    value[key] = [...(value[key] ?? []), ...lines]
  }
  return problems.length > 0 ? { problems } : { value }
}

function notAnEndpoint(line: unknown): { problem: string; help: string } {
  return { problem: `${show(line)} is not an endpoint`, help: 'put host:port in quotes' }
}

const SERVICE_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?\/[a-z0-9]([a-z0-9-]*[a-z0-9])?$/

/** A mapping from YAML, or `namespace/name:setting=value` separated by spaces. */
function readServices(raw: unknown, form: 'document' | 'text', variable: string): Read {
  const entries = form === 'text' ? parseServices(raw) : raw
  if (!isMapping(entries)) {
    return problem('must be a mapping of Services to settings', 'write default/api: {balancer: least-requests}')
  }
  const problems: ValueProblem[] = []
  const value: Record<string, Record<string, unknown>> = Object.create(null)
  for (const [service, given] of Object.entries(entries)) {
    if (!SERVICE_NAME.test(service)) {
      problems.push({ at: [service], message: `"${service}" names no Service`, help: 'write namespace/name' })
    }
    if (!isMapping(given)) {
      const help = 'write them as they stand under upstream: {balancer: least-requests}'
      problems.push({ at: [service], message: 'must be a mapping of settings', help })
    } else {
      const found: Record<string, unknown> = Object.create(null)
      for (const [at, name, inner] of flatten(given, [])) {
        const setting = SERVICE_SETTINGS_BY_NAME.get(name)
        const read = setting ? readSetting(setting.leaf, inner, form, variable) : explainUnknown(name)
        if ('value' in read) found[name] = read.value
        else problems.push(...read.problems.map((each) => ({ ...each, at: [service, ...at, ...each.at] })))
      }
      value[service] = found
    }
  }
  return problems.length > 0 ? { problems } : { value }
}

/** Undefined where the text is none of that form. */
function parseServices(raw: unknown): unknown {
  const services: Record<string, Record<string, string>> = {}
  const parts = splitText(raw, /\s+/)
  for (const part of Array.isArray(parts) ? parts : []) {
    const [, service = '', name = '', value = ''] = /^([^:=]+):([^=]+)=(.*)$/.exec(String(part)) ?? []
    if (service === '') return undefined
    services[service] = { ...services[service], [name]: value }
  }
  return services
}

/** Paths, dotted names and values of what is no group of settings. */
function* flatten(
  mapping: Readonly<Record<string, unknown>>,
  path: readonly string[],
): Generator<readonly [at: readonly string[], name: string, value: unknown]> {
  for (const [key, inner] of Object.entries(mapping)) {
    const at = [...path, key]
    if (isMapping(inner)) yield* flatten(inner, at)
    else yield [at, at.join('.'), inner]
  }
}

function explainUnknown(name: string): { problems: ValueProblem[] } {
  const near = findNearest(name, SERVICE_SETTINGS_BY_NAME.keys())
  return problem(`unknown setting "${name}"`, near ? `did you mean "${near}"?` : 'all under upstream can stand here')
}

function isMapping(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
