/** All diagnostics of a configuration: as text, JSON, or SARIF. */
import { printCount } from '../../lib/base/count.ts'
import { countDiagnostics, DIAGNOSTICS, type Diagnostic, type DiagnosticCode } from '../../lib/base/diagnostics.ts'
import { printDiagnostic } from '../../lib/base/print-diagnostic.ts'
import type { Paint } from '../../lib/base/terminal-text.ts'

/** The numbers of files and objects read, for the summary. */
export type ProblemScope = Readonly<{ files: number; objects: number }>

/** Errors and warnings in full; notices on a line each. */
export function printProblems(diagnostics: readonly Diagnostic[], paint: Paint): string[] {
  const blocks: string[] = []
  for (const diagnostic of diagnostics) {
    const text = printDiagnostic(diagnostic, paint)
    blocks.push(diagnostic.severity === 'info' ? (text.split('\n')[0] as string) : text)
  }
  return blocks
}

/** `2 errors, 1 warning in 9 objects` */
export function printProblemCount(diagnostics: readonly Diagnostic[], scope: ProblemScope): string {
  const { error, warning, info } = countDiagnostics(diagnostics)
  const found = [
    ...(error > 0 ? [printCount(error, 'error')] : []),
    ...(warning > 0 ? [printCount(warning, 'warning')] : []),
    ...(info > 0 ? [printCount(info, 'notice')] : []),
  ]
  const problems = error + warning > 0 ? found.join(', ') : ['no problems', ...found].join(', ')
  return `${problems} in ${printCount(scope.objects, 'object')}`
}

/** For scripts: one object with every diagnostic. */
export function problemsJson(diagnostics: readonly Diagnostic[], scope: ProblemScope): unknown {
  const { error, warning, info } = countDiagnostics(diagnostics)
  return { files: scope.files, objects: scope.objects, errors: error, warnings: warning, infos: info, diagnostics }
}

/** SARIF 2.1.0, as code hosts read it; file names stay relative where they were given so. */
export function problemsSarif(diagnostics: readonly Diagnostic[], version: string): unknown {
  const codes = Object.keys(DIAGNOSTICS) as DiagnosticCode[]
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'portico',
            version,
            informationUri: 'https://portico.dev/',
            rules: codes.map((code) => ({
              id: code,
              shortDescription: { text: DIAGNOSTICS[code][1] },
              defaultConfiguration: { level: sarifLevel(DIAGNOSTICS[code][0]) },
            })),
          },
        },
        columnKind: 'utf16CodeUnits',
        results: diagnostics.map((diagnostic) => sarifResult(diagnostic, codes.indexOf(diagnostic.code))),
      },
    ],
  }
}

function sarifResult({ code, severity, message, help, position, notes, resource }: Diagnostic, ruleIndex: number) {
  const related = notes.filter((note) => note.position)
  return {
    ruleId: code,
    ruleIndex,
    level: sarifLevel(severity),
    message: { text: help ? `${message}\n${help}` : message },
    ...(position && {
      locations: [
        { ...sarifLocation(position), ...(resource && { logicalLocations: [{ fullyQualifiedName: resource }] }) },
      ],
    }),
    ...(related.length > 0 && {
      relatedLocations: related.map((note, id) => ({
        id,
        message: { text: note.message },
        ...(note.position && sarifLocation(note.position)),
      })),
    }),
  }
}

function sarifLocation({ file, line, column, length, excerpt }: NonNullable<Diagnostic['position']>) {
  return {
    physicalLocation: {
      artifactLocation: { uri: sarifUri(file) },
      // An empty line has no columns to point at.
      region:
        excerpt === ''
          ? { startLine: line }
          : { startLine: line, startColumn: column, endColumn: column + length, snippet: { text: excerpt } },
    },
  }
}

/** A URI reference: each part of the path escaped, `file://` only before absolute paths. */
function sarifUri(file: string): string {
  const path = file.split('/').map(encodeURIComponent).join('/')
  return file.startsWith('/') ? `file://${path}` : path
}

function sarifLevel(severity: Diagnostic['severity']): 'error' | 'warning' | 'note' {
  return severity === 'info' ? 'note' : severity
}
