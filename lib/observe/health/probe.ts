/** One question to one endpoint: is it well? */
import { isExhaustion } from '../../base/exhaustion.ts'
import { askGrpc, printGrpc } from './grpc-probe.ts'
import { askHttp } from './http-probe.ts'
import type { Probe, ProbeResult } from './question.ts'
import { askTcp } from './tcp-probe.ts'

/**
 * Never rejects: a failure is a result. Only a want of file descriptors gives no result, since it tells nothing of the endpoint.
 * Nothing is left open when it resolves; `abort` ends it early.
 */
export async function runProbe(
  probe: Probe,
  timeoutMs: number,
  abort: AbortController,
): Promise<ProbeResult | undefined> {
  const limit = setTimeout(() => abort.abort(), timeoutMs).unref()
  try {
    return await ask(probe, abort.signal)
  } catch (error) {
    if (isExhaustion(error)) return undefined
    const why = abort.signal.aborted ? `no answer within ${timeoutMs} ms` : explainError(error)
    return { isOk: false, detail: `${describe(probe)}: ${why}` }
  } finally {
    clearTimeout(limit)
  }
}

function ask(probe: Probe, signal: AbortSignal): Promise<ProbeResult> {
  switch (probe.type) {
    case 'http':
      return askHttp(probe, signal)
    case 'tcp':
      return askTcp(probe, signal)
    case 'grpc':
      return askGrpc(probe, signal)
  }
}

function explainError(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  return code === 'ECONNREFUSED' ? 'connection refused' : code === 'ECONNRESET' ? 'connection reset' : message
}

function describe(probe: Probe): string {
  switch (probe.type) {
    case 'http':
      return `GET ${probe.path}`
    case 'tcp':
      return `connect to port ${probe.port}`
    case 'grpc':
      return printGrpc(probe)
  }
}
