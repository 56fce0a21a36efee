/** Where the command line writes: data to stdout, talk to stderr, each with colours only where a person looks on. */
import { type Paint, paintAnsi, paintNothing } from '../lib/base/terminal-text.ts'
import type { HostProcess } from './host-process.ts'

export type Terminal = Readonly<{
  /** Data, with a line end added. */
  print(text: string): void
  /** Talk, with a line end added. */
  tell(text: string): void
  /** Colours for stdout and for stderr. */
  paint: Paint
  paintTalk: Paint
  /** Columns of stderr; 80 where it is no terminal. */
  width: number
  /** The process that this is the terminal of. */
  host: HostProcess
}>

/** Takes over stdout and stderr: from here on a reader that has gone away does no harm. */
export function createTerminal(host: HostProcess, noColour: boolean): Terminal {
  const { stdout, stderr, env } = host
  // EPIPE (`portico check | head`) and ENOSPC must never end a gateway that carries traffic.
  for (const stream of [stdout, stderr]) stream.on('error', () => {})
  const paintFor = (stream: HostProcess['stdout']): Paint =>
    stream.isTTY && !noColour && !env.NO_COLOR && env.TERM !== 'dumb' ? paintAnsi : paintNothing
  return {
    print: (text) => void stdout.write(`${text}\n`),
    tell: (text) => void stderr.write(`${text}\n`),
    paint: paintFor(stdout),
    paintTalk: paintFor(stderr),
    width: (stderr.isTTY && stderr.columns) || 80,
    host,
  }
}
