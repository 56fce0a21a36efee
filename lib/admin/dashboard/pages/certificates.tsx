import type { JSX } from 'preact'
import { printCount } from '../format.ts'
import { useView } from '../live.ts'
import { Badge, Clip, Failure, Section, Table, toneOf } from '../parts.tsx'
import type { Certificate } from '../rows.ts'

export function CertificatesPage(): JSX.Element {
  const { data: certificates, failure } = useView<readonly Certificate[]>('certificates', 5_000)
  const rows = [...(certificates ?? [])].sort((a, b) => a.daysLeft - b.daysLeft)
  return (
    <Section title={printCount(rows.length, 'certificate')}>
      <p class="dim">Those that expire first stand first.</p>
      <Failure failure={failure} />
      <Table
        label="Certificates"
        rows={rows}
        keyOf={({ name, hosts, ingress }) => `${name} ${hosts.join()} ${ingress}`}
        empty={certificates === undefined ? '…' : 'None: TLS is off.'}
        columns={[
          {
            name: 'Hosts',
            width: 'minmax(11rem, 1.5fr)',
            cell: ({ hosts }) => (
              <Clip text={hosts.map((host) => (host === '*' ? 'all other names' : host)).join(', ')} />
            ),
          },
          { name: 'Certificate', width: 'minmax(10rem, 1fr)', cell: ({ name }) => <Clip text={name} /> },
          { name: 'State', width: '8rem', cell: ({ state }) => <Badge tone={toneOf(state)}>{state}</Badge> },
          { name: 'Days left', width: '6rem', isNumber: true, cell: ({ daysLeft }) => String(daysLeft) },
          { name: 'Expires', width: '8rem', cell: ({ notAfter }) => (notAfter ? notAfter.slice(0, 10) : '–') },
          {
            name: 'Names in it',
            width: 'minmax(11rem, 1.5fr)',
            cell: ({ subjectAltNames, commonName }) => <Clip text={subjectAltNames.join(', ') || commonName} />,
          },
          {
            name: 'Issuer',
            width: 'minmax(9rem, 1fr)',
            cell: ({ issuer, selfSigned }) => <Clip text={selfSigned ? 'itself' : issuer} />,
          },
          {
            name: 'Why this one',
            width: 'minmax(12rem, 1.5fr)',
            cell: ({ reason, ingress }) => <Clip text={reason || (ingress ? `tls of Ingress ${ingress}` : '')} />,
          },
          { name: 'Written at', width: 'minmax(10rem, 1fr)', cell: ({ source }) => <Clip text={source ?? ''} end /> },
        ]}
      />
    </Section>
  )
}
