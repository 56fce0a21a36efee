/** Answers 503 while the endpoints are worked on. HOT */
import { createAddressSet } from '../base/cidr.ts'
import { printRanges, RANGES, readRanges } from './address-ranges.ts'
import { type AnnotationForm, CONFIG_MAP_KEY, matching, oneOf } from './annotation-form.ts'
import { findMediaType, PLAIN, printContent, toBytes } from './content-body.ts'
import { VALUE } from './field-lines.ts'
import { type AnnotationReader, type Content, defineFilter, type FilterAnswer } from './spec.ts'

type Options = Readonly<{
  message: string | Content
  /** The media type of the message. */
  type: string
  /** Ranges whose clients are served; undefined: none. */
  allow: readonly string[] | undefined
}>

const USUAL_MESSAGE = 'This service is under maintenance.'
const MESSAGE: AnnotationForm = {
  pattern: /^(?!\s)[\s\S]{1,500}$/,
  describeFault: ({ length }) => (length === 0 ? 'it is empty' : `it has ${length} characters, and 500 are allowed`),
  help: 'write a sentence, or leave it out',
}
/** In seconds. */
const RETRY_AFTER = 120

export const MAINTENANCE = defineFilter<Options>({
  name: 'maintenance',
  order: 305,
  isGuard: false,
  annotations: {
    maintenance: {
      about: '`"true"`: every request is answered 503, and none reaches an endpoint; `"false"` does nothing',
      form: oneOf(['true', 'false']),
    },
    'maintenance-message': {
      about: `the text of that answer, at most 500 characters (\`${USUAL_MESSAGE}\`)`,
      form: MESSAGE,
      needs: 'maintenance',
    },
    'maintenance-message-from': {
      about:
        'a ConfigMap in the namespace of the Ingress and a key in its data or binaryData, as in pages/maintenance.html: the answer is what stands there',
      form: CONFIG_MAP_KEY,
      needs: 'maintenance',
    },
    'maintenance-content-type': {
      about: `what the message is; where it is left out, the ending of the key decides, as .html or .json, else ${PLAIN}`,
      form: matching(VALUE, 'is no media type', 'write one as in "text/html; charset=utf-8"'),
      needs: 'maintenance',
    },
    'maintenance-allow': {
      about: 'addresses and CIDR ranges, with commas between, whose clients are served meanwhile',
      form: RANGES,
      needs: 'maintenance',
    },
  },
  read(annotations) {
    const message = readMessage(annotations)
    const allow = readRanges(annotations, 'maintenance-allow')
    if (annotations.text('maintenance') !== 'true' || message === undefined) return undefined
    const usualType = (typeof message === 'string' ? undefined : findMediaType(message)) ?? PLAIN
    return { message, type: annotations.text('maintenance-content-type') ?? usualType, allow }
  },
  print: ({ message, allow }) =>
    `503 ${typeof message === 'string' ? JSON.stringify(message) : printContent(message)}${allow ? `, but not to ${printRanges(allow)}` : ''}`,
  create({ message, type, allow }) {
    const answer: FilterAnswer = {
      status: 503,
      lines: `Content-Type: ${type}\r\nRetry-After: ${RETRY_AFTER}\r\n`,
      body: toBytes(typeof message === 'string' ? `${message}\n` : message),
    }
    if (allow === undefined) return { request: () => answer }
    const served = createAddressSet(allow)
    return { request: ({ clientAddress }) => (served.has(clientAddress) ? undefined : answer) }
  },
})

/** A message may stay where maintenance is off, for the next time. Undefined where its ConfigMap is not there. */
function readMessage(annotations: AnnotationReader): string | Content | undefined {
  const text = annotations.text('maintenance-message')
  if (annotations.text('maintenance-message-from') !== undefined) {
    const message = 'maintenance-message says the text already'
    if (text !== undefined) annotations.refuse('maintenance-message-from', message, 'leave one of them out')
    return annotations.content('maintenance-message-from')
  }
  return text ?? USUAL_MESSAGE
}
