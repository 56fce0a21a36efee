/** `portico test`: requests and what is to become of them, as a file; by the model of manifests, or by real requests. */
import { DiagnosticList } from '../../lib/base/diagnostics.ts'
import type { Configuration } from '../../lib/control/configuration.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import { printProblems } from '../print/problems.ts'
import { countResults, printJunit, printTestReport, testReportJson } from '../print/test-report.ts'
import type { CaseResult } from '../route-test/check.ts'
import type { RouteCase, RouteTest } from '../route-test/file.ts'
import { askLive, canBeLive, type LivePlaces, readPlaces } from '../route-test/live.ts'
import { readOverrides, SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'
import { createExplainOptions, examineRequest, readUrl } from './explain.ts'

export const command: Command = {
  name: 'test',
  summary: 'check what becomes of requests against a file of expectations',
  usage: 'FILE... [-f MANIFESTS] [--live URL] [flags]',
  about: [
    'A FILE holds documents of kind RouteTest: requests with the Ingress, route,',
    'Service, status, redirect, filters and certificate that each is to have, and the',
    'problems that the manifests may have; portico schema routetest has its fields.',
    'Manifests are those that it names, or those of -f. Nothing is started; with',
    '--live each request is made to a running gateway too, which tells more.',
    'Exit code 1 if an expectation is not met, 2 if a file cannot be read.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'live', value: 'URL', repeatable: true, doc: 'where the gateway is, once for http and once for https' },
    { name: 'output', short: 'o', value: 'text|json|junit', doc: 'how to print; junit for CI' },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: ['filename', 'config', 'live', 'output', 'endpoints', 'ingress-class', 'set'],
  examples: [
    ['portico test tests/', 'all RouteTests of a folder'],
    ['portico test routes.yaml -f k8s/ -o junit', 'other manifests; for CI'],
    ['portico test routes.yaml --live http://127.0.0.1:8080', 'by real requests too'],
  ],
  words: { least: 1, most: Number.MAX_SAFE_INTEGER, name: 'FILE', values: 'files' },
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json', 'junit'])
    const places = readPlaces(typed.values('live'))
    const { readTests } = await import('../route-test/file.ts')
    const problems = new DiagnosticList()
    const tests = await readTests(typed.positionals, problems)
    if (problems.items.length > 0) {
      for (const block of printProblems(problems.sorted(), terminal.paintTalk)) terminal.tell(block)
      return EXIT.usage
    }
    if (tests.length === 0) throw new UsageError('there is no RouteTest in these files', 'portico schema routetest')
    const runner = new TestRunner(typed, terminal, places)
    const results: CaseResult[] = []
    for (const test of tests) {
      const found = await runner.run(test)
      if (found === undefined) return EXIT.failure
      results.push(...found)
    }
    if (output === 'json') terminal.print(JSON.stringify(testReportJson(results), undefined, 2))
    else if (output === 'junit') terminal.print(printJunit(results))
    else terminal.print(printTestReport(results, terminal.paint))
    terminal.tell(countResults(results))
    return results.some(({ failures }) => failures.length > 0) ? EXIT.failure : EXIT.ok
  },
}

class TestRunner {
  readonly #typed: Typed
  readonly #terminal: Terminal
  readonly #places: LivePlaces
  /** By what is read. */
  readonly #configurations = new Map<string, Promise<Configuration>>()

  constructor(typed: Typed, terminal: Terminal, places: LivePlaces) {
    this.#typed = typed
    this.#terminal = terminal
    this.#places = places
  }

  /** Undefined, with the problems told, where no gateway would start with the settings. */
  async run(test: RouteTest): Promise<readonly CaseResult[] | undefined> {
    const { hasSettingErrors } = await import('../../lib/control/configuration.ts')
    const { checkCase, checkDiagnostics } = await import('../route-test/check.ts')
    const configuration = await this.#load(test)
    const { diagnostics } = configuration
    if (hasSettingErrors(diagnostics)) {
      const errors = diagnostics.filter(({ severity }) => severity === 'error')
      for (const block of printProblems(errors, this.#terminal.paintTalk)) this.#terminal.tell(block)
      this.#terminal.tell('no gateway starts with errors in its settings: nothing is tested')
      return undefined
    }
    const results: CaseResult[] = []
    const ofProblems = checkDiagnostics(test, diagnostics)
    if (ofProblems) results.push(ofProblems)
    for (const [index, one] of test.tests.entries()) {
      const explanation = await this.#explain(one, configuration)
      results.push(checkCase(test, index, explanation, await this.#ask(one)))
    }
    return results
  }

  async #load(test: RouteTest): Promise<Configuration> {
    const typed = this.#typed
    const named = typed.values('filename')
    const sources = named.length > 0 ? named : test.manifests
    const config = typed.value('config')
    if (sources.length === 0 && config === undefined) {
      throw new UsageError(`${test.file} names no manifests`, 'add manifests: [k8s/] to it, or name them with -f')
    }
    if (sources.includes('-')) throw new UsageError('-f - cannot be tested', 'write it to a file')
    const key = JSON.stringify(sources)
    let loading = this.#configurations.get(key)
    if (!loading) {
      const { loadConfiguration } = await import('../../lib/control/configuration.ts')
      const { env } = this.#terminal.host
      loading = loadConfiguration({ sources, flags: readOverrides(typed), environment: env, ...(config && { config }) })
      this.#configurations.set(key, loading)
    }
    return loading
  }

  async #explain({ request }: RouteCase, configuration: Configuration) {
    const { explainRequest } = await import('../../lib/report/explain.ts')
    const { url, method, headers = {}, client = '127.0.0.1' } = request
    const sent = {
      method,
      headers: Object.entries(headers).flatMap(([name, value]) => [name, Buffer.from(value).toString('latin1')]),
      peer: client,
      asksForClient: false,
    }
    const { request: examined } = await examineRequest(sent, configuration.settings)
    const options = await createExplainOptions(configuration, this.#terminal.host.env)
    return explainRequest(configuration.model, { ...readUrl(url), ...examined }, options)
  }

  /** Undefined where the request is not to be made. */
  async #ask(one: RouteCase) {
    if (this.#typed.values('live').length === 0 || !canBeLive(one)) return undefined
    try {
      return await askLive(one, this.#places)
    } catch (error) {
      throw new UsageError(
        `${one.request.url}: ${(error as Error).message}`,
        '--live names where the gateway is, for each scheme',
      )
    }
  }
}
