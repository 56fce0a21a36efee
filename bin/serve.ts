/** A gateway as a process: its output at start and reloads, the ready file, and the exit code. */
import { performance } from 'node:perf_hooks'
import { countDiagnostics, countUnserved } from '../lib/base/diagnostics.ts'
import type { ConfigurationInput } from '../lib/control/configuration.ts'
import { explainShortage } from '../lib/control/start-error.ts'
import { createGateway, type Gateway } from '../lib/gateway.ts'
import { findIngressTable } from '../lib/model/route-table.ts'
import { findDescriptorLimit } from '../lib/platform/descriptors.ts'
import { logDiagnostics, logReloaded, logReloadFailed } from '../lib/report/reload-log.ts'
import { VERSION } from './package.ts'
import { printBoot } from './print/boot.ts'
import { printReloaded, printReloadFailed } from './print/reload.ts'
import { removeReadyFile, withdrawReadyFile, writeReadyFile } from './ready-file.ts'
import { prepareShutdown } from './shutdown.ts'
import type { Terminal } from './terminal.ts'

export type ServeOptions = Readonly<{
  readyFile: string | undefined
  /** Text below the boot table. */
  printAfterBoot?: (gateway: Gateway) => string
  /** Begins once the gateway serves; what it returns is called when the gateway stops. */
  accompany?: (gateway: Gateway) => () => void
}>

/** Milliseconds for which a stalled reader of the log, or a resolver, may hold the process after the stop. */
const LINGER_MS = 500

/** Serves until a signal ends it; resolves to the exit code. Throws a StartError if it cannot start. */
export async function serve(input: ConfigurationInput, terminal: Terminal, options: ServeOptions): Promise<number> {
  const { readyFile, printAfterBoot, accompany } = options
  const shutdown = prepareShutdown(terminal)
  if (readyFile !== undefined) removeReadyFile(readyFile)
  const gateway = await createGateway({ ...input, version: VERSION })
  await gateway.start()
  const leave = accompany?.(gateway)
  const ended = shutdown.of(gateway, () => {
    leave?.()
    if (readyFile !== undefined) withdrawReadyFile(readyFile)
  })
  const { people, machines } = findReaders(gateway, terminal, printAfterBoot !== undefined)
  if (people) {
    terminal.tell(printBoot({ ...describeBoot(gateway), now: Date.now(), width: terminal.width }, terminal.paintTalk))
    if (printAfterBoot) terminal.tell(printAfterBoot(gateway))
    gateway.on('reloaded', (reloaded) => {
      terminal.tell(printReloaded(reloaded, gateway.inFlight, terminal.paintTalk))
      if (machines) logReloaded(gateway.log, reloaded, gateway.inFlight)
    })
    gateway.on('reload-failed', (failed) => {
      terminal.tell(printReloadFailed(failed, terminal.paintTalk))
      if (machines) logReloadFailed(gateway.log, failed)
    })
  }
  if (machines) logBoot(gateway)
  try {
    if (readyFile !== undefined) writeReadyFile(readyFile, gateway.ports)
  } catch (error) {
    await gateway.stop()
    throw error
  }
  const code = await ended
  setTimeout(() => terminal.host.exit(code), LINGER_MS).unref()
  return code
}

/**
 * Finds out who reads the output. Tables and excerpts would be noise between the JSON lines of a container, but people may watch the
 * terminal while the log goes to a file. A `guided` run (demo) always has people.
 */
function findReaders(
  { configuration }: Gateway,
  { host }: Terminal,
  guided: boolean,
): { people: boolean; machines: boolean } {
  const { format } = configuration.settings.log
  if (format !== 'auto') return { people: guided || format === 'pretty', machines: format === 'json' }
  const people = guided || Boolean(host.stderr.isTTY)
  return { people, machines: !people || !host.stdout.isTTY }
}

function describeBoot({ configuration, ports, listenerStates }: Gateway) {
  const { model, settings, controllerObjects, diagnostics, sources, files, objects } = configuration
  // Counted from the start of the process, as the user experiences it.
  const descriptors = findDescriptorLimit()
  const elapsedMs = performance.now()
  return {
    version: VERSION,
    model,
    settings,
    controllerObjects,
    diagnostics,
    sources,
    files,
    objects,
    ports,
    listenerStates,
    descriptors,
    elapsedMs,
  }
}

/** The facts of the boot table as log lines: one for the whole, one for each problem. */
function logBoot(gateway: Gateway): void {
  const { version, model, settings, controllerObjects, diagnostics, files, objects, ports, descriptors, elapsedMs } =
    describeBoot(gateway)
  const { error, warning } = countDiagnostics(diagnostics)
  gateway.log.info(
    {
      version,
      node: process.version,
      ...ports,
      files,
      objects,
      ...(settings.compatibility === 'ingress-nginx' && { compatibility: settings.compatibility }),
      ...(controllerObjects.length > 0 && { controller: controllerObjects.map(({ name }) => name) }),
      unserved: countUnserved(diagnostics),
      hosts: findIngressTable(model).hosts.length,
      routes: model.counts.routes,
      errors: error,
      warnings: warning,
      duration_ms: Math.round(elapsedMs),
    },
    'ready',
  )
  const shortage = explainShortage(settings, descriptors)
  if (shortage) gateway.log.warn({ help: shortage.help }, shortage.message)
  logDiagnostics(gateway.log, diagnostics)
}
