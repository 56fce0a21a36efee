/** docs/logs.md lists the fields that there are. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { LOG_FIELDS } from '../lib/base/log-template.ts'
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
