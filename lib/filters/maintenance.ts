/** Answers 503 while the endpoints are worked on. HOT */
import { findMediaType, printContent } from './content-body.ts'
import { type AnnotationReader, type Content, defineFilter, type FilterAnswer } from './spec.ts'

type Options = Readonly<{ message: string | Content }>

const PLAIN = 'text/plain; charset=utf-8'

const USUAL_MESSAGE = 'This service is under maintenance.'
/** In UTF-16 code units. */
const LONGEST_MESSAGE = 500
/** In seconds. */
const RETRY_AFTER = 120

export const MAINTENANCE = defineFilter<Options>({
  name: 'maintenance',
  order: 305,
  isGuard: false,
  annotations: {
    maintenance: '`"true"`: every request is answered 503, and none reaches an endpoint; `"false"` does nothing',
    'maintenance-message': `the text of that answer, at most ${LONGEST_MESSAGE} characters (\`${USUAL_MESSAGE}\`)`,
    'maintenance-message-from':
      'a ConfigMap in the namespace of the Ingress and a key in its data or binaryData, as in pages/maintenance.html: the answer is what stands there',
  },
  read(annotations) {
    const isOn = readSwitch(annotations)
    const message = readMessage(annotations)
    return isOn && message !== undefined ? { message } : undefined
  },
  print: ({ message }) => `503 ${typeof message === 'string' ? JSON.stringify(message) : printContent(message)}`,
  create({ message }) {
    const isText = typeof message === 'string'
    const type = isText ? PLAIN : (findMediaType(message) ?? PLAIN)
    const answer: FilterAnswer = {
      status: 503,
      lines: `Content-Type: ${type}\r\nRetry-After: ${RETRY_AFTER}\r\n`,
      body: isText ? Buffer.from(`${message}\n`) : Buffer.from(message.bytes, 'latin1'),
    }
    return { request: () => answer }
  },
})

function readSwitch(annotations: AnnotationReader): boolean {
  const text = annotations.text('maintenance')
  if (text !== undefined && text !== 'true' && text !== 'false')
    annotations.refuse('maintenance', `"${text}" is neither "true" nor "false"`, 'write "true" or "false"')
  return text === 'true'
}

/** A message may stay where maintenance is off, for the next time. Undefined where its ConfigMap is not there. */
function readMessage(annotations: AnnotationReader): string | Content | undefined {
  const text = annotations.text('maintenance-message')
  if (annotations.text('maintenance-message-from') !== undefined) {
    const message = 'maintenance-message says the text already'
    if (text !== undefined) annotations.refuse('maintenance-message-from', message, 'leave one of them out')
    return annotations.content('maintenance-message-from')
  }
  if (text === '') annotations.refuse('maintenance-message', 'it is empty', 'write a sentence, or leave it out')
  if (text !== undefined && text.length > LONGEST_MESSAGE) {
    const message = `it has ${text.length} characters, and ${LONGEST_MESSAGE} are allowed`
    annotations.refuse('maintenance-message', message, 'write a shorter one')
  }
  return text ?? USUAL_MESSAGE
}
