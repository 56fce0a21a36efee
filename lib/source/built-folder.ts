/** Folders that another tool builds: what lies in them is not what is served before kustomize or Helm has made it. */
import path from 'node:path'
import { composeValue } from './compose.ts'
import { parseSyntax, TooLargeError } from './syntax.ts'
import type { SourceText } from './text.ts'

/** The files that make a folder one, as kustomize and Helm look for them. */
export const KUSTOMIZATIONS: readonly string[] = ['kustomization.yaml', 'kustomization.yml', 'Kustomization']
export const CHART = 'Chart.yaml'
/** Larger ones are not looked into. */
export const MAX_KUSTOMIZATION = 262_144

export type BuiltFolder = Readonly<{
  /** What is to be done with it, of the folder as shown to people. */
  message: (folder: string) => string
  command: (folder: string) => string
  /** Nothing in it, or below it, is read. */
  isLeftOut: boolean
  /** Absolute paths of what is no manifest by itself. */
  parts: readonly string[]
}>

export const CHART_FOLDER: BuiltFolder = {
  message: (folder) => `${folder} is a Helm chart: it is left out`,
  command: (folder) => `helm template ${folder} | portico check -f -`,
  isLeftOut: true,
  parts: [],
}

/** What a kustomization lists; patches and the like are parts of objects. */
const LISTED = ['resources', 'bases', 'components']
const PARTS = [
  'patches',
  'patchesStrategicMerge',
  'patchesJson6902',
  'replacements',
  'configurations',
  'transformers',
  'generators',
  'validators',
  'crds',
]

/**
 * One that builds on what lies outside of its folder is an overlay, and says nothing without that. The manifests of any other
 * are read as they are.
 */
export function readKustomization(folder: string, source: SourceText | undefined): BuiltFolder {
  const value = source ? readMapping(source.text) : {}
  const isOverlay =
    value.kind === 'Component' || LISTED.some((field) => listPaths(value[field]).some((each) => each.startsWith('..')))
  return {
    message: (shown) =>
      isOverlay
        ? `${shown} is built by kustomize on other folders: it is left out`
        : `${shown} is built by kustomize: its manifests are read as they are, without what the kustomization changes`,
    command: (shown) => `kubectl kustomize ${shown} | portico check -f -`,
    isLeftOut: isOverlay,
    parts: PARTS.flatMap((field) => listPaths(value[field])).map((each) => path.resolve(folder, each)),
  }
}

function readMapping(text: string): Readonly<Record<string, unknown>> {
  try {
    const { contents, error } = parseSyntax(text)
    const { value } = composeValue(error ? null : contents, 0)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch (error) {
    if (error instanceof TooLargeError) return {}
    throw error
  }
}

/** Entries are paths, or mappings with one; text of several lines is a patch itself. */
function listPaths(entries: unknown): readonly string[] {
  if (!Array.isArray(entries)) return []
  return entries
    .map((entry: unknown) => (typeof entry === 'object' && entry !== null && 'path' in entry ? entry.path : entry))
    .filter((entry): entry is string => typeof entry === 'string' && entry !== '' && !entry.includes('\n'))
}
