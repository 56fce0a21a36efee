/** Reads base64 like Go's encoding/json: the standard alphabet, padded, line breaks skipped. */

/** The bytes, or the problem in Go's words. */
export function decodeBase64(text: string): Buffer | { problem: string } {
  const content = text.replace(/[\r\n]+/g, '')
  const body = content.replace(/={1,2}$/, '')
  const bad = body.search(/[^A-Za-z0-9+/]/)
  if (bad !== -1) return { problem: `illegal base64 data at input byte ${bad}` }
  if (content.length % 4 !== 0) return { problem: `illegal base64 data at input byte ${content.length}` }
  return Buffer.from(content, 'base64')
}
