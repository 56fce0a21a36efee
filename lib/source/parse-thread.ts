/** The thread that reads texts for a ParserPool: one at a time, and of each some at a time, as they are asked for. */
import { parentPort } from 'node:worker_threads'
import { canJoin, countPart, joinParts, type ParsedPart, parseInParts } from './document.ts'
import type { SourceText } from './text.ts'

/** What is asked: a text's first part, or the next. */
export type ThreadRequest = SourceText | 'next'
/** `part` is missing where there is none after the last. */
export type ThreadAnswer = Readonly<{ part: ParsedPart | undefined; isLast: boolean }>

/** Values and documents that are sent together: whoever takes them is held up no longer than by a document of this size. */
const PART_VALUES = 10_000
const PART_DOCUMENTS = 500

const port = parentPort
if (port === null) throw new Error('parse-thread runs as a thread of a ParserPool')

let answers: Iterator<ThreadAnswer> = [][Symbol.iterator]()
let ready: ThreadAnswer | undefined

port.on('message', (request: ThreadRequest) => {
  if (request !== 'next') {
    answers = listAnswers(request)
    ready = undefined
  }
  const answer: ThreadAnswer = ready ?? answers.next().value
  const buffers = (answer.part?.documents ?? []).map(({ marks }) => marks.cells.buffer as ArrayBuffer)
  port.postMessage(answer, buffers)
  // While that is used, the next is read.
  ready = answer.isLast ? undefined : answers.next().value
})

function* listAnswers(source: SourceText): Generator<ThreadAnswer> {
  let parts: ParsedPart[] = []
  let values = 0
  let documents = 0
  const take = (isLast: boolean): ThreadAnswer => {
    const part = parts.length > 0 ? joinParts(parts) : undefined
    parts = []
    values = 0
    documents = 0
    return { part, isLast }
  }
  for (const part of parseInParts(source)) {
    if (parts[0] && !canJoin(parts[0], part)) yield take(false)
    parts.push(part)
    values += countPart(part)
    documents += part.documents.length
    if (values >= PART_VALUES || documents >= PART_DOCUMENTS) yield take(false)
  }
  yield take(true)
}
