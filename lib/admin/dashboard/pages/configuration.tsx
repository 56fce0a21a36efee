import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { tell } from '../api.ts'
import { printCount, printMs, printTime } from '../format.ts'
import { useView } from '../live.ts'
import type { PageProps } from '../main.tsx'
import { Act, Badge, Clip, Failure, Search, Section, Table, toneOf } from '../parts.tsx'
import type { Diagnostic, Listener, Reload, SettingRow } from '../rows.ts'

export function ConfigurationPage({ overview }: PageProps): JSX.Element {
  return (
    <>
      <Diagnostics />
      <Reloads writes={overview?.writes ?? false} />
      <Listeners />
      <Settings />
    </>
  )
}

function Diagnostics(): JSX.Element {
  const { data: diagnostics, failure } = useView<readonly Diagnostic[]>('diagnostics')
  const all = diagnostics ?? []
  return (
    <Section
      title={
        all.length === 0 ? 'No problems in what is served' : `${printCount(all.length, 'problem')} in what is served`
      }
    >
      <Failure failure={failure} />
      {all.slice(0, MOST).map((each) => (
        <Problem key={`${each.code} ${each.file} ${each.line} ${each.column} ${each.message}`} diagnostic={each} />
      ))}
      {all.length > MOST && (
        <p class="dim">… {printCount(all.length - MOST, 'more problem')}; portico check prints all.</p>
      )}
    </Section>
  )
}

/** Problems on the page at once. */
const MOST = 200

function printAt({ file, line, column }: Pick<Diagnostic, 'file' | 'line' | 'column'>): string {
  return file === undefined ? '' : `${file}:${line}:${column}`
}

function Problem({ diagnostic }: { diagnostic: Diagnostic }): JSX.Element {
  const { severity, code, message, resource, help, excerpt, notes } = diagnostic
  const tone = severity === 'error' ? 'bad' : severity === 'warning' ? 'warn' : 'dim'
  return (
    <article class="problem">
      <p>
        <Badge tone={tone}>{severity}</Badge> <strong>{message}</strong>
      </p>
      <p class="dim">
        {printAt(diagnostic)} {resource} <code>{code}</code>
      </p>
      {excerpt && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keyboard.
        <pre tabIndex={0}>{excerpt}</pre>
      )}
      {help && <p>{help}</p>}
      {notes.map((note) => (
        <p key={note.message} class="dim">
          {note.message} {printAt(note)}
        </p>
      ))}
    </article>
  )
}

function Reloads({ writes }: { writes: boolean }): JSX.Element {
  const { data: reloads = [], failure } = useView<readonly Reload[]>('reloads')
  return (
    <Section
      title="Reloads"
      aside={
        writes && (
          <Act
            label="Reload now"
            act={async () => {
              await tell('reload', {})
              return 'done'
            }}
          />
        )
      }
    >
      <Failure failure={failure} />
      {reloads.length === 0 && <p class="empty">None since the start.</p>}
      {reloads.map((reload, index) => (
        <details key={reload.at} class="reload" open={index === 0 && reload.outcome !== 'reloaded'}>
          <summary>
            <Badge tone={toneOf(reload.outcome)}>{reload.outcome}</Badge> {printTime(reload.at)}{' '}
            {reload.files.join(', ')}
            <span class="dim">
              {' '}
              {printCount(reload.changeCount, 'change')}
              {reload.durationMs !== undefined && `, live after ${printMs(reload.durationMs)}`}
            </span>
          </summary>
          {reload.kept.map((kept) => (
            <p key={kept}>{kept}</p>
          ))}
          <ul class="code">
            {reload.changes.map((change) => (
              <li key={change}>{change}</li>
            ))}
          </ul>
          {reload.restartSettings.length > 0 && (
            <p>Takes effect after a restart: {reload.restartSettings.join(', ')}</p>
          )}
          {reload.newDiagnostics.map((each) => (
            <Problem key={`${each.code} ${each.message} ${each.line}`} diagnostic={each} />
          ))}
          {reload.goneDiagnostics > 0 && <p>{printCount(reload.goneDiagnostics, 'problem')} gone.</p>}
        </details>
      ))}
    </Section>
  )
}

function Listeners(): JSX.Element {
  const { data: listeners = [] } = useView<readonly Listener[]>('listeners', 5_000)
  return (
    <Section title={printCount(listeners.length, 'listener')}>
      <Table
        label="Listeners"
        rows={listeners}
        keyOf={({ name, kind, address, port }) => `${name} ${kind} ${address} ${port}`}
        empty="None."
        columns={[
          { name: 'Listener', width: 'minmax(11rem, 1.5fr)', cell: ({ name }) => <Clip text={name} /> },
          { name: 'Kind', width: '9rem', cell: ({ kind }) => kind },
          { name: 'Address', width: '11rem', cell: ({ address }) => <Clip text={address} /> },
          { name: 'Port', width: '5rem', isNumber: true, cell: ({ port }) => String(port) },
          { name: 'Protocol', width: '11rem', cell: ({ protocol }) => protocol },
          {
            name: 'State',
            width: 'minmax(9rem, 1fr)',
            cell: ({ state }) => <Badge tone={toneOf(state)}>{state || '–'}</Badge>,
          },
        ]}
      />
    </Section>
  )
}

function Settings(): JSX.Element {
  const { data: settings = [], failure } = useView<readonly SettingRow[]>('setting-rows', 5_000)
  const [find, setFind] = useState('')
  const [isWritten, setWritten] = useState(true)
  const shown = settings.filter(
    ({ name, text, source }) =>
      (!isWritten || source !== 'default') && `${name} ${text}`.toLowerCase().includes(find.toLowerCase()),
  )
  return (
    <Section
      title="Settings"
      aside={
        <span class="line">
          <label class="check">
            <input
              type="checkbox"
              checked={isWritten}
              onChange={({ currentTarget }) => setWritten(currentTarget.checked)}
            />{' '}
            only those that are set
          </label>
          <Search label="Find a setting" value={find} onInput={setFind} />
        </span>
      }
    >
      <Failure failure={failure} />
      <Table
        label="Settings"
        rows={shown}
        keyOf={({ name }) => name}
        empty={isWritten ? 'All settings have their defaults.' : 'None.'}
        columns={[
          { name: 'Setting', width: 'minmax(12rem, 1fr)', cell: ({ name }) => <Clip text={name} /> },
          { name: 'Value', width: 'minmax(12rem, 2fr)', cell: ({ text }) => <Clip text={text} /> },
          { name: 'Set by', width: '9rem', cell: ({ source }) => source },
          { name: 'Default', width: 'minmax(9rem, 1fr)', cell: ({ default: usual }) => <Clip text={usual} /> },
        ]}
      />
    </Section>
  )
}
