/** A configuration in force. */
import type { Diagnostic } from '../base/diagnostics.ts'
import type { Settings } from '../settings/table.ts'
import type { Model } from './model.ts'
import type { LabelsOf, Locate } from './resource-ref.ts'

export type ServedConfiguration = Readonly<{
  /** Counts the configurations that came into force. */
  generation: number
  /** Milliseconds since the epoch. */
  builtAt: number
  settings: Settings
  model: Model
  diagnostics: readonly Diagnostic[]
  /** Finds fields of the manifests that the model was made of. */
  locate: Locate
  /** Left out: no object has labels. */
  labelsOf?: LabelsOf
}>
