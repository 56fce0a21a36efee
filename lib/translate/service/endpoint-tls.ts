/** What https endpoints are shown, and what they are verified by: the Secret that the setting `tlsSecret` names. */
import { createHash } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { readAuthorities } from '../../base/authority-file.ts'
import { addOutcome, type DiagnosticList } from '../../base/diagnostics.ts'
import type { SourcePosition } from '../../base/position.ts'
import { printName } from '../../base/resource-name.ts'
import { printResource, type Secret, type Service } from '../../kubernetes/resource.ts'
import type { EndpointTls } from '../../model/upstream.ts'
import type { ContentFinder, ContentProblem } from '../ingress/content.ts'
import { type FilterMention, locateValue } from '../ingress/mention.ts'
import { type ReadSecret, readSecret, reportSecret } from '../tls/certificate.ts'

/** A Secret as it was read for endpoints. */
export type ReadEndpointTls = Readonly<{
  /** Undefined: the Secret cannot be used. */
  tls: EndpointTls | undefined
  /** Its certificate and key, with what is to be said of them; undefined: it has none. */
  certificate: ReadSecret | undefined
  /** What else is wrong; `message` tells people why nothing is sent to the endpoints. */
  problem: Pick<ContentProblem, 'code' | 'message' | 'help' | 'notes'> | undefined
}>

const OUTCOME = 'nothing is sent to the endpoints'

/** An object does not change; Services whose endpoints come and go are read again and again. */
const known = new WeakMap<Secret, ReadEndpointTls>()

/** Reads the Secret `name` of a namespace: `tls.crt` with `tls.key`, `ca.crt`, or all of them. */
export function readEndpointTls(contents: ContentFinder, namespace: string, name: string): ReadEndpointTls {
  const secret = contents.getSecret(namespace, name)
  if ('code' in secret) return { tls: undefined, certificate: undefined, problem: secret }
  let read = known.get(secret)
  if (read === undefined) {
    read = Object.freeze(readTls(secret))
    known.set(secret, read)
  }
  return read
}

function readTls(secret: Secret): ReadEndpointTls {
  const text = (key: string): string => secret.data.get(key)?.toString('latin1').trim() ?? ''
  const name = printName(secret.meta)
  const hasCertificate = text('tls.crt') !== '' || text('tls.key') !== ''
  const certificate = hasCertificate ? readSecret(secret, OUTCOME) : undefined
  const fail = (message: string, help: string): ReadEndpointTls => ({
    tls: undefined,
    certificate,
    problem: { code: 'PORTICO_TLS_CERTIFICATE_INVALID', message: `secret "${name}" ${message}`, help, notes: [] },
  })
  if (certificate?.failure !== undefined) return { tls: undefined, certificate, problem: undefined }
  const authorities = text('ca.crt')
  if (authorities === '' && !hasCertificate) {
    return fail('has no ca.crt, and no tls.crt', 'give it tls.crt with tls.key, ca.crt, or all of them')
  }
  try {
    if (authorities !== '') readAuthorities(authorities, 'ca.crt')
  } catch (error) {
    return fail(`cannot be used: ${(error as Error).message}`, 'ca.crt holds certificates in PEM')
  }
  const { certificatePem = '', privateKeyPem = '' } = certificate?.certificate ?? {}
  try {
    createSecureContext({ ...(hasCertificate && { cert: certificatePem, key: privateKeyPem }) })
  } catch {
    return fail('has a certificate that OpenSSL refuses', 'issue a new one, with a key of 2048 bits or more')
  }
  const parts = [certificatePem, privateKeyPem, authorities]
  const digest = createHash('sha256').update(parts.join('\0')).digest('hex')
  return { tls: Object.freeze({ certificatePem, privateKeyPem, authorities, digest }), certificate, problem: undefined }
}

/** Why nothing is sent to the endpoints; undefined: the Secret can be used. */
export function findTlsFault({ tls, certificate, problem }: ReadEndpointTls): string | undefined {
  return tls === undefined ? (problem?.message ?? certificate?.failure) : undefined
}

/** Reports what is wrong with a Secret; `mention` names it, undefined: the settings do. */
export function reportEndpointTls(
  service: Service,
  { certificate, problem }: ReadEndpointTls,
  mention: FilterMention | undefined,
  now: number,
  diagnostics: DiagnosticList,
): void {
  const name = service.origin.locate(['metadata', 'name'])
  const place = (): SourcePosition => (mention && locateValue(mention)) ?? name
  if (certificate !== undefined) reportSecret(certificate, now, place, diagnostics)
  if (problem === undefined) return
  const label = mention?.label ?? 'tlsSecret in the settings'
  diagnostics.add(problem.code, `${label}: ${problem.message}`, {
    severity: 'error',
    position: place(),
    resource: printResource(mention === undefined || mention.owner.kind === 'Setting' ? service : mention.owner),
    help: addOutcome(problem.help, `until then ${OUTCOME}`),
    notes: problem.notes,
  })
}
