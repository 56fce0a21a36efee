/** All diagnostics of a configuration: as text, JSON, or SARIF. */
import { printCount } from '../../lib/base/count.ts'
import { countDiagnostics, DIAGNOSTICS, type Diagnostic } from '../../lib/base/diagnostics.ts'
import { printDiagnostic } from '../../lib/base/print-diagnostic.ts'
import type { Paint } from '../../lib/base/terminal-text.ts'
import { createSarifLog, type SarifResult, type SarifRule } from './sarif.ts'

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

/** As SARIF, with the catalogue as rules. */
export function problemsSarif(diagnostics: readonly Diagnostic[]): unknown {
  return createSarifLog(SARIF_RULES, diagnostics.map(describeProblem))
}

export const SARIF_RULES: readonly SarifRule[] = Object.entries(DIAGNOSTICS).map(([id, [severity, description]]) => ({
  id,
  severity,
  description,
}))

export function describeProblem({ code, severity, message, help, position, notes, resource }: Diagnostic): SarifResult {
  return {
    rule: code,
    severity,
    text: help ? `${message}\n${help}` : message,
    position,
    resource,
    related: notes.filter((note) => note.position),
  }
}
