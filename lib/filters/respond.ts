/** Answers in an endpoint's place: a status, fields, and a body that stands in the manifest. */
import { type Field, parseFields, printFields } from './field-lines.ts'
import { defineFilter } from './spec.ts'

type Options = Readonly<{ status: number; fields: readonly Field[]; body: string; type: string }>

const PLAIN = 'text/plain; charset=utf-8'
const OWN = new Set(['content-type', 'date', 'server'])
/** Statuses that have no body (RFC 9110 §6.4.1). */
const BODILESS = new Set([204, 205, 304])

export const RESPOND = defineFilter<Options>({
  name: 'respond',
  order: 310,
  isGuard: false,
  annotations: {
    'respond-status': 'the status of the answer, from 200 to 599',
    'respond-body': 'its body',
    'respond-content-type': `what the body is; ${PLAIN} where it is left out`,
    'respond-headers': 'its fields, one "Name: value" a line',
  },
  read(annotations) {
    const written = annotations.text('respond-status')
    const body = annotations.text('respond-body')
    const headers = annotations.text('respond-headers')
    const type = annotations.text('respond-content-type')
    if (written === undefined && body === undefined && headers === undefined && type === undefined) return undefined
    const status = /^[2-5]\d\d$/.test(written ?? '200') ? Number(written ?? 200) : undefined
    if (status === undefined) {
      annotations.refuse('respond-status', `"${written}" is no status of an answer`, 'write a number from 200 to 599')
    } else if (body !== undefined && BODILESS.has(status)) {
      annotations.refuse('respond-body', `an answer ${status} has no body`, 'leave it out, or choose another status')
    }
    const fields = parseFields(headers ?? '')
    if (typeof fields === 'string') {
      annotations.refuse('respond-headers', fields, 'write one field a line, as in "Cache-Control: no-store"')
      return undefined
    }
    if (fields.some(([name]) => OWN.has(name.toLowerCase()))) {
      const help = "portico.dev/respond-content-type says what the body is; Date and Server are the gateway's"
      annotations.refuse('respond-headers', 'Content-Type, Date and Server do not belong here', help)
      return undefined
    }
    const typeLine = parseFields(`Content-Type: ${type ?? PLAIN}`)
    if (typeof typeLine === 'string' || type?.includes('\n')) {
      annotations.refuse(
        'respond-content-type',
        `"${type}" is no media type`,
        'write one as in "text/html; charset=utf-8"',
      )
      return undefined
    }
    return { status: status ?? 200, fields, body: body ?? '', type: type ?? PLAIN }
  },
  print: ({ status, body }) => (body === '' ? String(status) : `${status} with ${Buffer.byteLength(body)} bytes`),
  create({ status, fields, body, type }) {
    const bytes = body === '' ? undefined : Buffer.from(body)
    const lines = (bytes === undefined ? '' : printFields([['Content-Type', type]])) + printFields(fields)
    const answer = Object.freeze({ status, lines, body: bytes })
    return { request: () => answer }
  },
})
