/** What of the Ingresses of a configuration moves over from ingress-nginx as it is, object by object, file by file, folder by folder. */
import { countDiagnostics, type Diagnostic, type DiagnosticCode } from '../../base/diagnostics.ts'
import { compareText } from '../../base/order.ts'
import type { SourcePosition } from '../../base/position.ts'
import { type Ingress, printResource } from '../../kubernetes/resource.ts'
import type { ResourceSet } from '../../kubernetes/store.ts'
import type { Settings } from '../../settings/table.ts'
import { pickSettings } from '../settings.ts'
import { type AnnotationVerdict, isAt, isSame, judgeAnnotations, type Support } from './verdict.ts'

export type ObjectReport = Readonly<{
  ingress: Ingress
  position: SourcePosition
  annotations: readonly AnnotationVerdict[]
  /** What else keeps the Ingress from being served as by ingress-nginx. */
  problems: readonly Diagnostic[]
}>

/** How many annotations there are of each kind, and what else needs a hand (`errors`) or differs (`warnings`). */
export type Tally = Readonly<{ exact: number; differs: number; refused: number; errors: number; warnings: number }>

/** A file, or a folder with all that lies in it. */
export type PlaceReport = Readonly<{ place: string; isFolder: boolean; ingresses: number; tally: Tally }>

export type Migration = Readonly<{
  /** By file and line. */
  objects: readonly ObjectReport[]
  /** What could not be read. */
  problems: readonly Diagnostic[]
  places: readonly PlaceReport[]
  total: Tally
  /** True if there are no Services, Secrets and ConfigMaps: then nothing is said of those that Ingresses name. */
  isIngressAlone: boolean
  /** True if what no annotation says is as in ingress-nginx (the setting `compatibility`). */
  hasDefaults: boolean
}>

/** What is said of objects that Ingresses name. */
const REFERENCES: ReadonlySet<DiagnosticCode> = new Set([
  'PORTICO_REF_SERVICE_NOT_FOUND',
  'PORTICO_REF_SECRET_NOT_FOUND',
  'PORTICO_REF_CONFIG_MAP_NOT_FOUND',
])

/** Notices of Ingresses that are not served. */
const UNSERVED = /^PORTICO_REF_CLASS_(?:FOREIGN|MISSING|NOT_FOUND)$/

export function planMigration(
  resources: ResourceSet,
  settings: Settings,
  diagnostics: readonly Diagnostic[],
): Migration {
  const kinds = ['Service', 'Secret', 'ConfigMap'] as const
  const isIngressAlone = kinds.every((kind) => resources.all(kind).length + resources.allRefused(kind).length === 0)
  const told = diagnostics.filter((one) => matters(one) && !(isIngressAlone && REFERENCES.has(one.code)))
  const ofObjects = new Map<string, Diagnostic[]>()
  for (const one of told) {
    const resource = one.resource ?? ''
    ofObjects.set(resource, [...(ofObjects.get(resource) ?? []), one])
  }
  const picked = pickSettings(settings, undefined)
  const objects = [...resources.all('Ingress'), ...resources.allRefused('Ingress')]
    .map((ingress) => reportObject(ingress, ofObjects.get(printResource(ingress)) ?? [], picked))
    .sort((one, other) => comparePositions(one.position, other.position))
  const problems = (ofObjects.get('') ?? []).filter(({ severity }) => severity !== 'info')
  return Object.freeze({
    objects,
    problems,
    places: listPlaces(objects, problems),
    total: addUp(objects, problems),
    isIngressAlone,
    hasDefaults: settings.compatibility === 'ingress-nginx',
  })
}

/** True for what makes a difference to ingress-nginx. Endpoints and certificates are those of the new place anyway. */
function matters(one: Diagnostic): boolean {
  if (one.code === 'PORTICO_REF_NO_ENDPOINTS' || isSame(one)) return false
  return one.severity !== 'info' || UNSERVED.test(one.code) || one.code === 'PORTICO_ROUTE_FILTER_OVERRIDDEN'
}

function reportObject(
  ingress: Ingress,
  all: readonly Diagnostic[],
  settings: ReturnType<typeof pickSettings>,
): ObjectReport {
  // Objects of one name may stand in several files.
  const own = all.filter(({ position }) => position === undefined || position.file === ingress.origin.file)
  const annotations = judgeAnnotations(ingress, settings, own)
  const isTold = (one: Diagnostic): boolean =>
    annotations.some(({ annotation }) => isAt(one, ingress, ['metadata', 'annotations', annotation]))
  return Object.freeze({
    ingress,
    position: ingress.origin.locate(['metadata', 'name']),
    annotations,
    problems: own.filter((one) => !isTold(one) && one.code !== 'PORTICO_ROUTE_FILTER_OVERRIDDEN'),
  })
}

function addUp(objects: readonly ObjectReport[], problems: readonly Diagnostic[]): Tally {
  const annotations = objects.flatMap((one) => one.annotations)
  const count = (support: Support): number => annotations.filter((one) => one.support === support).length
  const others = [...problems, ...objects.flatMap((one) => one.problems)]
  const { error, warning, info } = countDiagnostics(others)
  return Object.freeze({
    exact: count('exact'),
    differs: count('differs'),
    refused: count('refused'),
    errors: error,
    // What decides about classes is a notice, since nothing is wrong about it.
    warnings: warning + info,
  })
}

/** All files that have Ingresses or problems; and the folders that have several of these. */
function listPlaces(objects: readonly ObjectReport[], problems: readonly Diagnostic[]): readonly PlaceReport[] {
  const files = new Set([
    ...objects.map(({ ingress }) => ingress.origin.file),
    ...problems.flatMap(({ position }) => position?.file ?? []),
  ])
  const common = findCommonFolder([...files])
  const folders = new Set([...files].flatMap(listFolders).filter((folder) => folder.startsWith(common)))
  const places = [...folders].filter((folder) => [...files].filter((file) => file.startsWith(folder)).length > 1)
  return [...places, ...files].sort(compareText).map((place) => {
    const isFolder = folders.has(place)
    const isIn = (file: string | undefined): boolean =>
      file !== undefined && (isFolder ? file.startsWith(place) : file === place)
    const inside = objects.filter(({ ingress }) => isIn(ingress.origin.file))
    const tally = addUp(
      inside,
      problems.filter(({ position }) => isIn(position?.file)),
    )
    return Object.freeze({ place, isFolder, ingresses: inside.length, tally })
  })
}

/** `a/` and `a/b/` of `a/b/c.yaml`. */
function listFolders(file: string): string[] {
  return [...file.matchAll(/\//g)].map(({ index }) => file.slice(0, index + 1))
}

/** The folder in which all files lie; empty where that is the one in which the program runs. */
function findCommonFolder([first = '', ...rest]: readonly string[]): string {
  return listFolders(first).findLast((folder) => rest.every((file) => file.startsWith(folder))) ?? ''
}

function comparePositions(one: SourcePosition, other: SourcePosition): number {
  return compareText(one.file, other.file) || one.line - other.line || one.column - other.column
}
