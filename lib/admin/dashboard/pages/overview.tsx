import type { JSX } from 'preact'
import { Chart } from '../chart.tsx'
import { printAgo, printBytes, printCount, printMs, printRate, printShare, printTime } from '../format.ts'
import { useTraffic, useView } from '../live.ts'
import type { PageProps } from '../main.tsx'
import { Badge, Section, Table, toneOf } from '../parts.tsx'
import { listProblems } from '../problems.ts'
import type { Certificate, Circuit, Diagnostic, Endpoint, Listener, Reload, Worker } from '../rows.ts'

export function OverviewPage({ overview, theme }: PageProps): JSX.Element {
  const { samples, current } = useTraffic()
  const { data: workers = [] } = useView<readonly Worker[]>('workers')
  const rate = current?.rate ?? 0
  const failures = current?.failure_rate ?? 0
  const times = samples.map(({ at }) => at)
  const connections = workers.reduce((sum, worker) => sum + worker.connections, 0)
  return (
    <>
      <dl class="tiles">
        <Tile name="Requests" value={printRate(rate)} />
        <Tile name="Failures" value={printShare(failures, rate)} />
        <Tile name="Half within" value={printMs(current?.duration_ms?.p50)} />
        <Tile name="99 % within" value={printMs(current?.duration_ms?.p99)} />
        <Tile name="Under way" value={String(current?.in_flight ?? '–')} />
        <Tile name="Connections" value={workers.length === 0 ? '–' : String(connections)} />
      </dl>
      <Wrong />
      <div class="two">
        <Section title="Requests and failures">
          <Chart
            theme={theme}
            times={times}
            unit={printRate}
            summary={`Requests over time, ${printRate(rate)} at present, of which ${printRate(failures)} fail`}
            lines={[
              { label: 'requests', colour: '--accent', values: samples.map((sample) => sample.rate) },
              { label: 'failures', colour: '--bad', values: samples.map((sample) => sample.failureRate) },
            ]}
          />
        </Section>
        <Section title="Time to answer">
          <Chart
            theme={theme}
            times={times}
            unit={printMs}
            summary={`Time to answer: half within ${printMs(current?.duration_ms?.p50)}, 99 % within ${printMs(current?.duration_ms?.p99)}`}
            lines={[
              { label: 'half within', colour: '--accent', values: samples.map(({ p50 }) => p50) },
              { label: '99 % within', colour: '--warn', values: samples.map(({ p99 }) => p99) },
            ]}
          />
        </Section>
      </div>
      <Changes />
      {workers.length > 0 && (
        <Section title="Workers">
          <Table
            label="Workers"
            rows={workers}
            keyOf={({ worker }) => String(worker)}
            empty="One process does all."
            columns={[
              { name: 'Worker', width: '5rem', cell: ({ worker }) => String(worker) },
              { name: 'State', width: '7rem', cell: ({ state }) => <Badge tone={toneOf(state)}>{state}</Badge> },
              { name: 'Process', width: '6rem', isNumber: true, cell: ({ pid }) => String(pid ?? '–') },
              { name: 'Restarts', width: '6rem', isNumber: true, cell: ({ restarts }) => String(restarts) },
              { name: 'Under way', width: '7rem', isNumber: true, cell: ({ inFlight }) => String(inFlight) },
              { name: 'Connections', width: '7rem', isNumber: true, cell: ({ connections: count }) => String(count) },
              { name: 'Memory', width: '7rem', isNumber: true, cell: ({ residentBytes }) => printBytes(residentBytes) },
              { name: 'CPU', width: '7rem', isNumber: true, cell: ({ cpuSeconds }) => `${cpuSeconds.toFixed(1)} s` },
            ]}
          />
        </Section>
      )}
      {overview && (
        <p class="dim">
          Portico {overview.version}, {printCount(overview.routes, 'route')}, {printCount(overview.services, 'Service')}
          ; running for {printAgo(overview.startedAt, Date.now()).replace(' ago', '')}, configuration{' '}
          {overview.generation} since {printTime(overview.configuredAt)}.
        </p>
      )}
    </>
  )
}

function Tile({ name, value }: { name: string; value: string }): JSX.Element {
  return (
    <div class="card tile">
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

function Wrong(): JSX.Element {
  const { data: diagnostics = [] } = useView<readonly Diagnostic[]>('diagnostics')
  const { data: endpoints = [] } = useView<readonly Endpoint[]>('endpoints')
  const { data: certificates = [] } = useView<readonly Certificate[]>('certificates', 10_000)
  const { data: listeners = [] } = useView<readonly Listener[]>('listeners')
  const { data: workers = [] } = useView<readonly Worker[]>('workers')
  const { data: circuits = [] } = useView<readonly Circuit[]>('circuits')
  const { data: reloads = [] } = useView<readonly Reload[]>('reloads')
  const { current: traffic } = useTraffic()
  const known = { diagnostics, endpoints, certificates, listeners, workers, circuits, reloads, traffic }
  const problems = listProblems(known)
  return (
    <Section title="What is wrong now">
      {problems.length === 0 ? (
        <p class="empty good">Nothing that Portico knows of.</p>
      ) : (
        <ul class="problems">
          {problems.map(({ tone, text, href }) => (
            <li key={text}>
              <Badge tone={tone}>{tone === 'bad' ? 'error' : 'warning'}</Badge> <a href={href}>{text}</a>
            </li>
          ))}
        </ul>
      )}
    </Section>
  )
}

/** Changes of one reload that the overview shows. */
const MOST_CHANGES = 6

function Changes(): JSX.Element {
  const { data: reloads = [] } = useView<readonly Reload[]>('reloads')
  const last = reloads.slice(0, 3)
  return (
    <Section title="What changed last" aside={<a href="#/configuration">all reloads</a>}>
      {last.length === 0 && <p class="empty">Nothing since the start.</p>}
      {last.map((reload) => (
        <article key={reload.at} class="reload">
          <p>
            <Badge tone={toneOf(reload.outcome)}>{reload.outcome}</Badge> {printTime(reload.at)}{' '}
            {reload.files.join(', ')} {reload.reason}
          </p>
          <ul class="code">
            {reload.changes.slice(0, MOST_CHANGES).map((change) => (
              <li key={change}>{change}</li>
            ))}
            {reload.changeCount > MOST_CHANGES && (
              <li>… {printCount(reload.changeCount - MOST_CHANGES, 'more change')}</li>
            )}
          </ul>
        </article>
      ))}
    </Section>
  )
}
