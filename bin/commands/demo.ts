/** `portico demo`: a gateway to try, with nothing to prepare. */
import { join, relative } from 'node:path'
import { alignColumns } from '../../lib/base/columns.ts'
import type { ConfigurationInput } from '../../lib/control/configuration.ts'
import { SETTINGS } from '../../lib/settings/table.ts'
import { type Command, NO_WORDS } from '../command.ts'
import { findFreePorts } from '../demo/free-port.ts'
import { isImage, readLocal } from '../local.ts'
import { PACKAGE_ROOT } from '../package.ts'
import { type BoundPorts, printUrl } from '../print/boot.ts'
import { readOverrides, SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'
import type { Terminal } from '../terminal.ts'

export const command: Command = {
  name: 'demo',
  summary: 'serve a small sample shop, backends included',
  usage: '[flags]',
  about: [
    'Serves examples/demo on ports 8080 and 8443 of 127.0.0.1, or the next pair that',
    'is free. The Services behind it run in the same process. Edit the manifests and',
    'save: the routes change at once.',
  ],
  flags: [
    {
      name: 'ready-file',
      value: 'FILE',
      doc: 'holds {"http":PORT,"https":PORT,"admin":PORT,"pid":PID} while ready',
    },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  examples: [
    ['portico demo', 'on 8080 and 8443'],
    ['portico demo --http-port 9000 --https-port 9443', 'on other ports'],
    ['portico demo --http-address ::', 'reachable from the network'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const [{ serve }, { createDemoBackends }, { startVisits }] = await Promise.all([
      import('../serve.ts'),
      import('../demo/backend.ts'),
      import('../demo/visitor.ts'),
    ])
    const folder = relative(process.cwd(), join(PACKAGE_ROOT, 'examples', 'demo')) || '.'
    const source = folder.startsWith('..') ? join(PACKAGE_ROOT, 'examples', 'demo') : folder
    const backends = await createDemoBackends()
    try {
      const { env: environment } = terminal.host
      const asked = readOverrides(typed)
      const input: ConfigurationInput = {
        sources: [source],
        environment,
        flags: {
          ...(isImage(environment) ? {} : readLocal(asked, environment)),
          ...(await choosePorts(asked, terminal)),
          // People watch the demo's requests, even if the log is piped through npm or tee.
          ...(environment.PORTICO_LOG_FORMAT ? {} : { 'log.format': 'pretty' }),
          ...asked,
          endpoints: backends.endpoints,
        },
      }
      return await serve(input, terminal, {
        readyFile: typed.value('ready-file'),
        printAfterBoot: ({ ports }) => printTour(ports, source),
        accompany: ({ ports: { http } }) => (http === undefined ? () => {} : startVisits(http)),
      })
    } finally {
      backends.close()
    }
  },
}

/** Ports named by flag or environment are taken as they are; the usual ports only if they are free. */
async function choosePorts(asked: object, { host, tell }: Terminal): Promise<Record<string, string>> {
  const chosen: Record<string, string> = {}
  if (!('http.port' in asked || 'https.port' in asked || host.env.PORTICO_HTTP_PORT || host.env.PORTICO_HTTPS_PORT)) {
    const usual = [SETTINGS.http.port.default, SETTINGS.https.port.default]
    const [http, https] = (await findFreePorts(usual)) ?? [0, 0]
    if (http !== usual[0]) tell(`ports ${usual.join(' and ')} are in use: taking ${http} and ${https}`)
    chosen['http.port'] = String(http)
    chosen['https.port'] = String(https)
  }
  if (!('admin.port' in asked || host.env.PORTICO_ADMIN_PORT)) {
    const [admin] = (await findFreePorts([SETTINGS.admin.port.default])) ?? [0]
    chosen['admin.port'] = String(admin)
  }
  return chosen
}

/** Commands to try, which work when pasted: curl and browsers resolve *.localhost to this machine by themselves. */
function printTour({ http, https, admin }: BoundPorts, source: string): string {
  const shop = http === undefined ? '' : printUrl('http', 'shop.localhost', http)
  // In a clone there is no `portico` on the path.
  const portico = process.cwd() === PACKAGE_ROOT ? 'node bin/portico' : 'portico'
  const echo = https === undefined ? '' : printUrl('https', 'echo.localhost', https)
  const tried = [
    [`    ${shop}/`, 'a page with a WebSocket'],
    [`    curl ${shop}/api/products`, 'two endpoints take turns'],
    [`    curl -k ${echo}/anything`, 'what a Service gets, by TLS'],
    [`    curl -N ${shop}/api/events`, 'server-sent events'],
    ...(admin === undefined ? [] : [[`    http://127.0.0.1:${admin}/dashboard/`, 'what is served, and how it does']]),
  ]
  return [
    '  try',
    ...alignColumns(tried, 2),
    `    ${portico} explain ${shop}/apis -f ${source}`,
    `    ${portico} get routes${admin === SETTINGS.admin.port.default ? '' : ` --admin-port ${admin}`}`,
    '',
    `  Edit ${source}/shop.yaml and save: the routes change at once.`,
    '  Ctrl-C ends the demo.',
  ].join('\n')
}
