/** What the output of one test file says. */

export type Outcome = Readonly<{
  passed: number
  failed: number
  /** Of each test and assertion that was skipped: the names that lead to it, and the reason. */
  skips: readonly string[]
  /** Of each assertion that failed: the names that lead to it, and its details on further lines. */
  failures: readonly string[]
}>

const SUBTEST = /^( *)# Subtest: (.*)$/
const POINT = /^( *)(ok|not ok) \d+(?: - (.*?))?(?: # (?:time=\S+|((?:SKIP|TODO).*)))?$/
const SUMMARY = /^# \{ total: \d+, pass: (\d+)(?:, fail: (\d+))?/m
/** What a test prints that begins after the end of the root test, and that is not counted. */
const LATE = /^(?:(?:not )?ok \d|Error: cannot create)/m

/**
 * Reads TAP as `tap` prints it: a subtest is indented by four columns, and the line that sums it up comes after. Undefined
 * where the summary at the end is missing, or is not the end.
 */
export function readTap(output: string): Outcome | undefined {
  const summary = SUMMARY.exec(output)
  if (summary === null || LATE.test(output.slice(summary.index))) return undefined
  const [, passed, failed = '0'] = summary
  const skips: string[] = []
  const failures: string[] = []
  /** Names of the subtests that have begun, from the outside in. */
  let path: readonly string[] = []
  const lines = output.split('\n')
  for (const [at, line] of lines.entries()) {
    const [, indent = '', subtest] = SUBTEST.exec(line) ?? []
    if (subtest !== undefined) {
      path = [...path.slice(0, indent.length / 4), subtest]
      continue
    }
    const [, margin, result, title = '', directive] = POINT.exec(line) ?? []
    if (margin === undefined) continue
    const depth = margin.length / 4
    const isSum = path.length > depth
    const names = [...path.slice(0, depth), title].join(' > ')
    path = path.slice(0, depth)
    if (directive !== undefined) skips.push(`${names}: ${directive}`)
    else if (result === 'not ok' && !isSum) failures.push([names, ...readDetails(lines, at + 1, margin)].join('\n'))
  }
  return { passed: Number(passed), failed: Number(failed), skips, failures }
}

/** The lines between `---` and `...` under a point, without its margin. */
function readDetails(lines: readonly string[], from: number, margin: string): readonly string[] {
  if (lines[from] !== `${margin}  ---`) return []
  const end = lines.indexOf(`${margin}  ...`, from)
  return lines.slice(from + 1, end === -1 ? lines.length : end).map((line) => line.slice(margin.length))
}
