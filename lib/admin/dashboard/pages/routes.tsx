import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { ask, tell } from '../api.ts'
import { printCount, printRate, printShare } from '../format.ts'
import { useTraffic, useView } from '../live.ts'
import type { PageProps } from '../main.tsx'
import { Act, Badge, Clip, type Column, Failure, Search, Section, Table, toneOf } from '../parts.tsx'
import type { Route, RouteTraffic } from '../rows.ts'

export function RoutesPage({ overview, query }: PageProps): JSX.Element {
  const { data: routes, failure } = useView<readonly Route[]>('routes', 5_000)
  const { current } = useTraffic()
  const [find, setFind] = useState(query.get('find') ?? '')
  const traffic = useMemo(() => new Map(current?.routes.map((each) => [each.route, each])), [current])
  const shown = useMemo(() => {
    const words = find.toLowerCase().split(/\s+/).filter(Boolean)
    return (routes ?? []).filter((route) => {
      const text =
        `${route.host}${route.path} ${route.backend} ${route.ingress} ${route.state} ${route.filters.join(' ')} ${route.conditions.join(' ')}`.toLowerCase()
      return words.every((word) => text.includes(word))
    })
  }, [routes, find])
  const of = (route: Route): RouteTraffic | undefined => traffic.get(route.id)
  const columns: Column<Route>[] = [
    { name: 'Host and path', width: 'minmax(14rem, 2fr)', cell: ({ host, path }) => <Clip text={`${host}${path}`} /> },
    {
      name: 'Match',
      width: 'minmax(7rem, 1fr)',
      cell: ({ pathType, conditions }) => <Clip text={[pathType, ...conditions].join(', ')} />,
    },
    {
      name: 'Goes to',
      width: 'minmax(11rem, 1.3fr)',
      cell: ({ backend, redirectToHttps }) => <Clip text={redirectToHttps ? `${backend}, HTTP to HTTPS` : backend} />,
    },
    { name: 'Filters', width: 'minmax(7rem, 1fr)', cell: ({ filters }) => <Clip text={filters.join('; ')} /> },
    { name: 'Rate', width: '5.5rem', isNumber: true, cell: (route) => printRate(of(route)?.rate ?? 0) },
    {
      name: 'Failures',
      width: '5.5rem',
      isNumber: true,
      cell: (route) => {
        const { failures = 0, requests = 0 } = of(route) ?? {}
        return <span class={failures * 20 > requests ? 'failure' : undefined}>{printShare(failures, requests)}</span>
      },
    },
    {
      name: '4xx',
      width: '4rem',
      isNumber: true,
      cell: (route) => printShare(of(route)?.refusal_rate ?? 0, of(route)?.rate ?? 0),
    },
    {
      name: 'State',
      width: '8rem',
      cell: ({ state, reason }) => (
        <span title={reason}>
          <Badge tone={toneOf(state)}>{state}</Badge>
        </span>
      ),
    },
    { name: 'Written at', width: 'minmax(10rem, 1fr)', cell: ({ source }) => <Clip text={source} end /> },
    ...(overview?.writes
      ? [
          {
            name: 'Maintenance',
            width: '13rem',
            cell: (route: Route) => <Maintenance route={route} />,
          },
        ]
      : []),
  ]
  return (
    <>
      <Explain first={query.get('url') ?? ''} />
      <Section
        title={printCount(shown.length, 'route')}
        aside={
          <Search label="Find a route" value={find} onInput={setFind} placeholder="host, path, Service, filter …" />
        }
      >
        <p class="dim">In the order in which they are tried. Pick one to see what a request to it comes to.</p>
        <Failure failure={failure} />
        <Table
          label="Routes"
          rows={shown}
          columns={columns}
          keyOf={({ id }) => id}
          onPick={({ host, path }) => {
            location.hash = `#/routes?url=${encodeURIComponent(`http://${host.replace('*', host === '*' ? 'any.example' : 'any')}${path}`)}`
          }}
          empty={routes === undefined ? '…' : 'No route.'}
        />
      </Section>
    </>
  )
}

function Maintenance({ route: { host, path, state } }: { route: Route }): JSX.Element {
  const isOn = state === 'maintenance'
  const order = async () => {
    const { routes } = await tell<{ routes: number }>('maintenance', { route: `${host}${path}`, on: !isOn })
    return `${isOn ? 'off' : 'on'} for ${printCount(routes, 'route')}`
  }
  return <Act label={isOn ? 'turn off' : 'turn on'} act={order} />
}

/** Says which route serves a URL, and why the others do not. */
function Explain({ first }: { first: string }): JSX.Element {
  const [url, setUrl] = useState(first)
  const [method, setMethod] = useState('GET')
  const [said, setSaid] = useState<{ text: string; isFailure: boolean }>()
  const run = async (asked: string, by: string) => {
    if (asked.trim() === '') return
    try {
      const query = new URLSearchParams({ url: asked.trim(), method: by })
      setSaid({ text: (await ask<{ text: string }>(`explain?${query}`)).text, isFailure: false })
    } catch (error) {
      setSaid({ text: (error as Error).message, isFailure: true })
    }
  }
  useEffect(() => {
    setUrl(first)
    void run(first, method)
  }, [first])
  return (
    <Section title="Explain a request">
      <form
        class="line"
        onSubmit={(event) => {
          event.preventDefault()
          void run(url, method)
        }}
      >
        <select aria-label="Method" value={method} onChange={({ currentTarget }) => setMethod(currentTarget.value)}>
          {['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
        <input
          type="text"
          inputMode="url"
          class="wide"
          aria-label="URL"
          placeholder="https://shop.localhost/api/orders?x=1"
          spellcheck={false}
          value={url}
          onInput={({ currentTarget }) => setUrl(currentTarget.value)}
        />
        <button type="submit">Explain</button>
      </form>
      {said && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keyboard.
        <pre class={said.isFailure ? 'failure' : undefined} tabIndex={0} aria-live="polite">
          {said.text}
        </pre>
      )}
    </Section>
  )
}
