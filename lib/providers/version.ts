/** The version of a text that is in force: as with an API server, a refused version leaves the earlier one in force. */
import type { Diagnostic } from '../base/diagnostics.ts'
import type { SourceText } from '../source/text.ts'
import { type Content, isEmpty, type Parser, readContent } from './content.ts'
import { describeKept, type Kept } from './kept.ts'

export type Version = Readonly<{
  /** Hash of the present text, or the reason why there is none. */
  hash: string
  /** The name shown to people. */
  name: string
  content: Content
  /** Set if `content` is that of an earlier text. */
  kept: Kept | undefined
}>

/** The version after `previous`; `previous` itself if the text is the same. */
export async function readVersion(
  source: SourceText,
  parser: Parser,
  previous: Version | undefined,
  readAt: number,
): Promise<Version> {
  if (previous?.hash === source.hash) return previous
  const { hash, name } = source
  const { content, take } = await readContent(source, parser, previous?.content, readAt)
  if (previous && isUsable(previous) && previous.content.isGood && !content.isGood) {
    return keepVersion(previous, hash, content.diagnostics)
  }
  take()
  return { hash, name, content, kept: undefined }
}

/** True if a version has anything to keep. */
export function isUsable({ content }: Version): boolean {
  return !isEmpty(content)
}

/** The last good version, with the reasons why the present one is not used. */
export function keepVersion({ name, content }: Version, hash: string, reasons: readonly Diagnostic[]): Version {
  return { hash, name, content, kept: describeKept(name, content.readAt, reasons) }
}
