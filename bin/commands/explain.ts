/** `portico explain`: the rule that serves a URL, and why the others do not. It starts nothing and uses no network. */
import { isIP } from 'node:net'
import { countDiagnostics } from '../../lib/base/diagnostics.ts'
import { GatewayError } from '../../lib/base/errors.ts'
import type { Configuration } from '../../lib/control/configuration.ts'
import type { AskedRequest, ReadRequest } from '../../lib/downstream/asked-request.ts'
import { type AskedUrl, splitAskedUrl } from '../../lib/report/asked-url.ts'
import type { ExplainOptions } from '../../lib/report/explain.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { findAdmin } from '../admin-client.ts'
import { askJson, type NoAnswerError, tellNoAnswer } from '../ask.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { namesInput, readInput } from '../configuration-input.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import { printProblemCount, printProblems } from '../print/problems.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'
import { UsageError } from '../usage-error.ts'

const ADMIN = 'admin'

export const command: Command = {
  name: 'explain',
  summary: 'say which rule serves a URL, and why the others do not',
  usage: 'URL {-f FILE | --admin} [flags]',
  about: [
    'Works on the manifests alone, and starts nothing; or asks a running gateway,',
    'exit code 4 if it cannot be reached. Exit code 0 if the URL is',
    'served or redirected, 1 if the answer would be an error or the settings have',
    'errors: no gateway starts with those.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'output', short: 'o', value: 'text|json', doc: 'how to print' },
    { name: 'method', short: 'X', value: 'METHOD', doc: 'the method of the request; GET if it is left out' },
    { name: 'header', short: 'H', value: 'NAME: VALUE', repeatable: true, doc: 'a header field of the request' },
    { name: 'cookie', value: 'NAME=VALUE', repeatable: true, doc: 'a cookie of the request' },
    {
      name: 'client',
      value: 'ADDRESS',
      doc: 'the address of a client that connects by itself; 127.0.0.1 if it is left out',
    },
    {
      name: 'peer',
      value: 'ADDRESS',
      doc: 'the address of a proxy that connects for the client: explain also says which client the fields of -H name, and why',
    },
    {
      name: ADMIN,
      doc: 'ask the gateway that runs on this machine, at the admin address of flags and environment: the health of endpoints, and what they have to do',
    },
    SET_FLAG,
    // Here --admin is a flag of its own.
    ...SETTING_FLAGS.filter(({ name }) => name !== ADMIN),
  ],
  firstFlags: [
    'filename',
    ADMIN,
    'config',
    'output',
    'method',
    'header',
    'cookie',
    'client',
    'peer',
    'endpoints',
    'ingress-class',
    'https-port',
    'set',
  ],
  examples: [
    ['portico explain https://shop.localhost/api -f k8s/', 'by host and path'],
    ['portico explain https://shop.localhost/api --admin', 'as the running gateway sees it'],
    ['portico explain http://localhost:30080/ -f k8s/', 'by the port of a Service: a nodePort and the like'],
    ["portico explain -X POST -H 'X-Env: staging' shop.localhost/ -f k8s/", 'as for curl'],
    ["portico explain a.localhost --peer ::1 -H 'X-Real-IP: 192.0.2.7' -f k8s/", 'the client behind a proxy'],
    ["portico explain 'shop.localhost/a/../b?x=1' -f k8s/ -o json", 'for scripts; http:// where no scheme is given'],
  ],
  words: { least: 1, most: 1, name: 'URL' },
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json'])
    const word = typed.positionals[0] as string
    const asked = readUrl(word)
    const sent = readRequest(typed)
    if (asksGateway(typed)) return askGateway(word, sent, typed, output, terminal)
    const input = await readInput(`explain ${word}`, typed, terminal.host, `portico explain ${word} --${ADMIN}`)
    const { hasSettingErrors, loadConfiguration } = await import('../../lib/control/configuration.ts')
    const { explainRequest } = await import('../../lib/report/explain.ts')
    const { explanationJson, printExplanation } = await import('../../lib/report/explanation.ts')
    const configuration = await loadConfiguration(input)
    const { model, settings, resources, diagnostics, files, objects } = configuration
    if (hasSettingErrors(diagnostics)) {
      const errors = diagnostics.filter(({ severity }) => severity === 'error')
      for (const line of printProblems(errors, terminal.paintTalk)) terminal.tell(line)
      terminal.tell('no gateway starts with errors in its settings: nothing is explained')
      return EXIT.failure
    }
    if (countDiagnostics(diagnostics).error > 0) {
      terminal.tell(`${printProblemCount(diagnostics, { files, objects })}: portico check tells more`)
    }
    const { request, trail } = await examineRequest(sent, settings)
    const explanation = explainRequest(
      model,
      { ...asked, ...request },
      await createExplainOptions(configuration, terminal.host.env),
    )
    if (output === 'json')
      terminal.print(JSON.stringify(explanationJson(explanation, { locate: resources.locate, trail }), undefined, 2))
    else
      terminal.print(
        printExplanation(explanation, { defaults: settings.upstream, locate: resources.locate, trail }, terminal.paint),
      )
    const { answer } = explanation
    return answer === undefined || answer.status < 400 ? EXIT.ok : EXIT.failure
  },
}

/** Flags that say where a gateway is mean that gateway, where no files are named. */
function asksGateway(typed: Typed): boolean {
  return (
    typed.has(ADMIN) ||
    (!namesInput(typed) && SETTING_FLAGS.some(({ name }) => name.startsWith('admin-') && typed.has(name)))
  )
}

async function askGateway(
  word: string,
  { method, headers, peer, asksForClient }: AskedRequest,
  typed: Typed,
  output: 'text' | 'json',
  terminal: Terminal,
): Promise<number> {
  if (typed.values('filename').length > 0)
    throw new UsageError('--admin asks a gateway, and -f reads files', 'leave one out')
  const admin = await findAdmin(typed, terminal.host.env)
  const query = new URLSearchParams({ url: word, ...(method !== undefined && { method }) })
  for (let at = 0; at < headers.length; at += 2) query.append('header', `${headers[at]}: ${headers[at + 1]}`)
  query.set(asksForClient ? 'peer' : 'client', peer)
  if (terminal.paint('bold', ' ') !== ' ') query.set('color', 'ansi')
  try {
    const answer = await askJson(admin, `/api/v1/explain?${query}`, 'read files: -f FILE-OR-FOLDER')
    const { text, ...rest } = answer as LiveExplanation
    if (output === 'json') terminal.print(JSON.stringify(rest, undefined, 2))
    else terminal.print(text)
    return rest.answer === undefined || rest.answer.status < 400 ? EXIT.ok : EXIT.failure
  } catch (error) {
    const code = tellNoAnswer(error, terminal)
    // What was asked could not be read.
    return (error as NoAnswerError).status === 400 ? EXIT.usage : code
  }
}

/** What the admin API answers. */
type LiveExplanation = Readonly<{ text: string; answer?: Readonly<{ status: number }> }>

/** What the gateway that serves a configuration knows beside its model. */
export async function createExplainOptions(
  { settings, resources, diagnostics }: Configuration,
  environment: NodeJS.ProcessEnv,
): Promise<ExplainOptions> {
  const { listLeftOut } = await import('../../lib/report/left-out.ts')
  const { COOKIE_SECRET, peekKeptSecret } = await import('../../lib/control/kept-secret.ts')
  const { findDataDir } = await import('../../lib/base/data-folder.ts')
  const { markService } = await import('../../lib/upstream/choice/session-cookie.ts')
  const { https, dataDir } = settings
  const secret = await peekKeptSecret(findDataDir(dataDir, environment), COOKIE_SECRET)
  return {
    httpsPort: https.redirectPort || https.port,
    strictSni: https.strictSni,
    settings,
    leftOut: listLeftOut(resources, diagnostics),
    markService: secret && ((service) => markService(secret, service)),
    now: Date.now(),
  }
}

/** Without white space around it, and without the semicolon that parts cookies. */
const COOKIE = /^[^\s=;,]+=(?:[^\s;](?:[^;]*[^\s;])?)?$/

/** A request as the flags give it. */
function readRequest(typed: Typed): AskedRequest {
  const method = typed.value('method')
  const client = typed.value('client')
  const proxy = typed.value('peer')
  if (client !== undefined && proxy !== undefined) {
    const help = "behind a proxy a field names the client, as in --peer 10.0.0.1 -H 'X-Forwarded-For: 192.0.2.7'"
    throw new UsageError('--client connects by itself, and --peer for another', help)
  }
  const peer = proxy ?? client ?? '127.0.0.1'
  if (isIP(peer) === 0) {
    const flag = proxy === undefined ? '--client' : '--peer'
    throw new UsageError(`"${peer}" is no IP address`, `write one as in ${flag} 10.0.0.1`)
  }
  const headers = typed.values('header').flatMap(readField)
  return {
    method,
    headers: [...headers, ...typed.values('cookie').flatMap(readCookie)],
    peer,
    asksForClient: proxy !== undefined,
  }
}

function readCookie(text: string): readonly string[] {
  if (!COOKIE.test(text)) throw new UsageError(`"${text}" is no cookie`, "write one as in --cookie 'session=abc'")
  return ['Cookie', Buffer.from(text).toString('latin1')]
}

/** As curl reads it: `Name;` is a field without a value, and `Name:` a field that is not sent. */
function readField(text: string): readonly string[] {
  const [, name, value, end] = /^\s*([^\s:;]+)\s*(?::(.*)|(;)\s*)$/s.exec(text) ?? []
  if (name === undefined) throw new UsageError(`"${text}" is no header field`, "write one as in -H 'X-Env: staging'")
  const written = end === undefined ? value!.trim() : ''
  // Fields are kept as the bytes that are sent.
  return end === undefined && written === '' ? [] : [name, Buffer.from(written).toString('latin1')]
}

/** Reads the request by the functions of the gateway, so that the same is refused and believed. */
export async function examineRequest(sent: AskedRequest, settings: Settings): Promise<ReadRequest> {
  const { readAskedRequest } = await import('../../lib/downstream/asked-request.ts')
  const read = readAskedRequest(sent, settings)
  if (!(read instanceof GatewayError)) return read
  const { status, code, detail } = read
  if (code === 'PORTICO_REQ_METHOD_NOT_ALLOWED') throw new UsageError(detail, 'write one as in -X POST')
  throw new UsageError(`a request with these fields is refused: ${detail}`, `the answer is ${status} ${code}`)
}

/** Throws a UsageError for a URL that is not served. */
export function readUrl(word: string): AskedUrl {
  const url = splitAskedUrl(word)
  if ('fault' in url) throw new UsageError(url.fault, url.help)
  return url
}
