/** SARIF 2.1.0, as code hosts read it. */
import type { Severity } from '../../lib/base/diagnostics.ts'
import type { SourcePosition } from '../../lib/base/position.ts'
import { VERSION } from '../package.ts'

export type SarifRule = Readonly<{ id: string; description: string; severity: Severity }>

export type SarifResult = Readonly<{
  /** The id of a rule. */
  rule: string
  severity: Severity
  text: string
  position: SourcePosition | undefined
  /** The object as `Kind namespace/name`. */
  resource?: string | undefined
  related?: readonly Readonly<{ message: string; position?: SourcePosition }>[]
}>

/** One log with one run; file names stay relative where they were given so. */
export function createSarifLog(rules: readonly SarifRule[], results: readonly SarifResult[]): unknown {
  const places = new Map(rules.map(({ id }, index) => [id, index]))
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'portico',
            version: VERSION,
            informationUri: 'https://portico.dev/',
            rules: rules.map(({ id, description, severity }) => ({
              id,
              shortDescription: { text: description },
              defaultConfiguration: { level: printLevel(severity) },
            })),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: results.map((result) => createResult(result, places.get(result.rule)!)),
      },
    ],
  }
}

function createResult({ rule, severity, text, position, resource, related = [] }: SarifResult, ruleIndex: number) {
  return {
    ruleId: rule,
    ruleIndex,
    level: printLevel(severity),
    message: { text },
    ...(position && {
      locations: [
        { ...createLocation(position), ...(resource && { logicalLocations: [{ fullyQualifiedName: resource }] }) },
      ],
    }),
    ...(related.length > 0 && {
      relatedLocations: related.map((note, id) => ({
        id,
        message: { text: note.message },
        ...(note.position && createLocation(note.position)),
      })),
    }),
  }
}

function createLocation({ file, line, column, length, excerpt }: SourcePosition) {
  return {
    physicalLocation: {
      artifactLocation: { uri: printUri(file) },
      // An empty line has no columns to point at.
      region:
        excerpt === ''
          ? { startLine: line }
          : { startLine: line, startColumn: column, endColumn: column + length, snippet: { text: excerpt } },
    },
  }
}

/** A URI reference: each part of the path escaped, `file://` only before absolute paths. */
function printUri(file: string): string {
  const path = file.split('/').map(encodeURIComponent).join('/')
  return file.startsWith('/') ? `file://${path}` : path
}

function printLevel(severity: Severity): 'error' | 'warning' | 'note' {
  return severity === 'info' ? 'note' : severity
}
