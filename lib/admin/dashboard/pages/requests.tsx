import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { ask, follow } from '../api.ts'
import { printBytes, printCount, printMs, printTime } from '../format.ts'
import type { PageProps } from '../main.tsx'
import { Badge, Clip, Failure, Section, Table, toneOfStatus } from '../parts.tsx'
import type { RequestDetail, RequestRow } from '../rows.ts'

/** Milliseconds after the last key until a filter acts. */
const TYPING_MS = 300
/** Requests on the page at once. */
const MOST = 500

const FILTERS = [
  { name: 'host', label: 'Host, whole' },
  { name: 'status', label: 'Status: 404, 5xx, >=400' },
  { name: 'method', label: 'Method' },
  { name: 'service', label: 'Service' },
  { name: 'client', label: 'Client' },
  { name: 'min_duration_ms', label: 'Slower than, ms' },
] as const

export function RequestsPage({ overview, query }: PageProps): JSX.Element {
  const [filters, setFilters] = useState<Readonly<Record<string, string>>>(() =>
    Object.fromEntries(FILTERS.map(({ name }) => [name, query.get(name) ?? ''])),
  )
  const picked = query.get('id')
  const [isPaused, setPaused] = useState(false)
  const [rows, setRows] = useState<readonly RequestRow[]>([])
  const [failure, setFailure] = useState<Error>()
  const [dropped, setDropped] = useState(0)
  const typed = new URLSearchParams(
    Object.entries(filters).flatMap(([name, value]) => (value.trim() === '' ? [] : [[name, value.trim()]])),
  ).toString()
  const asked = useSettled(typed, TYPING_MS)
  useEffect(() => {
    // For a reload and for others; the page stays.
    const id = picked === null ? '' : `id=${encodeURIComponent(picked)}&`
    history.replaceState(null, '', `#/requests?${id}${asked}`)
  }, [asked, picked])
  const waiting = useRef<RequestRow[]>([])
  useEffect(() => {
    const over = new AbortController()
    setRows([])
    ask<readonly RequestRow[]>(`requests?limit=${MOST}&${asked}`, over.signal).then(
      (found) => {
        setFailure(undefined)
        setRows((before) => merge(before, found))
      },
      (error) => {
        if (!over.signal.aborted) setFailure(error as Error)
      },
    )
    return () => over.abort()
  }, [asked])
  useEffect(() => {
    if (isPaused) return
    const end = follow(
      `requests/stream?${asked}`,
      (event, data) => {
        if (event === 'request') waiting.current.push(JSON.parse(data) as RequestRow)
        else if (event === 'dropped')
          setDropped((count) => count + (Number((JSON.parse(data) as { count?: number }).count) || 0))
      },
      setFailure,
    )
    // Drawn a few times a second, however many come.
    const timer = setInterval(() => {
      const news = waiting.current.splice(0)
      if (news.length > 0) setRows((before) => merge(before, news.reverse()))
    }, 250)
    return () => {
      end()
      clearInterval(timer)
    }
  }, [asked, isPaused])
  return (
    <>
      {picked !== null && <Detail id={picked} rest={asked} />}
      <Section
        title={isPaused ? 'Recent requests, paused' : 'Recent requests, live'}
        aside={
          <button type="button" aria-pressed={isPaused} onClick={() => setPaused(!isPaused)}>
            {isPaused ? 'Go on' : 'Pause'}
          </button>
        }
      >
        <form class="line" onSubmit={(event) => event.preventDefault()}>
          {FILTERS.map(({ name, label }) => (
            <input
              key={name}
              type="text"
              aria-label={label}
              placeholder={label}
              spellcheck={false}
              value={filters[name] ?? ''}
              onInput={({ currentTarget }) => setFilters({ ...filters, [name]: currentTarget.value })}
            />
          ))}
        </form>
        <Failure failure={failure} />
        {overview?.records === false && <p class="dim">The gateway keeps no requests (admin.records is off).</p>}
        {dropped > 0 && <p class="dim">{printCount(dropped, 'request')} came faster than they could be shown.</p>}
        <Table
          label="Requests"
          rows={rows}
          keyOf={({ request_id, time, worker }) => `${request_id} ${time} ${worker ?? ''}`}
          empty={asked === '' ? 'None yet.' : 'No request fits these filters.'}
          onPick={({ request_id }) => {
            location.hash = `#/requests?id=${encodeURIComponent(request_id)}&${asked}`
          }}
          columns={[
            {
              name: 'Status',
              width: '4.5rem',
              cell: ({ status }) => <Badge tone={toneOfStatus(status)}>{String(status)}</Badge>,
            },
            {
              name: 'Request',
              width: 'minmax(11rem, 2fr)',
              cell: ({ method, host, target }) => <Clip text={`${method} ${host}${target}`} />,
            },
            {
              name: 'Cause',
              width: 'minmax(12rem, 4fr)',
              cell: ({ code, detail }) => <Clip text={[detail, code].filter(Boolean).join('  ')} />,
            },
            { name: 'Took', width: '5.5rem', isNumber: true, cell: ({ duration_ms }) => printMs(duration_ms) },
            { name: 'Time', width: '5.5rem', cell: ({ time }) => printTime(time) },
            { name: 'Service', width: 'minmax(7rem, 1fr)', cell: ({ service }) => <Clip text={service ?? '–'} /> },
            { name: 'Endpoint', width: 'minmax(7rem, 1fr)', cell: ({ endpoint }) => <Clip text={endpoint ?? '–'} /> },
            { name: 'Client', width: '7rem', cell: ({ client }) => <Clip text={client} /> },
          ]}
        />
      </Section>
    </>
  )
}

/** A value once it has stayed for `ms` milliseconds. */
function useSettled(value: string, ms: number): string {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms)
    return () => clearTimeout(timer)
  }, [value, ms])
  return settled
}

/** The newest first, each once. */
function merge(before: readonly RequestRow[], news: readonly RequestRow[]): readonly RequestRow[] {
  const seen = new Set<string>()
  const all = [...news, ...before].filter(({ request_id, time, worker }) => {
    const key = `${request_id} ${time} ${worker ?? ''}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
  return all.sort((a, b) => (a.time < b.time ? 1 : a.time > b.time ? -1 : 0)).slice(0, MOST)
}

function Detail({ id, rest }: { id: string; rest: string }): JSX.Element {
  const [found, setFound] = useState<RequestDetail>()
  const [failure, setFailure] = useState<Error>()
  useEffect(() => {
    setFound(undefined)
    setFailure(undefined)
    ask<RequestDetail>(`requests/${encodeURIComponent(id)}`).then(setFound, setFailure)
  }, [id])
  const facts = found && [
    ['Route', found.route],
    ['Ingress', found.ingress],
    ['Service', found.service],
    ['Endpoint', found.endpoint],
    ['Tries', found.tries > 1 ? String(found.tries) : undefined],
    ['Client', found.client],
    ['Protocol', `${found.protocol}, ${found.scheme}`],
    ['Body', `${printBytes(found.bytes_in)} in, ${printBytes(found.bytes_out)} out`],
    ['Code', found.code],
    ['Trace', found.trace_id],
    ['Agent', found.user_agent],
    ['Filters', found.filters.map(({ name, effect }) => `${name} ${effect}`).join(', ')],
    ['Worker', found.worker === undefined ? undefined : String(found.worker)],
  ]
  return (
    <Section title={`Request ${id}`} aside={<a href={`#/requests?${rest}`}>close</a>}>
      <Failure failure={failure} />
      {found && (
        <>
          <p class="headline">
            <Badge tone={toneOfStatus(found.status)}>{String(found.status)}</Badge> {found.method} {found.host}
            {found.target} <span class="dim">{printMs(found.duration_ms)}</span>
          </p>
          {found.cause && <p>{found.cause}</p>}
          <dl class="facts">
            {facts!
              .filter(([, value]) => value)
              .map(([name, value]) => (
                <div key={name}>
                  <dt>{name}</dt>
                  <dd>{value}</dd>
                </div>
              ))}
          </dl>
          <Timeline request={found} />
        </>
      )}
    </Section>
  )
}

/** Steps of the timeline in words, as `portico tap --follow-request` has them. */
const STEPS: Readonly<Record<string, string>> = {
  accept: 'connection accepted',
  tls: 'TLS handshake',
  head: 'head of the request',
  match: 'route found',
  body: 'body of the request',
  connect: 'connection',
  first_byte: 'answer begins',
}

/** Of a step that is drawn in a colour of its own; what failed names its code. */
function toneOfStep(event: string, detail = ''): string {
  return event === 'try' && detail.includes('PORTICO_') ? 'failed' : event
}

function Timeline({ request: { timeline, duration_ms: duration } }: { request: RequestDetail }): JSX.Element {
  const first = Math.min(0, ...timeline.map(({ at_ms }) => at_ms))
  const whole = Math.max(duration, ...timeline.map(({ at_ms, duration_ms = 0 }) => at_ms + duration_ms)) - first || 1
  return (
    <ol class="timeline" aria-label="Timeline">
      {timeline.map(({ event, at_ms: at, duration_ms: ms = 0, detail }) => (
        <li key={`${event} ${at} ${detail}`}>
          <span class="name">{STEPS[event] ?? event}</span>
          <span class="track" aria-hidden="true">
            <span
              class={`bar ${toneOfStep(event, detail)}`}
              style={{
                marginLeft: `min(${(100 * (at - first)) / whole}%, calc(100% - 3px))`,
                width: `${(100 * ms) / whole}%`,
              }}
            />
          </span>
          <span class="when">
            {printMs(at)}
            {ms > 0 && `, for ${printMs(ms)}`}
          </span>
          <span class="detail">{detail}</span>
        </li>
      ))}
    </ol>
  )
}
