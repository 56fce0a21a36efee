/** Label selectors as kubectl reads them: `app=web,tier!=cache,env in (dev, test),!canary`. */
import { UsageError } from './usage-error.ts'

export type LabelSelector = (labels: Readonly<Record<string, string>>) => boolean

const KEY = '[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?'
const VALUE = '[-A-Za-z0-9_.]*'
const EQUALITY = new RegExp(`^(${KEY})\\s*(==?|!=)\\s*(${VALUE})$`)
const SET = new RegExp(`^(${KEY})\\s+(in|notin)\\s*\\(\\s*(${VALUE}(?:\\s*,\\s*${VALUE})*)\\s*\\)$`)
const PRESENCE = new RegExp(`^(!?)\\s*(${KEY})$`)

/** Throws a UsageError that names the part that cannot be read. */
export function readSelector(text: string): LabelSelector {
  // Commas within parentheses part values.
  const parts = text.split(/,(?![^(]*\))/).map((part) => part.trim())
  const requirements = parts.map(readRequirement)
  return (labels) => requirements.every((holds) => holds(labels))
}

function readRequirement(text: string): LabelSelector {
  const [, name, operator, value] = EQUALITY.exec(text) ?? []
  // As in Kubernetes, an object without the label fulfils != and notin.
  if (name !== undefined) return (labels) => (find(labels, name) === value) === (operator !== '!=')
  const [, key, way, list = ''] = SET.exec(text) ?? []
  if (key !== undefined) {
    const values = list.split(',').map((each) => each.trim())
    return (labels) => {
      const found = find(labels, key)
      return (found !== undefined && values.includes(found)) === (way === 'in')
    }
  }
  const [, not, label] = PRESENCE.exec(text) ?? []
  if (label !== undefined) return (labels) => (find(labels, label) !== undefined) === (not === '')
  throw new UsageError(
    `-l: "${text}" is no label selector`,
    "write one as in -l app=web, -l 'tier!=cache', -l 'env in (dev, test)' or -l '!canary'",
  )
}

function find(labels: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(labels, name) ? labels[name] : undefined
}
