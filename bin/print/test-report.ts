/** The outcome of RouteTests: for people, as JSON, or as JUnit XML for CI. */
import { printCount } from '../../lib/base/count.ts'
import { escapeText, type Paint } from '../../lib/base/terminal-text.ts'
import type { CaseResult } from '../route-test/check.ts'

/** A line for each test, and below a failed one what was expected and what was got, with its place. */
export function printTestReport(results: readonly CaseResult[], paint: Paint): string {
  return results
    .flatMap(({ name, failures, nearest }) => [
      `${failures.length === 0 ? paint('green', 'ok   ') : paint('red', 'fails')}  ${escapeText(name)}`,
      ...failures.flatMap(({ subject, expected, got, at }) => [
        `       ${escapeText(at)}  ${paint('bold', escapeText(subject))}`,
        `         expected  ${escapeText(expected)}`,
        `         got       ${escapeText(got)}`,
      ]),
      ...nearest.map((each) => `         nearest   ${escapeText(each)}`),
    ])
    .join('\n')
}

/** `12 tests, 1 failed; offline 3 expectations were not checked` */
export function countResults(results: readonly CaseResult[]): string {
  const failed = results.filter(({ failures }) => failures.length > 0).length
  const open = results.reduce((sum, { notChecked }) => sum + notChecked.length, 0)
  const notChecked =
    open === 0 ? '' : `; ${printCount(open, 'expectation')} not checked: only a real request (--live) tells`
  return `${printCount(results.length, 'test')}, ${failed === 0 ? 'all passed' : `${failed} failed`}${notChecked}`
}

export function testReportJson(results: readonly CaseResult[]): unknown {
  return {
    tests: results.length,
    failed: results.filter(({ failures }) => failures.length > 0).length,
    results: results.map((result) => ({ ...result, passed: result.failures.length === 0 })),
  }
}

/** One suite for each file. */
export function printJunit(results: readonly CaseResult[]): string {
  const files = [...new Set(results.map(({ file }) => file))]
  const failed = (some: readonly CaseResult[]) => some.filter(({ failures }) => failures.length > 0).length
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>']
  lines.push(`<testsuites name="portico test" tests="${results.length}" failures="${failed(results)}">`)
  for (const file of files) {
    const cases = results.filter((result) => result.file === file)
    lines.push(`  <testsuite name="${escapeXml(file)}" tests="${cases.length}" failures="${failed(cases)}">`)
    for (const result of cases) lines.push(...printCase(result))
    lines.push('  </testsuite>')
  }
  return [...lines, '</testsuites>'].join('\n')
}

function printCase({ name, file, at, failures, nearest }: CaseResult): readonly string[] {
  const line = /:(\d+):\d+$/.exec(at)?.[1]
  const head = `    <testcase name="${escapeXml(name)}" classname="${escapeXml(file)}" file="${escapeXml(file)}"${line ? ` line="${line}"` : ''}`
  if (failures.length === 0) return [`${head}/>`]
  return [
    `${head}>`,
    ...failures.map(({ subject, expected, got, at: place }) => {
      const text = [
        `${place}\nexpected ${expected}\ngot      ${got}`,
        ...nearest.map((each) => `nearest  ${each}`),
      ].join('\n')
      return `      <failure type="${escapeXml(subject)}" message="${escapeXml(`${subject}: expected ${expected}, got ${got}`)}">${escapeXml(text)}</failure>`
    }),
    '    </testcase>',
  ]
}

/** Characters that XML 1.0 cannot have are left out. */
function escapeXml(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
