import { parseEndpointAddress } from '../../base/endpoint-address.ts'
import {
  createSetting,
  type Form,
  isMapping,
  type Read,
  refuse,
  type Setting,
  type SettingFacts,
  show,
  type ValueProblem,
} from '../setting.ts'
import { splitText } from './list.ts'

type Endpoints = Readonly<Record<string, readonly string[]>>

const SERVICE_KEY = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?\/[a-z0-9]([a-z0-9-]*[a-z0-9])?(:[a-z0-9]([a-z0-9-]*[a-z0-9])?)?$/

/** By Service, lists of `host:port`. As text: `namespace/name[:port]=host:port,host:port`, separated by spaces. */
export function endpoints(facts: SettingFacts<Endpoints>): Setting<Endpoints> {
  return createSetting(facts, {
    read: readEndpoints,
    schema: {
      type: 'object',
      propertyNames: { pattern: '^[a-z0-9-]+/[a-z0-9-]+(:[a-z0-9-]+)?$' },
      additionalProperties: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
    },
    word: 'NS/NAME=HOST:PORT',
    separator: ' ',
  })
}

function readEndpoints(raw: unknown, form: Form): Read<Endpoints> {
  const problems: ValueProblem[] = []
  const entries: [string, unknown][] = []
  if (form === 'text') {
    for (const part of splitText(raw, /\s+/)) {
      const text = String(part)
      const equals = text.indexOf('=')
      if (equals < 1) {
        const help = 'write namespace/name=host:port, as in default/api=127.0.0.1:3000'
        problems.push({ at: [], message: `${show(part)} names no endpoints`, help })
        continue
      }
      entries.push([text.slice(0, equals), splitText(text.slice(equals + 1), /,/)])
    }
  } else if (isMapping(raw)) {
    entries.push(...Object.entries(raw))
  } else {
    return refuse('must be a mapping of Services to lists of endpoints', 'write default/api: ["127.0.0.1:3000"]')
  }
  const value: Record<string, readonly string[]> = Object.create(null)
  for (const [key, list] of entries) {
    if (!SERVICE_KEY.test(key)) {
      const help = 'write namespace/name, or namespace/name:port'
      problems.push({ at: [key], message: `"${key}" names no Service`, help })
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
