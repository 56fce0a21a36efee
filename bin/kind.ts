/** The kinds of `portico get`, and their names, as in kubectl. */
import {
  CERTIFICATES,
  dropFirst,
  ENDPOINTS,
  LISTENERS,
  PROBLEMS,
  ROUTES,
  SERVICES,
  SETTING_VIEW,
  type View,
  WORKERS,
} from './print/columns.ts'
import { suggestName } from './suggestion.ts'
import { UsageError } from './usage-error.ts'

const VIEWS = {
  routes: ROUTES,
  services: SERVICES,
  endpoints: ENDPOINTS,
  certificates: CERTIFICATES,
  listeners: LISTENERS,
  workers: WORKERS,
  diagnostics: PROBLEMS,
  settings: SETTING_VIEW,
} as const
export type Kind = keyof typeof VIEWS

export const KINDS = Object.keys(VIEWS) as readonly Kind[]

/** Other names of the kinds: kubectl's names of the objects they come from. */
export const ALIASES: Readonly<Record<Kind, readonly string[]>> = {
  routes: ['ing', 'ingress', 'ingresses'],
  services: ['svc'],
  endpoints: ['ep', 'endpointslice', 'endpointslices'],
  certificates: ['cert', 'certs', 'secret', 'secrets'],
  listeners: [],
  workers: [],
  diagnostics: ['problem', 'problems'],
  settings: [],
}

/** Whose rows come from no object, and so have no labels. */
export const WITHOUT_LABELS: ReadonlySet<Kind> = new Set(['workers', 'settings'])

/** A kind, and the names of the objects to list; without a name all objects of the kind. */
export type Asked = Readonly<{ kind: Kind; names: readonly string[] }>

/** The view of a kind. Its rows have no common type, so callers must pass rows of the same kind. */
export function viewOf(kind: Kind): View<unknown> {
  return VIEWS[kind] as View<unknown>
}

/** `KIND[,KIND...] [NAME...]` or `KIND/NAME...`; at least one word. Each kind once. */
export function readAsked([first = '', ...rest]: readonly string[]): readonly Asked[] {
  if (!first.includes('/')) {
    return [...new Set(first.split(',').map(readKind))].map((kind) => ({ kind, names: rest }))
  }
  const asked = new Map<Kind, string[]>()
  for (const word of [first, ...rest]) {
    const slash = word.indexOf('/')
    if (slash < 1 || slash === word.length - 1) {
      throw new UsageError(
        `"${word}" is not KIND/NAME`,
        'either every word has its kind in front, or the kind is a word',
      )
    }
    const kind = readKind(word.slice(0, slash))
    asked.set(kind, [...(asked.get(kind) ?? []), word.slice(slash + 1)])
  }
  return [...asked].map(([kind, names]) => ({ kind, names }))
}

function readKind(word: string): Kind {
  const typed = word.toLowerCase()
  const kind = KINDS.find((one) => one === typed || one === `${typed}s` || ALIASES[one].includes(typed))
  if (!kind) throw new UsageError(`unknown kind "${word}"`, suggestName(word, KINDS) ?? `one of ${KINDS.join(', ')}`)
  return kind
}

/** `api`, `default/api` and `service/default/api` name the same Service, and its endpoints and listeners. */
export function isNamed(view: View<unknown>, row: unknown, name: string): boolean {
  const full = view.name(row)
  return full === name || dropFirst(full) === name || (view.aliases?.(row).includes(name) ?? false)
}
