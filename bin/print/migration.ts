/** What moves over from ingress-nginx: as text, Markdown, JSON, or SARIF. */

import { alignColumns } from '../../lib/base/columns.ts'
import { printCount } from '../../lib/base/count.ts'
import type { Diagnostic } from '../../lib/base/diagnostics.ts'
import { printPosition, type SourcePosition } from '../../lib/base/position.ts'
import { type Colour, escapeText, type Paint } from '../../lib/base/terminal-text.ts'
import { printResource } from '../../lib/kubernetes/resource.ts'
import { ANNOTATION_DOMAIN } from '../../lib/settings/service.ts'
import { NGINX_DOMAIN } from '../../lib/translate/ingress/nginx/feature.ts'
import type { Migration, ObjectReport, Tally } from '../../lib/translate/migrate/migration.ts'
import type { AnnotationVerdict, Reason, Support } from '../../lib/translate/migrate/verdict.ts'
import { describeProblem, printProblems, SARIF_RULES } from './problems.ts'
import { createSarifLog, type SarifResult, type SarifRule } from './sarif.ts'

const COLOURS: Readonly<Record<Support, Colour>> = { exact: 'green', differs: 'yellow', refused: 'red' }

const DEFAULTS =
  'What no annotation says has the defaults of Portico; compatibility: ingress-nginx in the settings has those of ingress-nginx.'
const ALONE = 'There are no Services, Secrets and ConfigMaps here: nothing is said of those that Ingresses name.'

/** True if something does not move by itself. */
export function needsHand({ refused, errors }: Tally): boolean {
  return refused + errors > 0
}

/** True if something is not as in ingress-nginx. */
export function hasDifferences({ differs, warnings }: Tally): boolean {
  return differs + warnings > 0
}

/** `moves as it is`, `moves with 2 differences`, `1 annotation and 2 problems need a hand` */
export function printVerdict(tally: Tally): string {
  const { differs, refused, errors, warnings } = tally
  if (!needsHand(tally)) {
    return hasDifferences(tally) ? `moves with ${printCount(differs + warnings, 'difference')}` : 'moves as it is'
  }
  const parts = [
    ...(refused > 0 ? [printCount(refused, 'annotation')] : []),
    ...(errors > 0 ? [printCount(errors, 'problem')] : []),
  ]
  return `${parts.join(' and ')} ${refused + errors === 1 ? 'needs' : 'need'} a hand`
}

/** It leaves out the Ingresses that have neither annotations of ingress-nginx nor problems. */
export function printMigration(migration: Migration, paint: Paint): string {
  const { objects, problems, places } = migration
  const blocks = [
    ...printProblems(problems, paint),
    ...objects.flatMap((one) => (isSilent(one) ? [] : [printObject(one, paint)])),
  ]
  const rows = places.map(({ place, tally }) => [escapeText(place), paintVerdict(tally, paint)])
  return [
    ...blocks.map((block) => `${block}\n`),
    ...alignColumns(rows, 3),
    ...(rows.length > 0 ? [''] : []),
    ...listNotes(migration),
    printTotal(migration),
  ].join('\n')
}

/** What holds for all Ingresses. */
function listNotes({ objects, isIngressAlone, hasDefaults }: Migration): readonly string[] {
  if (objects.length === 0) return []
  return [...(isIngressAlone ? [ALONE] : []), ...(hasDefaults ? [] : [DEFAULTS])]
}

function isSilent({ annotations, problems }: ObjectReport): boolean {
  return annotations.length + problems.length === 0
}

function printObject({ ingress, position, annotations, problems }: ObjectReport, paint: Paint): string {
  const lines = annotations.flatMap((one) => [
    `  ${paint('dim', escapeText(printPosition(one.position ?? position)))}  ${paint(COLOURS[one.support], one.support.padEnd('refused'.length))}  ${escapeText(printStep(one))}`,
    ...listWords(one).map((line) => `      ${escapeText(line)}`),
  ])
  const others = problems.flatMap(({ position: place, severity, code, message, help }) => [
    `  ${paint('dim', escapeText(printPosition(place ?? position)))}  ${paint(severity === 'error' ? 'red' : 'yellow', severity.padEnd('refused'.length))}  ${escapeText(message)}  ${paint('dim', code)}`,
    ...(help === undefined ? [] : help.split('\n').map((line) => `      ${escapeText(line)}`)),
  ])
  return [paint('bold', escapeText(printResource(ingress))), ...lines, ...others].join('\n')
}

/** `rewrite-target → rewrite-target, path-type`, without the domains. */
function printStep({ annotation, options, isClosing }: AnnotationVerdict): string {
  const names = options.map((option) => option.slice(ANNOTATION_DOMAIN.length)).join(', ')
  const arrow = names === '' ? '' : ` → ${names}`
  return `${annotation.slice(NGINX_DOMAIN.length)}${arrow}${isClosing ? '  its routes answer 503' : ''}`
}

function listWords({ reasons }: AnnotationVerdict): readonly string[] {
  return reasons.flatMap(({ message, help }) => [message, ...(help === undefined ? [] : help.split('\n'))])
}

function paintVerdict(tally: Tally, paint: Paint): string {
  return paint(needsHand(tally) ? 'red' : hasDifferences(tally) ? 'yellow' : 'green', printVerdict(tally))
}

/** `3 Ingresses, 12 annotations of ingress-nginx: 9 exact, 2 differ, 1 is refused; 1 problem` */
function printTotal({ objects, total }: Migration): string {
  const { exact, differs, refused, errors, warnings } = total
  const ingresses = objects.length === 1 ? '1 Ingress' : `${objects.length} Ingresses`
  const parts = [
    `${exact} exact`,
    `${differs} ${differs === 1 ? 'differs' : 'differ'}`,
    `${refused} ${refused === 1 ? 'is' : 'are'} refused`,
  ]
  const others = errors + warnings > 0 ? `; ${printCount(errors + warnings, 'problem')} besides` : ''
  const annotations = printCount(exact + differs + refused, 'annotation')
  return `${ingresses}, ${annotations} of ingress-nginx: ${parts.join(', ')}${others}`
}

/** For pages of code hosts and wikis. */
export function migrationMarkdown(migration: Migration): string {
  const { objects, problems, places } = migration
  return [
    '# From ingress-nginx to Portico',
    '',
    [`${printTotal(migration)}.`, ...listNotes(migration)].join(' '),
    '',
    ...table(
      ['where', 'verdict', 'exact', 'differs', 'refused', 'problems'],
      places.map(({ place, tally }) => [
        code(place),
        printVerdict(tally),
        ...[tally.exact, tally.differs, tally.refused, tally.errors + tally.warnings].map(String),
      ]),
    ),
    ...(problems.length === 0 ? [] : ['## What could not be read', '', ...problems.map((one) => `- ${item(one)}`), '']),
    ...objects.filter((one) => !isSilent(one)).flatMap(objectMarkdown),
  ].join('\n')
}

function objectMarkdown({ ingress, position, annotations, problems }: ObjectReport): string[] {
  return [
    `## ${escapeMarkdown(printResource(ingress))}`,
    '',
    `${code(printPosition(position))}`,
    '',
    ...(annotations.length === 0
      ? []
      : table(
          ['annotation', 'line', 'support', 'written here as', 'what is to be known'],
          annotations.map((one) => [
            code(one.annotation.slice(NGINX_DOMAIN.length)),
            String((one.position ?? position).line),
            `${one.support}${one.isClosing ? ': its routes answer 503' : ''}`,
            one.options.map(code).join(', '),
            escapeMarkdown(one.reasons.map(printReason).join('. ')),
          ]),
        )),
    ...(problems.length === 0 ? [] : [...problems.map((one) => `- ${item(one)}`), '']),
  ]
}

function printReason({ message, help }: Reason): string {
  return help === undefined ? message : `${message}: ${help}`
}

function item({ position, severity, message, help }: Diagnostic): string {
  const place = position === undefined ? '' : `${code(printPosition(position))} `
  return `${place}${severity}: ${escapeMarkdown(printReason({ message, ...(help && { help }) }))}`
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  if (rows.length === 0) return []
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line), '']
}

/** Names of files and objects cannot end a span of code, a cell or a line. */
function code(text: string): string {
  return `\`${escapeText(text).replaceAll('`', "'").replaceAll('|', '\\|')}\``
}

/** Spans of code that the text has stay; all else is text. */
function escapeMarkdown(text: string): string {
  return text
    .split('\n')
    .map(escapeText)
    .join(' ')
    .replace(/[|<>*_[\]\\]/g, (sign) => `\\${sign}`)
}

/** For scripts; docs/ingress-nginx.md describes it. */
export function migrationJson({ objects, problems, places, total, hasDefaults }: Migration): unknown {
  return {
    version: 1,
    verdict: printVerdict(total),
    ingresses: objects.length,
    ...total,
    defaults: hasDefaults ? 'ingress-nginx' : 'portico',
    places: places.map(({ place, isFolder, ingresses, tally }) => ({
      place,
      type: isFolder ? 'folder' : 'file',
      verdict: printVerdict(tally),
      ingresses,
      ...tally,
    })),
    objects: objects.map(({ ingress: { kind, meta }, position, annotations, problems: others }) => ({
      kind,
      namespace: meta.namespace,
      name: meta.name,
      ...placeJson(position),
      annotations: annotations.map(({ position: place, ...one }) => ({ ...one, ...placeJson(place ?? position) })),
      problems: others.map(problemJson),
    })),
    problems: problems.map(problemJson),
  }
}

function problemJson({ code, severity, message, help, position }: Diagnostic) {
  return { code, severity, message, ...(help && { help }), ...(position && placeJson(position)) }
}

function placeJson({ file, line, column }: SourcePosition) {
  return { file, line, column }
}

const RULES: readonly SarifRule[] = [
  { id: 'ingress-nginx/refused', severity: 'error', description: 'an annotation of ingress-nginx is not done' },
  {
    id: 'ingress-nginx/differs',
    severity: 'warning',
    description: 'an annotation of ingress-nginx is done differently',
  },
]

/** What needs a hand, and what differs; what is exact is left out. */
export function migrationSarif({ objects, problems }: Migration): unknown {
  const results = objects.flatMap(({ ingress, position, annotations, problems: others }): SarifResult[] => [
    ...annotations
      .filter(({ support }) => support !== 'exact')
      .map((one) => ({
        rule: `ingress-nginx/${one.support}`,
        severity: one.support === 'refused' ? ('error' as const) : ('warning' as const),
        text: [printStep(one), ...listWords(one)].join('\n'),
        position: one.position ?? position,
        resource: printResource(ingress),
      })),
    ...others.map(describeProblem),
  ])
  const all = [...problems.map(describeProblem), ...results]
  const named = new Set(all.map(({ rule }) => rule))
  return createSarifLog([...RULES, ...SARIF_RULES.filter(({ id }) => named.has(id))], all)
}
