/** A configuration in force. */
import type { Diagnostic } from '../base/diagnostics.ts'
import type { SettingSource } from '../settings/resolve.ts'
import type { Settings } from '../settings/table.ts'
import type { Model } from './model.ts'
import type { LabelsOf, LeftOut, Locate } from './resource-ref.ts'

export type ServedConfiguration = Readonly<{
  /** Counts the configurations that came into force. */
  generation: number
  /** Milliseconds since the epoch. */
  builtAt: number
  settings: Settings
  model: Model
  diagnostics: readonly Diagnostic[]
  /** Where the value of each setting comes from. */
  provenance: ReadonlyMap<string, SettingSource>
  /** Finds fields of the manifests that the model was made of. */
  locate: Locate
  /** Left out: no object has labels. */
  labelsOf?: LabelsOf
  /** Ingresses of which nothing is served; left out: it is not known. */
  leftOut?: () => readonly LeftOut[]
}>
