/** The thread that reads texts for a ParserPool: one at a time, as they come. */
import { parentPort } from 'node:worker_threads'
import { parseInSteps } from './document.ts'
import type { SourceText } from './files.ts'

const port = parentPort
if (port === null) throw new Error('parse-thread runs as a thread of a ParserPool')

port.on('message', (source: SourceText) => {
  const steps = parseInSteps(source)
  let step = steps.next()
  while (!step.done) step = steps.next()
  const parsed = step.value
  port.postMessage(
    parsed,
    parsed.documents.map(({ marks }) => marks.cells.buffer as ArrayBuffer),
  )
})
