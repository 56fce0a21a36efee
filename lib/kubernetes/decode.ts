/** From documents to resources: lists are taken apart, each object is checked and decoded, the settings are set aside. */
import path from 'node:path'
import type { DiagnosticList } from '../base/diagnostics.ts'
import type { FieldPath, Origin } from '../base/position.ts'
import type { SourceDocument } from '../source/document.ts'
import { judgeKind, type KindDecoder } from './kind.ts'
import { FieldReader } from './reader.ts'
import { ProblemReport } from './report.ts'
import type { Resource } from './resource.ts'
import { redactOrigin } from './secret.ts'
import { checkShape, isMapping } from './shape.ts'

export type Decoded = {
  readonly resources: readonly Resource[]
  /** GatewayConfiguration documents, undecoded. */
  readonly settings: readonly SourceDocument[]
  /** How many objects there were, those included that are of no concern or could not be used. */
  readonly objects: number
}

/** Decodes all objects of `documents`; what has an error is reported and left out. */
export function decodeDocuments(documents: readonly SourceDocument[], diagnostics: DiagnosticList): Decoded {
  const decoder = new DocumentDecoder(diagnostics)
  for (const document of documents) decoder.decode(document)
  const { resources, settings, objects } = decoder
  return Object.freeze({ resources, settings, objects })
}

class DocumentDecoder {
  readonly resources: Resource[] = []
  readonly settings: SourceDocument[] = []
  objects = 0
  readonly #diagnostics: DiagnosticList

  constructor(diagnostics: DiagnosticList) {
    this.#diagnostics = diagnostics
  }

  decode(document: SourceDocument): void {
    const { value, origin } = document
    if (!isMapping(value)) {
      this.objects++
      this.#addNotAnObject(value, origin)
      return
    }
    const apiVersion = readType(value, 'apiVersion')
    const kind = readType(value, 'kind')
    if (kind?.endsWith('List') && isItems(value)) {
      this.#decodeList(document, value.items, apiVersion, kind)
      return
    }
    this.objects++
    if (apiVersion === undefined || kind === undefined) {
      this.#addMissingType(value, origin)
      return
    }
    const verdict = judgeKind(apiVersion, kind)
    if (verdict.type === 'settings') this.settings.push(document)
    else if (verdict.type === 'decode') this.#decodeObject(document, kind, verdict.decoder)
    else if (verdict.type === 'unknown') {
      const { field, help, severity } = verdict
      const message = `no matches for kind ${JSON.stringify(kind)} in version ${JSON.stringify(apiVersion)}`
      const position = origin.locate([field])
      const resource = printObject(kind, value)
      this.#diagnostics.add('PORTICO_RES_KIND_UNKNOWN', message, { position, resource, help, severity })
    }
  }

  /** v1 List, and lists of one kind, whose items need not repeat it. */
  #decodeList(list: SourceDocument, items: readonly unknown[], apiVersion: string | undefined, kind: string): void {
    const itemKind = kind === 'List' ? undefined : kind.slice(0, -'List'.length)
    for (const [index, item] of items.entries()) {
      const isUntyped = itemKind !== undefined && isMapping(item) && !Object.hasOwn(item, 'kind')
      const value = isUntyped ? Object.assign(Object.create(null), { apiVersion, kind: itemKind }, item) : item
      this.decode({ value, origin: shiftOrigin(list.origin, ['items', index]), index: list.index })
    }
  }

  #decodeObject(document: SourceDocument, kind: string, decoder: KindDecoder): void {
    const { value } = document
    const origin = kind === 'Secret' ? redactOrigin(document.origin, value) : document.origin
    const report = new ProblemReport(origin, printObject(kind, value), this.#diagnostics)
    if (decoder.deprecation) {
      report.add('PORTICO_RES_KIND_DEPRECATED', decoder.deprecation, ['apiVersion'], {
        help: 'it is converted here; rewrite it before it goes to a cluster again',
      })
    }
    checkShape(value, decoder.shape, report)
    const resource = decoder.decode(new FieldReader(value, [], report))
    if (!report.failed) this.resources.push(resource)
  }

  #addMissingType(value: Readonly<Record<string, unknown>>, origin: Origin): void {
    const missing = ['apiVersion', 'kind'].filter((field) => readType(value, field) === undefined)
    const message = missing.map((field) => `${field} not set`).join(', ')
    const other = missing.includes('kind') ? findOtherFormat(origin.file) : undefined
    if (other) {
      this.#diagnostics.add('PORTICO_RES_NOT_AN_OBJECT', `${other.what}, not a Kubernetes object: left out`, {
        position: origin.locate([]),
        help: other.help,
        severity: 'info',
      })
      return
    }
    const wrongType = missing.find((field) => Object.hasOwn(value, field) && value[field] !== null)
    // Without anything an object has, it is some other tool's file that lies among the manifests.
    const isForeign = missing.length === 2 && !['metadata', 'spec', 'data'].some((field) => Object.hasOwn(value, field))
    this.#diagnostics.add('PORTICO_RES_NOT_AN_OBJECT', message, {
      position: origin.locate(wrongType ? [wrongType] : []),
      help: isForeign ? 'this is no manifest: keep it out of what -f names' : `add ${missing.join(' and ')}`,
      ...(isForeign && { severity: 'warning' }),
    })
  }

  #addNotAnObject(value: unknown, origin: Origin): void {
    const what = Array.isArray(value) ? 'a list' : `a ${typeof value}`
    this.#diagnostics.add(
      'PORTICO_RES_NOT_AN_OBJECT',
      `a manifest is a mapping with apiVersion and kind, not ${what}`,
      {
        position: origin.locate([]),
        help: Array.isArray(value) ? 'put the objects into documents of their own, separated by ---' : undefined,
      },
    )
  }
}

function readType(value: Readonly<Record<string, unknown>>, field: string): string | undefined {
  const text = Object.hasOwn(value, field) ? value[field] : undefined
  return typeof text === 'string' && text !== '' ? text : undefined
}

function isItems(value: Readonly<Record<string, unknown>>): value is { items: readonly unknown[] } {
  return Object.hasOwn(value, 'items') && Array.isArray(value.items)
}

/** `Kind namespace/name`, as far as it can be told before the object is decoded. */
function printObject(kind: string, value: unknown): string {
  const metadata = isMapping(value) && isMapping(value.metadata) ? value.metadata : {}
  const { name, namespace } = metadata
  if (typeof name !== 'string' || name === '') return kind
  const isScoped = kind !== 'Namespace' && kind !== 'IngressClass'
  return isScoped
    ? `${kind} ${typeof namespace === 'string' && namespace ? namespace : 'default'}/${name}`
    : `${kind} ${name}`
}

function shiftOrigin(origin: Origin, prefix: FieldPath): Origin {
  return {
    file: origin.file,
    locate: (at) => origin.locate([...prefix, ...at]),
    locateKey: (at) => origin.locateKey([...prefix, ...at]),
  }
}

type OtherFormat = { what: string; help: string }

const OTHER_FORMATS: readonly (readonly [name: RegExp, format: OtherFormat])[] = [
  [/^kustomization\.ya?ml$/i, { what: 'a kustomization', help: 'build it: kubectl kustomize . | portico run -f -' }],
  [/^chart\.ya?ml$/i, { what: 'a Helm chart', help: 'render it: helm template . | portico run -f -' }],
  [/^values[^/]*\.ya?ml$/i, { what: "a Helm chart's values", help: 'render it: helm template . | portico run -f -' }],
  [/^(?:docker-)?compose[^/]*\.ya?ml$/i, { what: 'a Compose file', help: 'keep it out of what -f names' }],
  [
    /^(?:package|package-lock|tsconfig)\.json$/i,
    { what: "a Node package's file", help: 'keep it out of what -f names' },
  ],
]

/** Files known by their names that lie beside manifests. */
function findOtherFormat(file: string): OtherFormat | undefined {
  const name = path.basename(file)
  return OTHER_FORMATS.find(([pattern]) => pattern.test(name))?.[1]
}
