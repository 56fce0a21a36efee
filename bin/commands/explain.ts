/** `portico explain`: the rule that serves a URL, and why the others do not. It starts nothing and uses no network. */
import { isIP } from 'node:net'
import { countDiagnostics } from '../../lib/base/diagnostics.ts'
import { GatewayError } from '../../lib/base/errors.ts'
import type { Configuration } from '../../lib/control/configuration.ts'
import type { ExplainedUrl, ExplainOptions } from '../../lib/report/explain.ts'
import type { ClientTrail } from '../../lib/request/client-trail.ts'
import type { Settings } from '../../lib/settings/table.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { readInput } from '../configuration-input.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import { explanationJson, printExplanation } from '../print/explanation.ts'
import { printProblemCount, printProblems } from '../print/problems.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import { UsageError } from '../usage-error.ts'

/** The parts of a URL, with every byte of the path unchanged. */
export type AskedUrl = Readonly<{ scheme: 'http' | 'https'; host: string; path: string }>

const SCHEMES: Readonly<Record<string, 'http' | 'https'>> = { http: 'http', https: 'https', ws: 'http', wss: 'https' }

export const command: Command = {
  name: 'explain',
  summary: 'say which rule serves a URL, and why the others do not',
  usage: 'URL -f FILE [flags]',
  about: [
    'Works on the manifests alone, and starts nothing. Exit code 0 if the URL is',
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
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: [
    'filename',
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
    const input = await readInput(`explain ${word}`, typed, terminal.host)
    const { hasSettingErrors, loadConfiguration } = await import('../../lib/control/configuration.ts')
    const { explainRequest } = await import('../../lib/report/explain.ts')
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
type SentRequest = Readonly<{
  method: string | undefined
  /** Names and values in turn. */
  headers: readonly string[]
  /** The address that the connection comes from. */
  peer: string
  /** The answer is to say who the client is, even if no field names one. */
  asksForClient: boolean
}>

function readRequest(typed: Typed): SentRequest {
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

type ExaminedRequest = Readonly<{
  request: Pick<ExplainedUrl, 'method' | 'authority' | 'lines' | 'contentLength' | 'client' | 'told'>
  /** Undefined: neither a flag nor a field asks for it. */
  trail: ClientTrail | undefined
}>

/** Reads the request by the functions of the gateway, so that the same is refused and believed. */
export async function examineRequest(
  { method, headers, peer, asksForClient }: SentRequest,
  settings: Settings,
): Promise<ExaminedRequest> {
  const { isServedMethod } = await import('../../lib/request/method.ts')
  const { traceClient } = await import('../../lib/request/client-trail.ts')
  const { readFields } = await import('../../lib/downstream/fields.ts')
  if (method !== undefined && !isServedMethod(method)) {
    throw new UsageError(`"${method}" is no method that is served`, 'write one as in -X POST')
  }
  const fields = readFields(headers, 'HTTP/1.1', settings)
  if (fields instanceof GatewayError) {
    const { status, code, detail } = fields
    throw new UsageError(`a request with these fields is refused: ${detail}`, `the answer is ${status} ${code}`)
  }
  const { host: authority, lines, claims, contentLength } = fields
  const trail = traceClient(peer, claims, settings)
  const { address: client, told } = trail
  return {
    request: {
      ...(method !== undefined && { method }),
      ...(authority !== undefined && { authority }),
      lines,
      contentLength,
      client,
      ...(told && { told }),
    },
    trail: asksForClient || claims !== undefined ? trail : undefined,
  }
}

/** Splits a URL. A URL parser would resolve and decode the very parts that the user asks about. */
export function readUrl(word: string): AskedUrl {
  const match = /^(?:([a-z][a-z0-9+.-]*):\/\/)?([^/?#]*)([^#]*)/i.exec(word)
  const [, scheme = 'http', host = '', target = ''] = match ?? []
  const served = SCHEMES[scheme.toLowerCase()]
  if (!served) throw new UsageError(`${scheme}:// is not served`, 'write http:// or https://')
  if (host === '') throw new UsageError(`"${word}" names no host`, 'write https://shop.localhost/path')
  return { scheme: served, host, path: target.startsWith('/') ? target : `/${target}` }
}
