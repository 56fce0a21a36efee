/** Rows of the configuration that manifests make; nothing is started. */

import { setTimeout as sleep } from 'node:timers/promises'
import { countDiagnostics } from '../lib/base/diagnostics.ts'
import { type Configuration, type ConfigurationInput, ConfigurationLoader } from '../lib/control/configuration.ts'
import type { Watch } from '../lib/providers/provider.ts'
import { certificatesView } from '../lib/report/certificate-view.ts'
import { endpointsView } from '../lib/report/endpoint-view.ts'
import { settingRows } from '../lib/report/setting-rows.ts'
import { listenersView, routesView, servicesView, settingsView, workersView } from '../lib/report/views.ts'
import { EXIT } from './command.ts'
import type { Kind } from './kind.ts'
import { printProblemCount, printProblems } from './print/problems.ts'
import type { Reading, RowSource } from './row-source.ts'
import type { Terminal } from './terminal.ts'

/** Milliseconds to wait for further events of the same save. */
const HOLD_OFF_MS = 100
/** Milliseconds of the timer that keeps the process alive while nothing happens. */
const HOLD_MS = 60_000

export class FileRows implements RowSource {
  readonly #loader: ConfigurationLoader
  readonly #paint: Terminal['paintTalk']
  #watch: Watch | undefined
  #isChanged = false
  #wake = () => {}

  constructor(input: ConfigurationInput, { paintTalk }: Terminal) {
    this.#loader = new ConfigurationLoader(input)
    this.#paint = paintTalk
  }

  async read(kinds: readonly Kind[]): Promise<Reading> {
    this.#isChanged = false
    const configuration = await this.#loader.load()
    const { diagnostics, files, objects } = configuration
    const { error, warning } = countDiagnostics(diagnostics)
    if (error > 0 && objects === 0 && kinds.some((kind) => kind !== 'settings')) {
      return { rows: EXIT.failure, talk: printProblems(diagnostics, this.#paint) }
    }
    const rows = new Map<Kind, readonly unknown[]>()
    for (const kind of kinds) rows.set(kind, listRows(kind, configuration))
    const count = printProblemCount(diagnostics, { files, objects })
    return { rows, talk: error + warning > 0 ? [`${count}: portico check tells more`] : [] }
  }

  async change(): Promise<void> {
    this.#watch ??= await this.#loader.watch({ onChange: () => this.#note(), onTrouble: () => {} })
    const hold = setInterval(() => {}, HOLD_MS)
    while (!this.#isChanged) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    clearInterval(hold)
    await sleep(HOLD_OFF_MS)
  }

  #note(): void {
    this.#isChanged = true
    this.#wake()
  }
}

function listRows(
  kind: Kind,
  { model, resources: { locate }, settings, provenance }: Configuration,
): readonly unknown[] {
  switch (kind) {
    case 'routes':
      return routesView(model, locate)
    case 'services':
      return servicesView(model, locate)
    case 'endpoints':
      return endpointsView(model, locate)
    case 'certificates':
      return certificatesView(model, locate, Date.now())
    case 'listeners':
      return listenersView(settings, model, locate)
    case 'workers':
      return workersView()
    case 'settings':
      return settingRows(settingsView(settings), (name) => provenance.get(name) ?? 'default')
  }
}
