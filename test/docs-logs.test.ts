/** docs/logs.md lists the fields that there are, and says what is hidden. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { LOG_FIELDS } from '../lib/base/log-template.ts'
import { compileRedaction, redactTarget } from '../lib/base/redact.ts'
import { SETTINGS } from '../lib/settings/table.ts'
import { COMBINED, COMMON, UPSTREAM_INFO } from '../lib/telemetry/access-line.ts'

const page = readFileSync('docs/logs.md', 'utf8')

t.test('every field is in the table, and no other', async (t) => {
  const table = page.slice(page.indexOf('### Fields'), page.indexOf('### JSON'))
  const names = table.split('\n').flatMap((line) => {
    const cell = /^\| (`.*?) \|/.exec(line)?.[1] ?? ''
    return [...cell.matchAll(/`([a-z0-9_]+)`/g)].map(([, name]) => name)
  })
  t.strictSame(names.sort(), [...LOG_FIELDS].sort())
})

t.test('the formats are those of the code', async (t) => {
  t.match(page, `\`${COMMON}\``)
  t.equal(COMBINED, `${COMMON} "$http_referer" "$http_user_agent"`)
  t.match(page, UPSTREAM_INFO.slice(COMBINED.length + 1))
})

t.test('the names of hidden parameters are those of the setting, and match as the page says', async (t) => {
  const secrets = page.slice(page.indexOf('## Secrets'))
  const [, yaml = ''] = /```yaml\n([\s\S]*?)```/.exec(secrets)!
  const { redact } = parse(yaml).accessLog
  t.strictSame(redact, SETTINGS.accessLog.redact.default)
  const keys = compileRedaction(redact)
  const hidden = ['access_token', 'key', 'api_key', 'X-Api-Key', 'code', 'Code', 'code[]', 'c%6Fde', 'my_auth']
  for (const name of hidden) t.equal(redactTarget(`/?${name}=v&state=1`, keys), `/?${name}=***&state=1`)
  for (const name of ['postcode', 'keys', 'myauth']) t.equal(redactTarget(`/?${name}=v`, keys), `/?${name}=v`)
})
