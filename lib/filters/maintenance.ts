/** Answers 503 while the endpoints are worked on. HOT */
import { type AnnotationReader, defineFilter, type FilterAnswer } from './spec.ts'

type Options = Readonly<{ message: string }>

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
  },
  read(annotations) {
    const isOn = readSwitch(annotations)
    const message = readMessage(annotations)
    return isOn ? { message } : undefined
  },
  print: ({ message }) => `503 ${JSON.stringify(message)}`,
  create({ message }) {
    const answer: FilterAnswer = {
      status: 503,
      lines: `Content-Type: text/plain; charset=utf-8\r\nRetry-After: ${RETRY_AFTER}\r\n`,
      body: Buffer.from(`${message}\n`),
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

/** A message may stay where maintenance is off, for the next time. */
function readMessage(annotations: AnnotationReader): string {
  const text = annotations.text('maintenance-message') ?? USUAL_MESSAGE
  if (text === '') annotations.refuse('maintenance-message', 'it is empty', 'write a sentence, or leave it out')
  if (text.length > LONGEST_MESSAGE) {
    const message = `it has ${text.length} characters, and ${LONGEST_MESSAGE} are allowed`
    annotations.refuse('maintenance-message', message, 'write a shorter one')
  }
  return text
}
