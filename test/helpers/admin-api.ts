/** Asks the admin API of a gateway, at once and for streams of events. */
import { get, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'

export type ApiAnswer = Readonly<{ status: number; headers: IncomingHttpHeaders; body: string }>

export function askApi(port: number, path: string, headers: Record<string, string> = {}): Promise<ApiAnswer> {
  return new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, async (response) => {
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await text(response) })
    }).on('error', reject)
  })
}

// biome-ignore lint/suspicious/noExplicitAny: the shape is what the tests check
export async function readApi(port: number, path: string): Promise<any> {
  const { status, body } = await askApi(port, path)
  if (status !== 200) throw new Error(`${path}: ${status} ${body}`)
  return JSON.parse(body)
}

// biome-ignore lint/suspicious/noExplicitAny: likewise
export type StreamEvent = Readonly<{ event: string; data: any }>

/** Follows a stream of events until the test ends, or `close` is called. */
export async function followApi(t: Test, port: number, path: string, headers: Record<string, string> = {}) {
  const events: StreamEvent[] = []
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, headers, agent: false }, resolve).on('error', reject)
  })
  let rest = ''
  let ended = false
  response.setEncoding('utf8').on('data', (chunk: string) => {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) {
      const [, event, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? []
      if (event !== undefined) events.push({ event, data: JSON.parse(data!) })
    }
  })
  response
    .on('error', () => {})
    .on('close', () => {
      ended = true
    })
  const close = () => void response.destroy()
  t.teardown(close)
  return { status: response.statusCode ?? 0, headers: response.headers, response, events, close, hasEnded: () => ended }
}
