/** The thread that reads texts for a ParserPool: one text at a time, and each part when the pool asks for it. */
import { parentPort } from 'node:worker_threads'
import { canJoin, countPartValues, joinParts, type ParsedPart, parseInParts } from './document.ts'
import type { SourceText } from './text.ts'

/** A request: for the first part of a text, or for the next part. */
export type ThreadRequest = SourceText | 'next'
/** `part` is undefined behind the last part. */
export type ThreadAnswer = Readonly<{ part: ParsedPart | undefined; isLast: boolean }>

/** Most values and documents sent together, so that taking them holds up the receiver no longer than a document of this size. */
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
  // While the receiver uses this part, the next one is read.
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
    values += countPartValues(part)
    documents += part.documents.length
    if (values >= PART_VALUES || documents >= PART_DOCUMENTS) yield take(false)
  }
  yield take(true)
}
