/** What two configurations differ in: what is served, settings, and problems. The admin API gives its side without secrets. */
import type { Diagnostic } from '../base/diagnostics.ts'
import type { ServedConfiguration } from '../model/served.ts'
import { type GivenSettings, isToldSetting } from '../settings/given.ts'
import { printSettingValue } from '../settings/print-value.ts'
import { SETTING_LIST, valueAt } from '../settings/resolve.ts'
import { diffOutlines, dropMarks, type ModelChange, type OutlineItem, outlineModel } from './diff.ts'
import { type DiagnosticRow, diagnosticsView } from './views.ts'

/** One side of a comparison, as plain data. */
export type Comparable = Readonly<{
  outline: readonly (readonly [key: string, item: OutlineItem])[]
  /** By dotted name, in the notation of the settings file; without secrets. */
  settings: Readonly<Record<string, string>>
  diagnostics: readonly DiagnosticRow[]
}>

/** Of a running gateway, with what another process needs to read files as it does. */
export type GatewayOutline = Comparable & Readonly<{ generation: number; given: GivenSettings }>

export type SettingChange = Readonly<{
  name: string
  before: string
  after: string
  /** It takes effect after a restart. */
  restart: boolean
}>

export type Difference = Readonly<{
  changes: readonly ModelChange[]
  settings: readonly SettingChange[]
  newDiagnostics: readonly DiagnosticRow[]
  goneDiagnostics: readonly DiagnosticRow[]
}>

/** `diagnostics` are told beside the model, since a configuration that is not served has them too. */
export function makeComparable({
  model,
  settings,
  diagnostics,
}: Pick<ServedConfiguration, 'model' | 'settings'> & Readonly<{ diagnostics: readonly Diagnostic[] }>): Comparable {
  return {
    outline: [...outlineModel(model)],
    settings: Object.fromEntries(
      SETTING_LIST.filter(isToldSetting).map((setting) => [
        setting.name,
        printSettingValue(setting, valueAt(settings, setting.path)),
      ]),
    ),
    diagnostics: diagnosticsView(diagnostics),
  }
}

/** What the admin API gives of the configuration in force, as it was loaded. */
export function outlineGateway(served: ServedConfiguration, given: GivenSettings): GatewayOutline {
  const { outline, ...rest } = makeComparable(served)
  return { generation: served.generation, given, outline: [...dropMarks(new Map(outline))], ...rest }
}

export function compare(before: Comparable, after: Comparable): Difference {
  return {
    changes: diffOutlines(new Map(before.outline), new Map(after.outline)),
    settings: SETTING_LIST.flatMap(({ name, restart = false }) => {
      const [was, is] = [before.settings[name], after.settings[name]]
      return was === is || was === undefined || is === undefined ? [] : [{ name, before: was, after: is, restart }]
    }),
    newDiagnostics: listMissing(after.diagnostics, before.diagnostics),
    goneDiagnostics: listMissing(before.diagnostics, after.diagnostics),
  }
}

export function isSame({ changes, settings, newDiagnostics, goneDiagnostics }: Difference): boolean {
  return changes.length + settings.length + newDiagnostics.length + goneDiagnostics.length === 0
}

/** Those of `some` that `others` lack. A problem is the same wherever its file lies and whatever its line: two folders are compared. */
function listMissing(some: readonly DiagnosticRow[], others: readonly DiagnosticRow[]): readonly DiagnosticRow[] {
  const left = new Map<string, number>()
  for (const other of others) left.set(identify(other), (left.get(identify(other)) ?? 0) + 1)
  return some.filter((one) => {
    const count = left.get(identify(one)) ?? 0
    left.set(identify(one), count - 1)
    return count <= 0
  })
}

function identify({ code, message, resource }: DiagnosticRow): string {
  return JSON.stringify([code, message, resource])
}
