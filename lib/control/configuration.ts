/** A configuration whole, from providers to Model: what `check`, `explain` and `get` show, and what the gateway serves. */
import { isDeepStrictEqual } from 'node:util'
import { canonicalAddress } from '../base/address-range.ts'
import { type Clock, printTime, systemClock } from '../base/clock.ts'
import { type Diagnostic, DiagnosticList } from '../base/diagnostics.ts'
import { printPosition } from '../base/position.ts'
import type { Resource } from '../kubernetes/resource.ts'
import { type ResourceSet, ResourceStore } from '../kubernetes/store.ts'
import type { Model } from '../model/model.ts'
import { listOwnAddresses } from '../platform/own-addresses.ts'
import { FileProvider } from '../providers/files/file-provider.ts'
import { type Kept, noteLastGood } from '../providers/kept.ts'
import { MergedProvider } from '../providers/merged-provider.ts'
import type { ChangeListener, Manifests, Provider, Watch } from '../providers/provider.ts'
import { SecretSources } from '../providers/secret-sources.ts'
import { TextProvider } from '../providers/text-provider.ts'
import type { ControllerObject } from '../settings/compatibility.ts'
import {
  chooseSettingsDocument,
  keepRestartSettings,
  type ResolvedSettings,
  resolveSettings,
  SETTINGS_KIND,
  type SettingOverrides,
  type SettingSource,
  veilSettings,
} from '../settings/resolve.ts'
import type { Settings } from '../settings/table.ts'
import type { SourceDocument } from '../source/document.ts'
import { type Allocations, NO_ALLOCATIONS } from '../translate/exposure/allocation.ts'
import { NginxController } from '../translate/ingress/nginx/controller.ts'
import { IngressAnnotator } from '../translate/ingress/nginx/given-annotations.ts'
import { checkDefaults } from '../translate/route-policy/default-options.ts'
import { Translator } from '../translate/translate.ts'
import { findAllocationFile, readAllocations } from './allocations.ts'

export type ConfigurationInput = {
  /** Files, folders, globs, and `-` for stdin, as given with `-f`. */
  readonly sources: readonly string[]
  /** The settings file given with `-c`; it may hold manifests too. */
  readonly config?: string
  /** The text read for `-`. */
  readonly stdin?: string
  /** Providers of an embedding program, beside files and stdin. */
  readonly providers?: readonly Provider[]
  readonly flags: SettingOverrides
  readonly environment: NodeJS.ProcessEnv
  readonly clock?: Clock
  /** The ports and addresses that Services were given before; left out: those kept in the data folder. */
  readonly allocations?: Allocations
}

export type Configuration = {
  /** What the model was translated with, and what is to be in force. */
  readonly settings: Settings
  /** The settings as loaded: they differ from `settings` where a change takes effect after a restart. */
  readonly written: Settings
  /** Where each setting's value came from, by dotted name. */
  readonly provenance: ReadonlyMap<string, SettingSource>
  /** What says something in the place of defaults: the workload and the ConfigMap of the controller that Portico stands in for. */
  readonly controllerObjects: readonly ControllerObject[]
  readonly resources: ResourceSet
  readonly model: Model
  /** The ports and addresses that Services were given: the same object for as long as they are the same. */
  readonly allocations: Allocations
  /** Those that were there before the first translation. */
  readonly recalled: Allocations
  /** Sorted by file and line. */
  readonly diagnostics: readonly Diagnostic[]
  /** Files and settings whose last good version is in force; the reasons stand among the diagnostics. */
  readonly kept: readonly Kept[]
  /** What was read, for people: `3 files, stdin`. */
  readonly sources: string
  readonly files: number
  readonly objects: number
  /** Files that came, went or changed since the configuration before this one. */
  readonly changed: readonly string[]
  /** Equal fingerprints mean that nothing changed. */
  readonly fingerprint: string
}

export type LoadRequest = Readonly<{
  /** Looks at everything, and translates even if nothing changed: the time may matter, or a person asked for it. */
  isForced: boolean
  /** The settings at the start: those that are read once stay as they are here. Undefined: this load is a start. */
  start?: Settings
}>

/** Reads everything once. Never throws for what the user wrote: see `diagnostics`. */
export function loadConfiguration(input: ConfigurationInput): Promise<Configuration> {
  return new ConfigurationLoader(input).load()
}

/** Loads again and again; what cannot be used any more keeps its last good version. Calls of `load` must not overlap. */
export class ConfigurationLoader {
  readonly #input: ConfigurationInput
  readonly #clock: Clock
  readonly #provider: Provider
  readonly #store = new ResourceStore()
  readonly #annotator = new IngressAnnotator()
  readonly #secrets: SecretSources
  #translator: Translator | undefined
  #recalled: Allocations = NO_ALLOCATIONS
  /** The addresses of this machine. */
  #local: ReadonlySet<string> = new Set()
  #generation = 0
  #last: Configuration | undefined
  #lastGood: { readonly resolved: ResolvedSettings; readonly at: number } | undefined

  constructor(input: ConfigurationInput) {
    this.#input = input
    this.#clock = input.clock ?? systemClock
    this.#provider = new MergedProvider(listProviders(input, this.#clock), this.#clock)
    this.#secrets = new SecretSources(input.environment)
  }

  /** Tells the listener that a `load` may now come to something else. Resolves when all providers are watched. */
  async watch(listener: ChangeListener): Promise<Watch> {
    const watches = await Promise.all([this.#provider.watch(listener), this.#secrets.watch(listener)])
    return {
      close: () => {
        for (const watch of watches) watch.close()
      },
    }
  }

  async load({ isForced, start }: LoadRequest = { isForced: true }): Promise<Configuration> {
    const manifests = await this.#read(isForced)
    const last = this.#last
    this.#secrets.look(last?.settings.secretFolders ?? [])
    const fingerprint = `${manifests.fingerprint} ${this.#secrets.revision}`
    if (!isForced && last?.fingerprint === fingerprint) return { ...last, changed: manifests.changed }
    const diagnostics = new DiagnosticList()
    diagnostics.addAll(manifests.diagnostics)
    const document = chooseSettingsDocument(manifests.settings, diagnostics)
    // A file that could not be read was reported as such.
    const isRead = !manifests.diagnostics.some(
      ({ code, severity }) => severity === 'error' && /_(FILE|YAML)_/.test(code),
    )
    if (this.#input.config !== undefined && !document && isRead) {
      diagnostics.add('PORTICO_SET_MISSING', `${this.#input.config} holds no ${SETTINGS_KIND}`, {
        help: 'config/portico.yaml in the package shows one; give manifests with -f',
      })
    }
    const {
      settings: resolved,
      provenance,
      controllerObjects,
      annotations,
      kept: keptSettings,
    } = this.#resolve(document, manifests, diagnostics)
    const written = keepSettings(last?.written, resolved)
    const settings = start ? keepSettings(last?.settings, keepRestartSettings(start, written)) : written
    const [given, refused] = [manifests.resources, manifests.refused].map((some) =>
      this.#annotator.apply(some, settings.annotationsPrefix, annotations),
    ) as [readonly Resource[], readonly Resource[]]
    const resources = this.#store.update(given, ++this.#generation, diagnostics, refused)
    if (this.#translator === undefined) {
      this.#recalled = await this.#recall(settings)
      this.#translator = new Translator(this.#recalled, this.#secrets)
    }
    const local = this.#findLocal()
    this.#secrets.look(settings.secretFolders)
    const model = this.#translator.translate(resources, { settings, clock: this.#clock, local }, diagnostics)
    await this.#secrets.settle()
    const { allocations } = this.#translator
    diagnostics.closeList('PORTICO_RES_MORE', 'the configuration')
    const { files, objects, changed } = manifests
    this.#last = {
      settings,
      written,
      provenance,
      controllerObjects,
      resources,
      model,
      allocations,
      recalled: this.#recalled,
      diagnostics: dropIgnored(dropQuoteAdvice(diagnostics.sorted()), settings.ignore),
      kept: [...manifests.kept, ...keptSettings],
      sources: this.#provider.describe(),
      files,
      objects,
      changed,
      fingerprint: `${manifests.fingerprint} ${this.#secrets.revision}`,
    }
    return this.#last
  }

  async #recall(settings: Settings): Promise<Allocations> {
    const { allocations, environment } = this.#input
    return allocations ?? (await readAllocations(findAllocationFile(settings, environment)))
  }

  /** The set from before, where they are the same. */
  #findLocal(): ReadonlySet<string> {
    const found = new Set(listOwnAddresses().map(({ address }) => canonicalAddress(address.replace(/%.*$/, ''))))
    if (!isDeepStrictEqual(found, this.#local)) this.#local = found
    return this.#local
  }

  /** The limits on files may stand in one of these very files: then they are read again under those. */
  async #read(isForced: boolean): Promise<Manifests> {
    const { environment, flags } = this.#input
    const findLimits = (document?: SourceDocument) =>
      resolveSettings({ document, environment, flags }, new DiagnosticList()).settings.files
    const limits = this.#lastGood?.resolved.settings.files ?? findLimits()
    const manifests = await this.#provider.read({ limits, isForced })
    const wanted = findLimits(manifests.settings[0])
    if (wanted.maxBytes === limits.maxBytes && wanted.maxCount === limits.maxCount) return manifests
    const again = await this.#provider.read({ limits: wanted, isForced: true })
    return { ...again, changed: [...new Set([...manifests.changed, ...again.changed])] }
  }

  /** Settings with an error are not mixed with defaults while there are good ones from before. */
  #resolve(
    document: SourceDocument | undefined,
    { resources, refused }: Manifests,
    diagnostics: DiagnosticList,
  ): ResolvedSettings & { readonly kept: readonly Kept[] } {
    const { environment, flags } = this.#input
    const problems = new DiagnosticList()
    const controller = new NginxController(resources, refused)
    const resolved = resolveSettings({ document, environment, flags, controller }, problems)
    const isInFile = resolved.provenance.get('routes') === 'file'
    const origin = isInFile && document ? veilSettings(document.origin) : undefined
    checkDefaults(resolved.settings.routes, origin, problems)
    const failed = problems.items.some(isFailure)
    if (!failed || !this.#lastGood) {
      diagnostics.addAll(problems.items)
      if (!failed) this.#lastGood = { resolved, at: this.#clock.now() }
      return { ...resolved, kept: [] }
    }
    const kept = noteLastGood(`still using the settings as of ${printTime(this.#lastGood.at)}`, problems.items)
    diagnostics.addAll(kept.reasons)
    return { ...this.#lastGood.resolved, kept: [kept] }
  }
}

/** The providers that an input asks for. */
function listProviders({ config, sources, stdin = '', providers = [] }: ConfigurationInput, clock: Clock): Provider[] {
  const files = new Set([...(config === undefined ? [] : [config]), ...sources.filter((source) => source !== '-')])
  return [
    ...(files.size > 0 ? [new FileProvider({ sources: [...files], clock })] : []),
    ...(sources.includes('-') ? [new TextProvider({ name: 'stdin', text: stdin, clock, ifEmpty: NO_OUTPUT })] : []),
    ...providers,
  ]
}

/** Nobody pipes in nothing on purpose: the program that should have written manifests has failed. */
const NO_OUTPUT = {
  message: 'no objects passed on stdin',
  help: 'look at the output of the command before the pipe',
}

/** Equal settings stay the same object, so that comparing two configurations is cheap. */
function keepSettings(before: Settings | undefined, after: Settings): Settings {
  return before !== undefined && isDeepStrictEqual(before, after) ? before : after
}

/** A value of an annotation that is wrong with quotes too has one error: the one that says what to write. */
function dropQuoteAdvice(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const wrong = new Set(diagnostics.filter(({ code }) => code === 'PORTICO_ANN_VALUE').map(placeOf))
  if (wrong.size === 0) return diagnostics
  return diagnostics.filter((one) => one.code !== 'PORTICO_RES_FIELD_TYPE' || !wrong.has(placeOf(one)))
}

function placeOf({ position }: Diagnostic): string | undefined {
  return position && printPosition(position)
}

function dropIgnored(diagnostics: readonly Diagnostic[], codes: readonly string[]): readonly Diagnostic[] {
  return codes.length === 0 ? diagnostics : diagnostics.filter(({ code }) => !codes.includes(code))
}

/** Errors with codes of settings that keep no setting from being used: of two documents the first is in force, and guards close routes. */
const HARMLESS: ReadonlySet<string> = new Set(['PORTICO_SET_DUPLICATE', 'PORTICO_SET_CONTROLLER'])

function isFailure({ code, severity }: Diagnostic): boolean {
  return severity === 'error' && !HARMLESS.has(code)
}

/** True if a setting could not be used as written. */
export function hasSettingErrors(diagnostics: readonly Diagnostic[]): boolean {
  return diagnostics.some((one) => one.code.startsWith('PORTICO_SET_') && isFailure(one))
}
