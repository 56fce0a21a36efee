/** Folders that kustomize or Helm builds: their files are input of these tools, not manifests to serve. */
import path from 'node:path'
import { composeValue } from './compose.ts'
import { parseSyntax, TooLargeError } from './syntax.ts'
import type { SourceText } from './text.ts'

/** The files by which kustomize and Helm know such a folder. */
export const KUSTOMIZATIONS: readonly string[] = ['kustomization.yaml', 'kustomization.yml', 'Kustomization']
export const CHART = 'Chart.yaml'
/** A larger kustomization is not read. */
export const MAX_KUSTOMIZATION = 262_144

export type BuiltFolder = Readonly<{
  /** The advice for people; `folder` is the folder's name as shown to them. */
  message: (folder: string) => string
  command: (folder: string) => string
  /** True if no file in the folder, or below it, is read. */
  isLeftOut: boolean
  /** Absolute paths of files that are parts of objects, not manifests. */
  parts: readonly string[]
}>

export const CHART_FOLDER: BuiltFolder = {
  message: (folder) => `${folder} is a Helm chart: it is left out`,
  command: (folder) => `helm template ${folder} | portico check -f -`,
  isLeftOut: true,
  parts: [],
}

/** The lists of a kustomization. Patches and the like are parts of objects. */
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
 * A kustomization that builds on files outside of its folder is an overlay, which is incomplete without them. The manifests of
 * all others are read as they are.
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

/** The paths among entries: an entry is a path, a mapping with a path, or an inline patch of several lines. */
function listPaths(entries: unknown): readonly string[] {
  if (!Array.isArray(entries)) return []
  return entries
    .map((entry: unknown) => (typeof entry === 'object' && entry !== null && 'path' in entry ? entry.path : entry))
    .filter((entry): entry is string => typeof entry === 'string' && entry !== '' && !entry.includes('\n'))
}
