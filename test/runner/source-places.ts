/**
 * Turns places in compiled files into places in their sources. The runner does so for failures alone: in the processes of tests,
 * Node's `--enable-source-maps` would cost time for each module.
 */
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'

const PLACE = /\bdist\/(?<name>[\w./-]+)\.js:(?<line>\d+):(?<column>\d+)/g

const maps = new Map<string, SourceMap | undefined>()

/** A place that no map knows stays as it is. */
export function namePlaces(text: string): string {
  return text.replace(PLACE, (place, name: string, line: string, column: string) => {
    const entry = findMap(name)?.findEntry(Number(line) - 1, Number(column) - 1)
    return entry !== undefined && 'originalLine' in entry
      ? `${name}.ts:${entry.originalLine + 1}:${entry.originalColumn + 1}`
      : place
  })
}

function findMap(name: string): SourceMap | undefined {
  if (!maps.has(name)) maps.set(name, readMap(`dist/${name}.js.map`))
  return maps.get(name)
}

function readMap(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}
