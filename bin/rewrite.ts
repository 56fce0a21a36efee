/** `portico migrate --write` replaces annotations of ingress-nginx in manifests with annotations of Portico. */
import { randomUUID } from 'node:crypto'
import { chmod, chown, readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { systemClock } from '../lib/base/clock.ts'
import type { SourcePosition } from '../lib/base/position.ts'
import { type Configuration, type ConfigurationInput, loadConfiguration } from '../lib/control/configuration.ts'
import type { Ingress, Service } from '../lib/kubernetes/resource.ts'
import { EditedProvider } from '../lib/providers/edited-provider.ts'
import { FileProvider } from '../lib/providers/files/file-provider.ts'
import { editAnnotations } from '../lib/source/edit.ts'
import { planRewriting, type Rewriting } from '../lib/translate/migrate/rewriting.ts'
import { isSameModel } from '../lib/translate/migrate/same-model.ts'
import { UsageError } from './usage-error.ts'

/** The name of stdin in positions. */
const STDIN = '<stdin>'
const BOM = '\uFEFF'

export type EditedFile = Readonly<{
  /** As shown to people. */
  name: string
  before: string
  after: string
  /** The number of annotations that go, and of those that come. */
  gone: number
  come: number
}>

export type Rewritten = Readonly<{
  files: readonly EditedFile[]
  /** Annotations that stay. */
  kept: readonly Readonly<{ annotation: string; reason: string; place: string }>[]
  /** Files that would not be served as they were, which is a bug. */
  spoilt: readonly string[]
}>

/** Texts that come to the same model; nothing is written yet. */
export async function rewriteManifests(input: ConfigurationInput, configuration: Configuration): Promise<Rewritten> {
  const { resources, settings, model } = configuration
  const texts = new Map<string, string | undefined>()
  const fixed = new Map<Ingress | Service, string>()
  for (;;) {
    const rewriting = planRewriting(resources, settings, fixed)
    const count = fixed.size
    const files = await editFiles(rewriting, texts, input, fixed)
    if (fixed.size > count) continue
    let edited = configuration
    const isSame = async (some: readonly EditedFile[]): Promise<boolean> => {
      edited = await loadEdited(input, some, configuration)
      return isSameModel(model, edited.model)
    }
    const good: EditedFile[] = []
    if (files.length > 0 && (await isSame(files))) good.push(...files)
    else for (const file of files) if (await isSame([...good, file])) good.push(file)
    const spoilt = files.filter((file) => !good.includes(file)).map(({ name }) => name)
    const kept = rewriting.kept.map(({ ingress, annotation, reason }) => {
      const { file } = ingress.origin
      const { namespace, name } = ingress.meta
      const now = spoilt.includes(file) ? undefined : edited.resources.get('Ingress', namespace, name)
      const { line, column } = (now ?? ingress).origin.locateKey(['metadata', 'annotations', annotation])
      return { annotation, reason, place: `${file}:${line}:${column}` }
    })
    return { files: good, kept, spoilt }
  }
}

/** Adds objects that cannot be changed to `fixed`. */
async function editFiles(
  { changes }: Rewriting,
  texts: Map<string, string | undefined>,
  input: ConfigurationInput,
  fixed: Map<Ingress | Service, string>,
): Promise<readonly EditedFile[]> {
  const names = new Set(changes.map(({ resource }) => resource.origin.file))
  const files: EditedFile[] = []
  for (const name of [...names].sort()) {
    const own = changes.filter(({ resource }) => resource.origin.file === name)
    if (!texts.has(name))
      texts.set(name, checkText(name === STDIN ? (input.stdin ?? '') : await readFile(resolve(name), 'utf8')))
    const before = texts.get(name)
    if (before === undefined) {
      for (const { resource } of own) fixed.set(resource, 'its file has line ends of old Macs')
      continue
    }
    const edits = own.map((change) => ({ ...change, ...placeOf(change.resource.origin.locateKey(['metadata'])) }))
    const { text: after, problems } = editAnnotations(before, edits)
    for (const { edit, message } of problems)
      fixed.set(own[edits.indexOf(edit as (typeof edits)[number])]!.resource, message)
    const lists = own.flatMap(({ replaced, added }) => [...replaced.values(), added])
    files.push({
      name,
      before,
      after,
      gone: own.reduce((sum, { replaced }) => sum + replaced.size, 0),
      come: lists.reduce((sum, list) => sum + list.length, 0),
    })
  }
  return files
}

function placeOf({ line, column }: SourcePosition): Pick<SourcePosition, 'line' | 'column'> {
  return { line, column }
}

/** The text without its byte order mark. Undefined: the text has line ends of old Macs (CR alone), which positions do not count. */
function checkText(written: string): string | undefined {
  const text = written.startsWith(BOM) ? written.slice(1) : written
  return /\r(?!\n)/.test(text) ? undefined : text
}

function loadEdited(
  { sources, config, stdin = '', flags, environment }: ConfigurationInput,
  some: readonly EditedFile[],
  { allocations }: Configuration,
): Promise<Configuration> {
  const edited = new Map(some.map(({ name, after }) => [name, after]))
  const isStdin = sources.includes('-')
  const files = sources.filter((source) => source !== '-')
  const paths = [...new Set(config === undefined ? files : [config, ...files])]
  const base = new FileProvider({ sources: paths, clock: systemClock })
  const text = edited.get(STDIN) ?? stdin
  edited.delete(STDIN)
  return loadConfiguration({
    sources: isStdin ? ['-'] : [],
    ...(isStdin && { stdin: text }),
    providers: paths.length > 0 ? [new EditedProvider(base, edited)] : [],
    flags,
    environment,
    allocations,
  })
}

/** Writes each file whole or not at all, with its mode and owner; links stay links. Throws a UsageError, or Node's errors. */
export async function writeManifests(files: readonly EditedFile[]): Promise<void> {
  for (const { name, before, after } of files) {
    const path = await realpath(resolve(name))
    const bytes = await readFile(path, 'utf8')
    const start = bytes.startsWith(BOM) ? BOM : ''
    if (bytes !== start + before) throw new UsageError(`${name} has changed meanwhile`, 'run it again')
    const { mode, uid, gid } = await stat(path)
    const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}`)
    try {
      await writeFile(temporary, start + after, { flag: 'wx', mode: 0o600, flush: true })
      // Where this user is not the owner, the file becomes theirs.
      await chown(temporary, uid, gid).catch(() => {})
      await chmod(temporary, mode & 0o7777)
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true })
      throw error
    }
  }
}
