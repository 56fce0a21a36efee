/** docs/metrics.md lists the metrics that there are, and the alerts and the dashboard of examples/monitoring ask for no others. */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { createMetrics } from '../lib/telemetry/metrics.ts'
import { RequestCounts } from '../lib/telemetry/request-counts.ts'

type Rules = { groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[] }
type Dashboard = {
  templating: { list: { query: string }[] }
  panels: { id: number; title: string; type: string; targets?: { expr: string }[] }[]
}

const FOLDER = 'examples/monitoring'
const page = readFileSync('docs/metrics.md', 'utf8')
const rules: Rules = parse(readFileSync(`${FOLDER}/rules.yml`, 'utf8'))
const dashboard: Dashboard = JSON.parse(readFileSync(`${FOLDER}/dashboard.json`, 'utf8'))

async function listTypes(): Promise<Map<string, string>> {
  const text = await createMetrics({ counts: new RequestCounts(), withNginxNames: true }).text()
  return new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]))
}

/** By the metric: its labels in the documentation. */
function listLabels(): Map<string, readonly string[]> {
  const rows = page.matchAll(/^\| `(portico_\w+)` \| \w+ \| ([^|]*)\|/gm)
  return new Map(
    [...rows].map(([, name = '', labels = '']) => [
      name,
      [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label),
    ]),
  )
}

t.test('the documentation has every metric with its type, and no other', async (t) => {
  const own = [...(await listTypes())].filter(([name]) => /^(?:portico|nginx)_/.test(name))
  const rows = page.matchAll(/^\| `((?:portico|nginx)_\w+)` \| (\w+) \|/gm)
  t.strictSame(new Map([...rows].map(([, name, type]) => [name, type])), new Map(own))
})

/** The metrics that an expression asks for, and the labels that it names. */
async function check(t: Test, expression: string, where: string): Promise<void> {
  const types = await listTypes()
  const labels = listLabels()
  const asked = [...expression.matchAll(/\b(?:portico|process|nodejs)_\w+/g)].map(([name]) => name)
  if (!/\bup\b/.test(expression)) t.ok(asked.length > 0, `${where} asks for something`)
  const known = new Set(['instance', 'job', 'le'])
  for (const name of asked) {
    const base = name.replace(/_(?:bucket|sum|count)$/, '')
    const isPart = types.get(base) === 'histogram'
    t.ok(types.has(name) || isPart, `${where}: ${name}`)
    t.notOk(types.get(name) === 'histogram', `${where}: ${name} is a histogram, which has no samples of its own name`)
    for (const label of labels.get(isPart ? base : name) ?? []) known.add(label)
    if (types.get(name) === 'counter') {
      t.match(expression, new RegExp(`(?:rate|increase)\\(${name}`), `${where}: the rate of ${name}`)
    }
  }
  const named = [
    ...[...expression.matchAll(/\b(?:by|without) \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/)),
    ...[...expression.matchAll(/[{,](\w+)(?:=~|!~|!=|=)"/g)].map(([, label = '']) => label),
  ]
  for (const label of named) t.ok(known.has(label), `${where}: the label ${label}`)
}

t.test('alerts ask for what there is', async (t) => {
  const all = rules.groups.flatMap(({ rules }) => rules)
  t.ok(all.length > 10)
  t.equal(new Set(all.map(({ alert }) => alert)).size, all.length)
  for (const { alert, expr } of all) await check(t, expr, alert)
})

t.test('the dashboard asks for what there is', async (t) => {
  const panels = dashboard.panels.filter(({ type }) => type !== 'row')
  t.ok(panels.length > 15)
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length)
  for (const { title, targets = [] } of panels) {
    t.ok(targets.length > 0, title)
    for (const { expr } of targets) await check(t, expr, title)
  }
  const types = await listTypes()
  for (const { query } of dashboard.templating.list) {
    const name = /^label_values\((\w+),/.exec(query)?.[1]
    if (name !== undefined) t.ok(types.has(name), query)
  }
})
