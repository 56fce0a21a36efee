/** Asks the admin listener that served this page. */

export class Refused extends Error {
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const TOKEN = 'portico-token'

/** The token is kept until the tab is closed, and for this tab alone. */
export const hasToken = (): boolean => sessionStorage.getItem(TOKEN) !== null

export function setToken(token: string): void {
  if (token === '') sessionStorage.removeItem(TOKEN)
  else sessionStorage.setItem(TOKEN, token)
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  const token = sessionStorage.getItem(TOKEN)
  if (token !== null) headers.set('authorization', `Bearer ${token}`)
  const response = await fetch(`../api/v1/${path}`, { ...init, headers })
  if (response.ok) return response
  const text = await response.text()
  let message = text
  try {
    message = (JSON.parse(text) as { message?: string }).message ?? text
  } catch {}
  throw new Refused(response.status, message || `The gateway answered ${response.status}.`)
}

export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send(path, signal ? { signal } : {})).json() as Promise<T>
}

export async function tell<T>(path: string, body: unknown): Promise<T> {
  const init = { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
  return (await send(path, init)).json() as Promise<T>
}

/** Milliseconds until a stream that broke off is asked for again. */
const AGAIN_MS = 1_500

/**
 * Follows server-sent events, and begins again where they break off. EventSource cannot carry a token. Returns the function that ends it.
 */
export function follow(
  path: string,
  onEvent: (event: string, data: string) => void,
  onState: (failure: Error | undefined) => void = () => {},
): () => void {
  const over = new AbortController()
  const run = async (): Promise<void> => {
    while (!over.signal.aborted) {
      try {
        const response = await send(path, { signal: over.signal, headers: { accept: 'text/event-stream' } })
        onState(undefined)
        await readEvents(response, onEvent)
      } catch (error) {
        if (over.signal.aborted) return
        onState(error as Error)
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
    }
  }
  void run()
  return () => over.abort()
}

async function readEvents(response: Response, onEvent: (event: string, data: string) => void): Promise<void> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) {
      let event = 'message'
      const data: string[] = []
      for (const line of block.split('\n')) {
        if (line.startsWith('event:')) event = line.slice(6).trim()
        else if (line.startsWith('data:')) data.push(line.slice(5).trimStart())
      }
      if (data.length > 0) onEvent(event, data.join('\n'))
    }
  }
}
