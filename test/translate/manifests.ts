/** From manifest text to a model, through the real stages. */
import type { Clock } from '../../lib/base/clock.ts'
import { type Diagnostic, DiagnosticList } from '../../lib/base/diagnostics.ts'
import { decodeDocuments } from '../../lib/kubernetes/decode.ts'
import { type ResourceSet, ResourceStore } from '../../lib/kubernetes/store.ts'
import type { Model } from '../../lib/model/model.ts'
import { resolveSettings } from '../../lib/settings/resolve.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { sourceFromText } from '../../lib/source/read-source.ts'
import type { Allocations } from '../../lib/translate/exposure/allocation.ts'
import { Translator } from '../../lib/translate/translate.ts'
import { parseDocuments } from '../helpers/documents.ts'

export type TranslatedText = {
  model: Model
  diagnostics: readonly Diagnostic[]
  allocations: Allocations
  resources: ResourceSet
  settings: Settings
}

export type TranslateTextOptions = {
  clock?: Clock
  allocations?: Allocations
  /** Addresses of the machine. */
  local?: readonly string[]
}

/** 2026-01-01T00:00:00Z, for ever. */
export const fixedClock: Clock = { now: () => Date.UTC(2026, 0, 1), monotonic: () => 0 }

const USUAL = resolveSettings({ environment: {}, flags: {} }, new DiagnosticList()).settings

/** A GatewayConfiguration among the documents gives the settings. */
export function translateText(text: string, options: TranslateTextOptions = {}): TranslatedText {
  const { clock = fixedClock, allocations, local = [] } = options
  const list = new DiagnosticList()
  const { documents } = parseDocuments(sourceFromText('in.yaml', text), list)
  const decoded = decodeDocuments(documents, list)
  const document = decoded.settings[0]
  const settings = document ? resolveSettings({ environment: {}, flags: {}, document }, list).settings : USUAL
  const resources = new ResourceStore().update(decoded.resources, 1, list, decoded.refused)
  const translator = new Translator(allocations)
  const model = translator.translate(resources, { settings, clock, local: new Set(local) }, list)
  return { model, diagnostics: list.sorted(), allocations: translator.allocations, resources, settings }
}

/** One line for the problem, then indented help and notes. */
export function printDiagnostics(diagnostics: readonly Diagnostic[]): string {
  const lines = diagnostics.flatMap(({ code, severity, message, position, resource, help, notes }) => [
    `${place(position)} ${severity} ${code} ${message}${resource ? `  [${resource}]` : ''}`,
    ...(help ? [`    help: ${help}`] : []),
    ...notes.map((note) => `    note: ${note.message}${note.position ? ` (${place(note.position)})` : ''}`),
  ])
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

/** The words under the caret say more than the column. */
function place(position: Diagnostic['position']): string {
  return position === undefined ? '-' : `${position.line}:${position.column}`
}
