import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { tell } from '../api.ts'
import { printAgo, printCount, printRate, printShare } from '../format.ts'
import { useTraffic, useView } from '../live.ts'
import type { PageProps } from '../main.tsx'
import { Act, Badge, Clip, type Column, Failure, Search, Section, Table, toneOf } from '../parts.tsx'
import type { Circuit, Endpoint, Service } from '../rows.ts'

export function ServicesPage({ overview, query }: PageProps): JSX.Element {
  const { data: services, failure } = useView<readonly Service[]>('services')
  const { data: endpoints = [] } = useView<readonly Endpoint[]>('endpoints', 1_000)
  const { data: circuits = [] } = useView<readonly Circuit[]>('circuits')
  const { current } = useTraffic()
  const [find, setFind] = useState(query.get('find') ?? '')
  useEffect(() => setFind(query.get('find') ?? ''), [query])
  const now = useNow()
  const rates = useMemo(
    () => new Map(current?.endpoints.map((each) => [`${each.service} ${each.endpoint}`, each.rate])),
    [current],
  )
  const keyOf = ({ namespace, service, port, address }: Endpoint) => `${namespace}/${service}:${port} ${address}`
  const rateOf = (endpoint: Endpoint) => rates.get(keyOf(endpoint)) ?? 0
  const totals = useMemo(() => {
    const sums = new Map<string, number>()
    for (const each of endpoints) {
      const service = `${each.namespace}/${each.service}:${each.port}`
      sums.set(service, (sums.get(service) ?? 0) + rateOf(each))
    }
    return sums
  }, [endpoints, rates])
  const words = find.toLowerCase().split(/\s+/).filter(Boolean)
  const has = (text: string) => words.every((word) => text.toLowerCase().includes(word))
  const shownEndpoints = endpoints.filter((each) =>
    has(
      `${each.namespace}/${each.service}:${each.port} ${each.address} ${each.name ?? ''} ${each.state} ${each.source}`,
    ),
  )
  const named = new Set(shownEndpoints.map(({ namespace, service }) => `${namespace}/${service}`))
  const shownServices = (services ?? []).filter(
    ({ namespace, name, type }) => has(`${namespace}/${name} ${type}`) || named.has(`${namespace}/${name}`),
  )
  const columns: Column<Endpoint>[] = [
    {
      name: 'Endpoint',
      width: 'minmax(11rem, 1.2fr)',
      cell: ({ address, name }) => <Clip text={name === undefined ? address : `${address} (${name})`} />,
    },
    { name: 'State', width: '7.5rem', cell: ({ state }) => <Badge tone={toneOf(state)}>{state}</Badge> },
    { name: 'Why', width: 'minmax(12rem, 2fr)', cell: (endpoint) => <Clip text={describe(endpoint, circuits, now)} /> },
    {
      name: 'Service',
      width: 'minmax(11rem, 1.2fr)',
      cell: ({ namespace, service, port }) => <Clip text={`${namespace}/${service}:${port}`} />,
    },
    {
      name: 'Share',
      width: '5rem',
      isNumber: true,
      cell: (endpoint) =>
        printShare(rateOf(endpoint), totals.get(`${endpoint.namespace}/${endpoint.service}:${endpoint.port}`) ?? 0),
    },
    { name: 'Rate', width: '5.5rem', isNumber: true, cell: (endpoint) => printRate(rateOf(endpoint)) },
    { name: 'Under way', width: '6rem', isNumber: true, cell: ({ live }) => String(live?.inFlight ?? '–') },
    {
      name: 'Failures',
      width: '7rem',
      isNumber: true,
      cell: ({ live }) => (live ? `${live.failures} of ${live.requests}` : '–'),
    },
    {
      name: 'Comes from',
      width: 'minmax(9rem, 1fr)',
      cell: ({ sourceName }) => <Clip text={sourceName} />,
    },
    ...(overview?.writes
      ? [{ name: 'Do', width: '15rem', cell: (endpoint: Endpoint) => <Acts endpoint={endpoint} /> }]
      : []),
  ]
  return (
    <>
      <Section
        title={printCount(shownServices.length, 'Service')}
        aside={
          <Search
            label="Find a Service or an endpoint"
            value={find}
            onInput={setFind}
            placeholder="Service, address, state …"
          />
        }
      >
        <Failure failure={failure} />
        <Table
          label="Services"
          rows={shownServices}
          keyOf={({ namespace, name }) => `${namespace}/${name}`}
          empty={services === undefined ? '…' : 'No Service.'}
          onPick={({ namespace, name }) => setFind(`${namespace}/${name}`)}
          columns={[
            {
              name: 'Service',
              width: 'minmax(12rem, 1.5fr)',
              cell: ({ namespace, name }) => <Clip text={`${namespace}/${name}`} />,
            },
            { name: 'Type', width: '8rem', cell: ({ type }) => type },
            { name: 'Cluster IP', width: '9rem', cell: ({ clusterIP }) => clusterIP || '–' },
            { name: 'External', width: '9rem', cell: ({ externalIP }) => <Clip text={externalIP || '–'} /> },
            { name: 'Ports', width: 'minmax(8rem, 1fr)', cell: ({ ports }) => <Clip text={ports.join(', ')} /> },
            {
              name: 'Usable endpoints',
              width: '9rem',
              isNumber: true,
              cell: ({ endpoints: usable }) => String(usable.length),
            },
            { name: 'Written at', width: 'minmax(10rem, 1fr)', cell: ({ source }) => <Clip text={source} end /> },
          ]}
        />
      </Section>
      <Section title={printCount(shownEndpoints.length, 'endpoint')}>
        <Table label="Endpoints" rows={shownEndpoints} columns={columns} keyOf={keyOf} empty="No endpoint." />
      </Section>
    </>
  )
}

function describe(endpoint: Endpoint, circuits: readonly Circuit[], now: number): string {
  const { namespace, service, port, reason, healthSince, ejectedUntil, live } = endpoint
  const circuit = circuits.find((each) => each.service === `${namespace}/${service}:${port}`)
  const left = ejectedUntil === undefined ? 0 : Math.ceil((Date.parse(ejectedUntil) - now) / 1_000)
  return [
    reason,
    left > 0 && `back in ${left} s`,
    circuit && `circuit ${circuit.state} in ${printCount(circuit.workers, 'process', 'processes')}`,
    healthSince !== undefined && `since ${printAgo(healthSince, now)}`,
    live?.lastFailure &&
      `last failure ${live.lastFailure}${live.lastFailureAt ? ` ${printAgo(live.lastFailureAt, now)}` : ''}`,
  ]
    .filter(Boolean)
    .join('; ')
}

function Acts({ endpoint }: { endpoint: Endpoint }): JSX.Element {
  const { namespace, service, port, address, state } = endpoint
  const act = (path: string, said: string) => async () => {
    await tell(`endpoints/${path}`, { endpoint: `${namespace}/${service}:${port}/${address}` })
    return said
  }
  return (
    <>
      {state === 'drained' ? (
        <Act label="undrain" act={act('undrain', 'gets requests again')} />
      ) : (
        <Act label="drain" act={act('drain', 'gets no new requests')} />
      )}{' '}
      {state === 'ejected' && <Act label="clear" act={act('clear', 'is back')} />}
    </>
  )
}

function useNow(): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1_000)
    return () => clearInterval(timer)
  }, [])
  return now
}
