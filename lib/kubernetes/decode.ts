/** Turns documents into resources: splits lists, checks and decodes each object, and sets the settings aside. */
import path from 'node:path'
import { type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { type Origin, redirectOrigin } from '../base/position.ts'
import { veilOrigin } from '../base/veil.ts'
import type { SourceDocument } from '../source/document.ts'
import { decodeController } from './ingress-controller.ts'
import { judgeKind, type KindDecoder } from './kind.ts'
import { FieldReader } from './reader.ts'
import { ProblemReport } from './report.ts'
import type { Resource } from './resource.ts'
import { mayBeSecret, mayBeShown } from './secret.ts'
import { checkShape, isMapping } from './shape.ts'
import type { UnservedRole } from './unserved.ts'

export type Decoded = {
  readonly resources: readonly Resource[]
  /** Objects with errors, as far as they could be read. They are never served; their references are still checked. */
  readonly refused: readonly Resource[]
  /** GatewayConfiguration documents, undecoded. */
  readonly settings: readonly SourceDocument[]
  /** The number of objects, with those of other kinds and those that cannot be used. */
  readonly objects: number
}

/** Decodes all objects of `documents`; an object with an error is reported and refused. */
export function decodeDocuments(documents: readonly SourceDocument[], diagnostics: DiagnosticList): Decoded {
  const decoder = new DocumentDecoder(diagnostics)
  for (const document of documents) decoder.decode(document)
  const { resources, refused, settings, objects } = decoder
  return Object.freeze({ resources, refused, settings, objects })
}

/** Most problems listed for one object. */
const MAX_PROBLEMS = 100

class DocumentDecoder {
  readonly resources: Resource[] = []
  readonly refused: Resource[] = []
  readonly settings: SourceDocument[] = []
  objects = 0
  readonly #diagnostics: DiagnosticList

  constructor(diagnostics: DiagnosticList) {
    this.#diagnostics = diagnostics
  }

  /** `isFlawed`: the document is an item of a list that has flaws itself. */
  decode(written: SourceDocument, isFlawed: boolean = false): void {
    const document = mayBeSecret(written.value)
      ? { ...written, origin: veilOrigin(written.origin, mayBeShown) }
      : written
    const { value, origin } = document
    if (!isMapping(value)) {
      this.objects++
      this.#addNotAnObject(document)
      this.#diagnostics.addAll(document.flaws ?? [])
      return
    }
    const { flaws = [] } = document
    const apiVersion = readType(value, 'apiVersion')
    const kind = readType(value, 'kind')
    if (kind?.endsWith('List')) {
      const items = readItems(value, apiVersion, kind)
      if (items) {
        this.#decodeList(document, items, apiVersion, kind)
        return
      }
    }
    this.objects++
    if (apiVersion === undefined || kind === undefined) {
      if (flaws.length === 0) this.#addMissingType(value, document)
      this.#diagnostics.addAll(flaws)
      const verdict = judgeKind(apiVersion ?? '', kind ?? '')
      if (verdict.type === 'unknown' && verdict.meant !== undefined) this.refused.push(readAs(verdict.meant, document))
      return
    }
    const verdict = judgeKind(apiVersion, kind)
    const isServed = verdict.type === 'decode' || verdict.type === 'settings'
    this.#addFlaws(flaws, isServed)
    const isRefused = isFlawed || flaws.length > 0
    if (verdict.type === 'settings') {
      if (!isRefused) this.settings.push(document)
    } else if (verdict.type === 'decode') this.#decodeObject(document, kind, verdict.decoder, isRefused)
    else if (verdict.type === 'workload') {
      const controller = isRefused ? undefined : decodeController(readQuietly(document), verdict.kind)
      if (controller !== undefined) this.resources.push(controller)
    } else if (verdict.type === 'unserved') this.#addUnserved(document, value, kind, verdict.role)
    else if (verdict.type === 'unknown') {
      const { field, help, meant } = verdict
      const severity = document.inFolder && verdict.isForeign ? 'info' : verdict.severity
      const message = `no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`
      const position = origin.locate([field])
      const resource = printObject(kind, value)
      this.#diagnostics.add('PORTICO_RES_KIND_UNKNOWN', message, { position, resource, help, severity })
      if (meant !== undefined) this.refused.push(readAs(meant, document))
    }
  }

  #addUnserved(
    { origin }: SourceDocument,
    value: Readonly<Record<string, unknown>>,
    kind: string,
    role: UnservedRole,
  ): void {
    const isRoute = role === 'routes'
    const what = isRoute
      ? 'is not served: what it routes is not reachable here'
      : 'is not enforced: nothing here guards what it guards'
    this.#diagnostics.add('PORTICO_RES_KIND_UNSERVED', `kind ${JSON.stringify(kind)} ${what}`, {
      position: origin.locate(['kind']),
      resource: printObject(kind, value),
      help: isRoute
        ? 'write an Ingress of networking.k8s.io/v1 for it'
        : 'let what stands before or behind the gateway enforce it',
    })
  }

  /** Decodes a v1 List, or a list of one kind, whose items need not repeat the kind. */
  #decodeList(list: SourceDocument, items: readonly unknown[], apiVersion: string | undefined, kind: string): void {
    const itemKind = kind === 'List' ? undefined : kind.slice(0, -'List'.length)
    const { flaws = [] } = list
    const isFlawed = flaws.length > 0
    this.#addFlaws(flaws, isFlawed && items.some((item) => isServedItem(item, apiVersion, itemKind)))
    for (const [index, item] of items.entries()) {
      const isUntyped = itemKind !== undefined && isMapping(item) && !Object.hasOwn(item, 'kind')
      const value = isUntyped ? Object.assign(Object.create(null), { apiVersion, kind: itemKind }, item) : item
      const origin = redirectOrigin(list.origin, (at) => [list.origin, ['items', index, ...at]])
      this.decode({ value, origin, index: list.index, inFolder: false }, isFlawed)
    }
  }

  /** Adds the flaws of an object; they are warnings if Portico does not serve the object. */
  #addFlaws(flaws: readonly Diagnostic[], isServed: boolean): void {
    this.#diagnostics.addAll(isServed ? flaws : flaws.map((flaw) => ({ ...flaw, severity: 'warning' as const })))
  }

  #decodeObject(document: SourceDocument, kind: string, decoder: KindDecoder, isRefused: boolean): void {
    const { value, origin } = document
    const { limit, items } = this.#diagnostics
    const problems = new DiagnosticList(Math.min(MAX_PROBLEMS, Math.max(0, limit - items.length)))
    const report = new ProblemReport(origin, printObject(kind, value), problems)
    if (decoder.deprecation) {
      report.add('PORTICO_RES_KIND_DEPRECATED', decoder.deprecation, ['apiVersion'], {
        help: 'it is converted here; rewrite it before it goes to a cluster again',
      })
    }
    checkShape(value, decoder.shape, report)
    const resource = decoder.decode(new FieldReader(value, [], report))
    ;(report.failed || isRefused ? this.refused : this.resources).push(resource)
    if (this.#diagnostics.isFull) this.#diagnostics.drop(problems.dropped, problems.worstDropped)
    else {
      problems.closeList('PORTICO_RES_MORE', report.resource)
      this.#diagnostics.addAll(problems.items)
    }
  }

  /** Reports a missing type: an error in a named file, which is meant to be a manifest, but not for another tool's file in a folder. */
  #addMissingType(value: Readonly<Record<string, unknown>>, { origin, inFolder = false }: SourceDocument): void {
    const missing = ['apiVersion', 'kind'].filter((field) => readType(value, field) === undefined)
    const message = missing.map((field) => `${field} not set`).join(', ')
    const other = findOtherFormat(origin.file)
    const hasParts = OBJECT_FIELDS.some((field) => Object.hasOwn(value, field))
    // JSON holds data of all sorts, which may have such a field by chance.
    const isData = isJson(origin) && missing.length === 2
    if (inFolder && (other || !hasParts || isData)) {
      if (!isData || hasParts) this.#addForeign(message, origin, other)
      return
    }
    const wrongType = missing.find((field) => Object.hasOwn(value, field) && value[field] !== null)
    this.#diagnostics.add('PORTICO_RES_NOT_AN_OBJECT', message, {
      position: origin.locate(wrongType ? [wrongType] : []),
      help: other?.help ?? (hasParts || missing.length === 1 ? `add ${missing.join(' and ')}` : FOREIGN_HELP),
      ...(inFolder && missing.length === 2 && { severity: 'warning' }),
    })
  }

  #addNotAnObject({ value, origin, inFolder = false }: SourceDocument): void {
    const what = Array.isArray(value) ? 'a list' : `a ${typeof value}`
    if (inFolder) {
      if (!isJson(origin)) this.#addForeign(`${what}, not a Kubernetes object`, origin, findOtherFormat(origin.file))
      return
    }
    this.#diagnostics.add(
      'PORTICO_RES_NOT_AN_OBJECT',
      `a manifest is a mapping with apiVersion and kind, not ${what}`,
      {
        position: origin.locate([]),
        help: Array.isArray(value) ? 'put the objects into documents of their own, separated by ---' : undefined,
      },
    )
  }

  /** `other` is the tool that the file belongs to, if known. */
  #addForeign(message: string, origin: Origin, other: OtherFormat | undefined): void {
    const text = other ? `${other.what}, not a Kubernetes object` : message
    this.#diagnostics.add('PORTICO_RES_NOT_AN_OBJECT', `${text}: left out`, {
      position: origin.locate([]),
      help: other?.help ?? FOREIGN_HELP,
      severity: 'info',
    })
  }
}

/** Reads an object as a kind that it does not have. Its other faults are not reported: they are once its kind is right. */
function readAs({ decode }: KindDecoder, document: SourceDocument): Resource {
  return decode(readQuietly(document))
}

/** A reader whose reports nobody hears. */
function readQuietly({ value, origin }: SourceDocument): FieldReader {
  return new FieldReader(value, [], new ProblemReport(origin, '', new DiagnosticList()))
}

function isServedItem(item: unknown, listVersion: string | undefined, itemKind: string | undefined): boolean {
  if (!isMapping(item)) return false
  const kind = readType(item, 'kind') ?? itemKind
  const apiVersion = readType(item, 'apiVersion') ?? listVersion
  return kind !== undefined && apiVersion !== undefined && judgeKind(apiVersion, kind).type === 'decode'
}

/** Fields of an object beside its type: a mapping with one of them is likely meant to be an object. */
const OBJECT_FIELDS = ['metadata', 'spec', 'data'] as const
const FOREIGN_HELP = 'this is not a manifest: keep it out of the folders that -f names'

function isJson(origin: Origin): boolean {
  return origin.file.toLowerCase().endsWith('.json')
}

function readType(value: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const text = Object.hasOwn(value, field) ? value[field] : undefined
  return typeof text === 'string' && text !== '' ? text : undefined
}

/** The items of a list; a list of a known kind may lack them. */
function readItems(
  value: Readonly<Record<string, unknown>>,
  apiVersion: string | undefined,
  kind: string,
): readonly unknown[] | undefined {
  const items = Object.hasOwn(value, 'items') ? value.items : null
  if (Array.isArray(items)) return items
  const isEmpty = items === null && apiVersion !== undefined
  if (!isEmpty) return undefined
  return kind === 'List' || judgeKind(apiVersion, kind.slice(0, -'List'.length)).type !== 'unknown' ? [] : undefined
}

/** `Kind namespace/name`, as far as it is known before the object is decoded. */
function printObject(kind: string, value: unknown): string {
  const metadata = isMapping(value) && isMapping(value.metadata) ? value.metadata : {}
  const { name, namespace } = metadata
  if (typeof name !== 'string' || name === '') return kind
  const isScoped = kind !== 'Namespace' && kind !== 'IngressClass'
  return isScoped
    ? `${kind} ${typeof namespace === 'string' && namespace ? namespace : 'default'}/${name}`
    : `${kind} ${name}`
}

/** In `help`, FOLDER stands for the folder of the file. */
type OtherFormat = { what: string; help: string }

const OTHER_FORMATS: readonly (readonly [name: RegExp, format: OtherFormat])[] = [
  [
    /^kustomization\.ya?ml$/i,
    { what: 'a kustomization', help: 'build it: kubectl kustomize FOLDER | portico check -f -' },
  ],
  [/^chart\.ya?ml$/i, { what: 'a Helm chart', help: 'render it: helm template FOLDER | portico check -f -' }],
  [
    /^values[^/]*\.ya?ml$/i,
    { what: "a Helm chart's values", help: 'render it: helm template FOLDER | portico check -f -' },
  ],
  [
    /^skaffold[^/]*\.ya?ml$/i,
    { what: 'a Skaffold configuration', help: 'render it: skaffold render | portico run -f -' },
  ],
  [/^(?:docker-)?compose[^/]*\.ya?ml$/i, { what: 'a Compose file', help: 'keep it out of the folders that -f names' }],
  [
    /^(?:package|package-lock|tsconfig)\.json$/i,
    { what: "a Node package's file", help: 'keep it out of the folders that -f names' },
  ],
]

/** Finds the tool of a file, by names of files that often lie beside manifests. */
function findOtherFormat(file: string): OtherFormat | undefined {
  const { base, dir } = path.parse(file)
  const format = OTHER_FORMATS.find(([pattern]) => pattern.test(base))?.[1]
  return format && { ...format, help: format.help.replace('FOLDER', () => dir || '.') }
}
