/** `portico explain`: the rule that serves a URL, and why the others do not. It starts nothing and uses no network. */
import { isIP } from 'node:net'
import { countDiagnostics } from '../../lib/base/diagnostics.ts'
import type { ExplainedUrl } from '../../lib/report/explain.ts'
import { type Command, EXIT, INPUT_FLAGS } from '../command.ts'
import { readInput } from '../configuration-input.ts'
import type { Typed } from '../flag.ts'
import { readOutput } from '../output.ts'
import { explanationJson, printExplanation } from '../print/explanation.ts'
import { printProblemCount } from '../print/problems.ts'
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
    'served or redirected, 1 if the answer would be an error.',
  ],
  flags: [
    ...INPUT_FLAGS,
    { name: 'output', short: 'o', value: 'text|json', doc: 'how to print' },
    { name: 'method', short: 'X', value: 'METHOD', doc: 'the method of the request; GET if it is left out' },
    { name: 'header', short: 'H', value: 'NAME: VALUE', repeatable: true, doc: 'a header field of the request' },
    {
      name: 'client',
      value: 'ADDRESS',
      doc: 'the address of the client, as trusted proxies give it; 127.0.0.1 if it is left out',
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
    'client',
    'endpoints',
    'ingress-class',
    'https-port',
    'set',
  ],
  examples: [
    ['portico explain https://shop.localhost/api -f k8s/', 'by host and path'],
    ['portico explain http://localhost:30080/ -f k8s/', 'by the port of a Service: a nodePort and the like'],
    ["portico explain -X POST -H 'X-Env: staging' shop.localhost/ -f k8s/", 'as for curl'],
    ["portico explain 'shop.localhost/a/../b?x=1' -f k8s/ -o json", 'for scripts; http:// where no scheme is given'],
  ],
  words: { least: 1, most: 1, name: 'URL' },
  async run(typed, terminal) {
    const output = readOutput(typed, ['text', 'json'])
    const word = typed.positionals[0] as string
    const asked = { ...readUrl(word), ...readRequest(typed) }
    const input = await readInput(`explain ${word}`, typed, terminal.host)
    const { loadConfiguration } = await import('../../lib/control/configuration.ts')
    const { explainRequest } = await import('../../lib/report/explain.ts')
    const { listLeftOut } = await import('../../lib/report/left-out.ts')
    const { model, settings, resources, diagnostics, files, objects } = await loadConfiguration(input)
    if (countDiagnostics(diagnostics).error > 0) {
      terminal.tell(`${printProblemCount(diagnostics, { files, objects })}: portico check tells more`)
    }
    const { paths, https } = settings
    const explanation = explainRequest(model, asked, {
      encodedSlash: paths.encodedSlash,
      httpsPort: https.redirectPort || https.port,
      strictSni: https.strictSni,
      leftOut: listLeftOut(resources, diagnostics),
      now: Date.now(),
    })
    if (output === 'json') terminal.print(JSON.stringify(explanationJson(explanation, resources.locate), undefined, 2))
    else
      terminal.print(
        printExplanation(explanation, { defaults: settings.upstream, locate: resources.locate }, terminal.paint),
      )
    const { answer } = explanation
    return answer === undefined || answer.status < 400 ? EXIT.ok : EXIT.failure
  },
}

/** What the flags say of the request. Of several fields with one name the first counts, as it does for conditions. */
function readRequest(typed: Typed): Pick<ExplainedUrl, 'method' | 'fields' | 'client'> {
  const method = typed.value('method')
  const client = typed.value('client')
  if (client !== undefined && isIP(client) === 0) {
    throw new UsageError(`"${client}" is no IP address`, 'write one as in --client 10.0.0.1')
  }
  const fields = typed.values('header').map((text): [string, string] => {
    const colon = text.indexOf(':')
    if (colon <= 0) throw new UsageError(`"${text}" is no header field`, "write one as in -H 'X-Env: staging'")
    return [text.slice(0, colon).trim().toLowerCase(), text.slice(colon + 1).trim()]
  })
  return {
    ...(method !== undefined && { method }),
    ...(client !== undefined && { client }),
    fields: new Map(fields.reverse()),
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
