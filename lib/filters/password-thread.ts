/** The thread that checks passwords for PasswordChecks, one after the other. */
import { parentPort } from 'node:worker_threads'
import { matchesHash } from './password-hash.ts'

export type PasswordQuestion = Readonly<{ password: Uint8Array; hash: string }>
/** `ms` is the time that it took. */
export type PasswordVerdict = Readonly<{ matches: boolean; ms: number }>

const port = parentPort
if (port === null) throw new Error('password-thread runs as a thread of PasswordChecks')

port.on('message', ({ password, hash }: PasswordQuestion) => {
  const began = performance.now()
  const matches = matchesHash(password, hash)
  const verdict: PasswordVerdict = { matches, ms: performance.now() - began }
  port.postMessage(verdict)
})
