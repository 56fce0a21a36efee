/** The inputs of a configuration, from flags. */
import { existsSync } from 'node:fs'
import type { ConfigurationInput } from '../lib/control/configuration.ts'
import { SETTINGS } from '../lib/settings/table.ts'
import type { Typed } from './flag.ts'
import type { HostProcess } from './host-process.ts'
import { readOverrides } from './setting-flag.ts'
import { UsageError } from './usage-error.ts'

/** Most bytes of stdin: as many as a file may have by default. */
const MAX_STDIN = SETTINGS.files.maxBytes.default

/** Folders where people keep manifests; they are suggested, never read unasked. */
const USUAL_PLACES = ['k8s', 'manifests', 'deploy', 'kubernetes']

/** True if `-f` or `-c` was given. */
export function namesInput(typed: Typed): boolean {
  return typed.has('filename') || typed.has('config')
}

/** Reads stdin if `-f -` asks for it. Throws a UsageError if there is nothing to read; `live` is the command that asks a running gateway. */
export async function readInput(
  verb: string,
  typed: Typed,
  { env, stdin }: HostProcess,
  live?: string,
): Promise<ConfigurationInput> {
  if (!namesInput(typed)) {
    const place = USUAL_PLACES.find((name) => existsSync(name))
    throw new UsageError(
      'nothing to read',
      `name your manifests: portico ${verb} -f ${place ? `${place}/` : 'FILE-OR-FOLDER'}${live ? `; or ask a running gateway: ${live}` : ''}`,
    )
  }
  const sources = typed.values('filename')
  const config = typed.value('config')
  if (config === '-') throw new UsageError('-c cannot be stdin', 'send the settings document with the manifests: -f -')
  return {
    sources,
    flags: readOverrides(typed),
    environment: env,
    ...(config !== undefined && { config }),
    ...(sources.includes('-') && { stdin: await readStdin(stdin) }),
  }
}

/** Reads stdin up to its limit, so that an endless stream ends. */
async function readStdin(stdin: HostProcess['stdin']): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of stdin) {
    size += part.length
    if (size > MAX_STDIN) {
      throw new UsageError(
        `stdin has more than ${MAX_STDIN / 1_048_576} MiB`,
        'write it to files, and name their folder',
      )
    }
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}
