/** Answers in an endpoint's place: a status, fields, and a body from the annotation or from a ConfigMap. */
import { CONFIG_MAP_KEY, FIELDS, matching } from './annotation-form.ts'
import { findMediaType, PLAIN, printBody, toBytes } from './content-body.ts'
import { type Field, parseFields, printFields, VALUE } from './field-lines.ts'
import { type Content, defineFilter } from './spec.ts'

type Options = Readonly<{
  status: number
  fields: readonly Field[]
  /** A text of the annotation, or a ConfigMap's; undefined: no body. */
  body: string | Content | undefined
  type: string
}>

const OWN = new Set(['content-type', 'date', 'server'])
/** Statuses that have no body (RFC 9110 §6.4.1). */
const BODILESS = new Set([204, 205, 304])

export const RESPOND = defineFilter<Options>({
  name: 'respond',
  order: 310,
  isGuard: false,
  annotations: {
    'respond-status': {
      about: 'the status of the answer, from 200 to 599; 200 where it is left out',
      form: matching(/^[2-5]\d\d$/, 'is no status of an answer', 'write a number from 200 to 599'),
    },
    'respond-body': { about: 'its body' },
    'respond-body-from': {
      about:
        'a ConfigMap in the namespace of the Ingress and a key in its data or binaryData, as in pages/sorry.html: the body is what stands there',
      form: CONFIG_MAP_KEY,
    },
    'respond-content-type': {
      about: `what the body is; where it is left out, the ending of the key decides, as .html or .json, else ${PLAIN}`,
      form: matching(VALUE, 'is no media type', 'write one as in "text/html; charset=utf-8"'),
    },
    'respond-headers': { about: 'its fields, one "Name: value" a line', form: FIELDS },
  },
  read(annotations) {
    const written = annotations.text('respond-status')
    const inline = annotations.text('respond-body')
    const from = annotations.text('respond-body-from')
    const headers = annotations.text('respond-headers')
    const type = annotations.text('respond-content-type')
    if ([written, inline, from, headers, type].every((each) => each === undefined)) return undefined
    const content = annotations.content('respond-body-from')
    if (inline !== undefined && from !== undefined) {
      annotations.refuse('respond-body-from', 'respond-body says the body already', 'leave one of them out')
    }
    const status = Number(written ?? 200)
    if ((inline ?? from) !== undefined && BODILESS.has(status)) {
      const name = inline === undefined ? 'respond-body-from' : 'respond-body'
      annotations.refuse(name, `an answer ${status} has no body`, 'leave it out, or choose another status')
    }
    const fields = parseFields(headers ?? '')
    if (typeof fields === 'string') {
      annotations.refuse('respond-headers', fields, FIELDS.help)
      return undefined
    }
    if (fields.some(([name]) => OWN.has(name.toLowerCase()))) {
      const help = "portico.dev/respond-content-type says what the body is; Date and Server are the gateway's"
      annotations.refuse('respond-headers', 'Content-Type, Date and Server do not belong here', help)
      return undefined
    }
    const usualType = content && findMediaType(content)
    return { status, fields, body: content ?? inline, type: type ?? usualType ?? PLAIN }
  },
  print: ({ status, body }) => (body === undefined || body === '' ? `${status}` : `${status} with ${printBody(body)}`),
  create({ status, fields, body, type }) {
    const bytes = body === undefined ? undefined : toBytes(body)
    const hasBody = bytes !== undefined && bytes.length > 0
    const lines = (hasBody ? printFields([['Content-Type', type]]) : '') + printFields(fields)
    const answer = Object.freeze({ status, lines, body: hasBody ? bytes : undefined })
    return { request: () => answer }
  },
})
