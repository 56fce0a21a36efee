/** From flags to what a configuration is read from. */
import { existsSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import type { ConfigurationInput } from '../lib/configuration.ts'
import type { Typed } from './flag.ts'
import { readOverrides } from './setting-flag.ts'
import { UsageError } from './usage-error.ts'

/** Where people keep manifests; offered, never read unasked. */
const USUAL_PLACES = ['k8s', 'manifests', 'deploy', 'kubernetes']

/** Whether `-f` or `-c` was given. */
export function namesInput(typed: Typed): boolean {
  return typed.has('filename') || typed.has('config')
}

/** Reads stdin where `-f -` asks for it. Throws a UsageError where nothing was named to read. */
export async function readInput(
  verb: string,
  typed: Typed,
  environment: NodeJS.ProcessEnv,
): Promise<ConfigurationInput> {
  if (!namesInput(typed)) {
    const place = USUAL_PLACES.find((name) => existsSync(name))
    throw new UsageError(
      'nothing to read',
      `name your manifests: portico ${verb} -f ${place ? `${place}/` : 'FILE-OR-FOLDER'}`,
    )
  }
  const sources = typed.values('filename')
  const config = typed.value('config')
  if (config === '-') throw new UsageError('-c cannot be stdin', 'send the settings document with the manifests: -f -')
  return {
    sources,
    flags: readOverrides(typed),
    environment,
    ...(config !== undefined && { config }),
    ...(sources.includes('-') && { stdin: await text(process.stdin) }),
  }
}
