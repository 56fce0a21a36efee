/** Portico as a library: load a configuration, or serve one. */
export { type Diagnostic, DiagnosticList } from './base/diagnostics.ts'
export { printDiagnostic } from './base/print-diagnostic.ts'
export { type Configuration, type ConfigurationInput, loadConfiguration } from './control/configuration.ts'
export { StartError } from './control/start-error.ts'
export { createGateway, type Gateway, type GatewayEvents, type GatewayInput, type GatewayPorts } from './gateway.ts'
export type { Model } from './model/model.ts'
export type { ServedConfiguration } from './model/served.ts'
export type { Kept } from './providers/kept.ts'
export type {
  ChangeListener,
  FileLimits,
  Manifests,
  Provider,
  ReadRequest,
  Watch,
} from './providers/provider.ts'
export { TextProvider, type TextProviderOptions } from './providers/text-provider.ts'
export { type ModelChange, printChange } from './report/diff.ts'
export { printModel } from './report/print.ts'
export type { Reloaded, ReloadFailed } from './report/reloaded.ts'
