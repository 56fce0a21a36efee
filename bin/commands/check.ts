/** `portico check` */
import { countDiagnostics } from '../../lib/base/diagnostics.ts'
import { type Command, EXIT, INPUT_FLAGS, NO_WORDS } from '../command.ts'
import { readInput } from '../configuration-input.ts'
import { readOutput } from '../output.ts'
import { printProblemCount, printProblems, problemsJson, problemsSarif } from '../print/problems.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'

export const command: Command = {
  name: 'check',
  summary: 'find every problem in manifests, without opening a port',
  usage: '-f FILE [-o text|json|sarif] [--strict] [--ignore CODE]',
  about: [
    'Prints each problem with its file, line and column, and what to do about it.',
    'Exit code 1 if there are errors: each leaves out an object, a route or a',
    'certificate; with --strict also if there are warnings. --ignore CODE leaves out',
    'the problems of one code, and may be given several times; lib/base/codes.md',
    'explains each code.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'output', short: 'o', value: 'text|json|sarif', doc: 'how to print; sarif for code hosts' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['filename', 'config', 'output', 'endpoints', 'ingress-class', 'strict', 'ignore', 'set'],
  examples: [
    ['portico check -f k8s/', 'a folder and all below it'],
    ['helm template my-app | portico check -f -', 'a rendered chart'],
    ['portico check -f k8s/ --strict --ignore PORTICO_REF_NO_ENDPOINTS', 'all but one kind of warning'],
    ['portico check -f k8s/ --strict -o sarif > portico.sarif', 'in CI'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json', 'sarif'])
    const input = await readInput('check', typed, terminal.host)
    const { loadConfiguration } = await import('../../lib/control/configuration.ts')
    const { diagnostics, files, objects, settings } = await loadConfiguration(input)
    const scope = { files, objects }
    if (output === 'json') terminal.print(JSON.stringify(problemsJson(diagnostics, scope), undefined, 2))
    else if (output === 'sarif') terminal.print(JSON.stringify(problemsSarif(diagnostics), undefined, 2))
    else {
      const blocks = printProblems(diagnostics, terminal.paint)
      if (blocks.length > 0) terminal.print(`${blocks.join('\n')}\n`)
      terminal.print(printProblemCount(diagnostics, scope))
    }
    const { error, warning } = countDiagnostics(diagnostics)
    return error > 0 || (settings.strict && warning > 0) ? EXIT.failure : EXIT.ok
  },
}
