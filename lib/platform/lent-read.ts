/**
 * Lent reads (platform/lent-bytes) of accepted connections. node:net has the option `onread` for connections that are made alone;
 * what it does is done here for those that are accepted, where this Node has the same parts, and left undone where not. HOT
 */
import { Socket } from 'node:net'
import { READ_BUFFER } from './lent-bytes.ts'
import { findHandle } from './socket-internals.ts'

/** Told how many bytes have come into the read buffer, which are gone when it returns; false stops reading. */
export type LentReader = (this: Socket, size: number) => boolean

type Parts = { readonly buffer: symbol; readonly callback: symbol }

const parts = findParts()

/** From here on `reader` gets what the socket receives, in place of 'data'; false: it does not. */
export function lendReads(socket: Socket, reader: LentReader): boolean {
  const handle = findHandle(socket)
  if (parts === undefined || typeof handle?.useUserBuffer !== 'function') return false
  const own = socket as Socket & { [part: symbol]: unknown }
  own[parts.buffer] = READ_BUFFER
  own[parts.callback] = reader
  handle.useUserBuffer(READ_BUFFER)
  return true
}

function findParts(): Parts | undefined {
  const reader = () => true
  const probe = new Socket({ onread: { buffer: READ_BUFFER, callback: reader } } as object)
  const held = probe as Socket & { [part: symbol]: unknown }
  const symbols = Object.getOwnPropertySymbols(probe)
  const buffer = symbols.find((symbol) => held[symbol] === READ_BUFFER)
  const callback = symbols.find((symbol) => held[symbol] === reader)
  probe.destroy()
  return buffer && callback && { buffer, callback }
}
