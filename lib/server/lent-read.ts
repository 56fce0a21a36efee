/**
 * Reads of accepted connections into one buffer for all, each used up before the next; a buffer for every read costs more than
 * to copy the few bytes that are kept. node:net has this as the option `onread`, for connections that are made alone; what the
 * option does is done here for those that are accepted, where this Node has the same parts, and left undone where not. HOT
 */
import { Socket } from 'node:net'

/** Gets bytes that are gone when it returns. */
export type LentReader = (this: Socket, size: number, buffer: Uint8Array) => boolean

type Handle = { useUserBuffer?: (buffer: Uint8Array) => void }
type Parts = { readonly buffer: symbol; readonly callback: symbol }

const SHARED = Buffer.allocUnsafeSlow(65_536)
const parts = findParts()

/** From here on `reader` gets what the socket receives, in place of 'data'; false: it does not. */
export function lendReads(socket: Socket, reader: LentReader): boolean {
  const own = socket as Socket & { _handle?: Handle | null; [part: symbol]: unknown }
  const handle = own._handle
  if (parts === undefined || typeof handle?.useUserBuffer !== 'function') return false
  own[parts.buffer] = SHARED
  own[parts.callback] = reader
  handle.useUserBuffer(SHARED)
  return true
}

function findParts(): Parts | undefined {
  const reader = () => true
  const probe = new Socket({ onread: { buffer: SHARED, callback: reader } } as object)
  const held = probe as Socket & { [part: symbol]: unknown }
  const symbols = Object.getOwnPropertySymbols(probe)
  const buffer = symbols.find((symbol) => held[symbol] === SHARED)
  const callback = symbols.find((symbol) => held[symbol] === reader)
  probe.destroy()
  return buffer && callback && { buffer, callback }
}
