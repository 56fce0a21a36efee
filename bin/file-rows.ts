/** Rows of the configuration that manifests make; nothing is started. */

import { setTimeout as sleep } from 'node:timers/promises'
import { countDiagnostics } from '../lib/base/diagnostics.ts'
import { type Configuration, type ConfigurationInput, ConfigurationLoader } from '../lib/control/configuration.ts'
import type { Watch } from '../lib/providers/provider.ts'
import { certificatesView } from '../lib/report/certificate-view.ts'
import { endpointsView } from '../lib/report/endpoint-view.ts'
import { labelRows } from '../lib/report/labels.ts'
import { settingRows } from '../lib/report/setting-rows.ts'
import {
  diagnosticsView,
  listenersView,
  routesView,
  servicesView,
  settingsView,
  workersView,
} from '../lib/report/views.ts'
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
    if (error > 0 && objects === 0 && kinds.some((kind) => kind !== 'settings' && kind !== 'diagnostics')) {
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
  { model, resources: { locate, labelsOf }, settings, provenance, diagnostics }: Configuration,
): readonly unknown[] {
  switch (kind) {
    case 'routes':
      return labelRows(kind, routesView(model, locate), labelsOf)
    case 'services':
      return labelRows(kind, servicesView(model, locate), labelsOf)
    case 'endpoints':
      return labelRows(kind, endpointsView(model, locate), labelsOf)
    case 'certificates':
      return labelRows(kind, certificatesView(model, locate, Date.now()), labelsOf)
    case 'listeners':
      return labelRows(kind, listenersView(settings, model, locate), labelsOf)
    case 'workers':
      return workersView()
    case 'diagnostics':
      return labelRows(kind, diagnosticsView(diagnostics), labelsOf)
    case 'settings':
      return settingRows(settingsView(settings), (name) => provenance.get(name) ?? 'default')
  }
}
