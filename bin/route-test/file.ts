/** Reads files of RouteTests; what is wrong in them is a diagnostic. */
import { readdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DiagnosticList } from '../../lib/base/diagnostics.ts'
import type { Origin } from '../../lib/base/position.ts'
import { SETTINGS } from '../../lib/settings/table.ts'
import { parseInParts, placeDocuments, readLines } from '../../lib/source/document.ts'
import { readSource } from '../../lib/source/read-source.ts'
import { findFaults, TEST_API_VERSION, TEST_KIND } from './fields.ts'

export type RouteTest = Readonly<{
  /** As it was named, for people. */
  file: string
  origin: Origin
  name: string | undefined
  /** Paths that this process can open. */
  manifests: readonly string[]
  diagnostics: readonly ExpectedDiagnostic[] | undefined
  tests: readonly RouteCase[]
}>

export type ExpectedDiagnostic = Readonly<{ code: string; object?: string; message?: string }>

export type RouteCase = Readonly<{
  name?: string
  request: Readonly<{ url: string; method?: string; headers?: Readonly<Record<string, string>>; client?: string }>
  expect: Readonly<{
    ingress?: string
    route?: string
    service?: string
    status?: number
    redirect?: string
    headers?: Readonly<Record<string, string | null>>
    filters?: readonly string[]
    certificate?: string
  }>
}>

/** The tests of files, and of the YAML files in folders and below. Other kinds of documents are passed over. */
export async function readTests(names: readonly string[], diagnostics: DiagnosticList): Promise<readonly RouteTest[]> {
  const tests: RouteTest[] = []
  for (const name of names) {
    const isFolder = statSync(name, { throwIfNoEntry: false })?.isDirectory() ?? false
    for (const file of isFolder ? listFiles(name) : [name]) {
      const found = await readTestFile(file, isFolder, diagnostics)
      tests.push(...found)
      if (found.length > 0 || isFolder || diagnostics.items.length > 0) continue
      diagnostics.add('PORTICO_RES_KIND_UNKNOWN', `${file} holds no ${TEST_KIND}`, {
        severity: 'error',
        help: `write apiVersion: ${TEST_API_VERSION} and kind: ${TEST_KIND}; portico schema routetest has the fields`,
      })
    }
  }
  return tests
}

function listFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.ya?ml$/.test(name))
    .sort()
    .map((name) => join(folder, name))
}

async function readTestFile(file: string, inFolder: boolean, diagnostics: DiagnosticList): Promise<RouteTest[]> {
  const { default: maxBytes } = SETTINGS.files.maxBytes
  const source = await readSource(file, { maxBytes, inFolder }, diagnostics)
  if (!source) return []
  const tests: RouteTest[] = []
  for (const part of parseInParts(source)) {
    // A manifest that cannot be read is told where it is tested.
    if (!inFolder) diagnostics.addAll(part.diagnostics)
    for (const { value, origin } of placeDocuments(readLines(source), part.documents)) {
      if (!isTest(value)) continue
      const faults = findFaults(value)
      for (const { at, isKey, message, help } of faults) {
        const position = isKey ? origin.locateKey(at) : origin.locate(at)
        diagnostics.add('PORTICO_RES_FIELD_VALUE', message, { position, help })
      }
      if (faults.length === 0) tests.push(createTest(file, origin, value))
    }
  }
  return tests
}

function isTest(value: unknown): value is Written {
  return typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === TEST_KIND
}

type Written = Readonly<{
  metadata?: Readonly<{ name?: string }>
  manifests?: readonly string[]
  diagnostics?: readonly ExpectedDiagnostic[]
  tests?: readonly RouteCase[]
}>

function createTest(
  file: string,
  origin: Origin,
  { metadata, manifests = [], diagnostics, tests = [] }: Written,
): RouteTest {
  return {
    file,
    origin,
    name: metadata?.name,
    manifests: manifests.map((name) => join(dirname(file), name)),
    diagnostics,
    tests,
  }
}
