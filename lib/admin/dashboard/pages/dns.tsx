import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import { printCount } from '../format.ts'
import { useView } from '../live.ts'
import { Clip, Failure, Search, Section, Table } from '../parts.tsx'
import type { Dns } from '../rows.ts'

export function DnsPage(): JSX.Element {
  const { data: dns, failure } = useView<Dns>('dns')
  const [find, setFind] = useState('')
  if (dns === undefined) return <Failure failure={failure} />
  if (!dns.enabled) return <p class="empty">The DNS server is off (dns.enabled).</p>
  const shown = dns.names.filter(({ name, data }) => `${name} ${data.join(' ')}`.includes(find.toLowerCase()))
  return (
    <>
      <Section title="Server">
        <p>
          Answers for <strong>{dns.zone}</strong> at {dns.address}:{dns.port};{' '}
          {dns.forward.length === 0 ? 'other names are refused' : `other names are asked of ${dns.forward.join(', ')}`}.
        </p>
        <Table
          label="Questions"
          rows={dns.questions}
          keyOf={({ type, code }) => `${type} ${code}`}
          empty="No question yet."
          columns={[
            { name: 'Type', width: '7rem', cell: ({ type }) => type },
            { name: 'Answered', width: '9rem', cell: ({ code }) => code },
            { name: 'Questions', width: '8rem', isNumber: true, cell: ({ count }) => count.toLocaleString('en') },
          ]}
        />
      </Section>
      <Section
        title={printCount(dns.names.length, 'name')}
        aside={<Search label="Find a name or an address" value={find} onInput={setFind} />}
      >
        <Table
          label="Names"
          rows={shown}
          keyOf={({ name, type }) => `${name} ${type}`}
          empty="No name."
          columns={[
            { name: 'Name', width: 'minmax(18rem, 2fr)', cell: ({ name }) => <Clip text={name} /> },
            { name: 'Type', width: '5rem', cell: ({ type }) => type },
            { name: 'Data', width: 'minmax(14rem, 2fr)', cell: ({ data }) => <Clip text={data.join(', ')} /> },
          ]}
        />
        {dns.more > 0 && <p class="dim">… {printCount(dns.more, 'more name')}.</p>}
      </Section>
    </>
  )
}
