/** The output of the command line: data on stdout, messages on stderr, with colours on terminals alone. */
import { type Paint, paintAnsi, paintNothing } from '../lib/base/terminal-text.ts'
import type { HostProcess } from './host-process.ts'

export type Terminal = Readonly<{
  /** Data, with a line end added. */
  print(text: string): void
  /** A message, with a line end added. */
  tell(text: string): void
  /** Colours for stdout and for stderr. */
  paint: Paint
  paintTalk: Paint
  /** The width of stderr in columns; 80 if it is not a terminal. */
  width: number
  /** The process that this is the terminal of. */
  host: HostProcess
}>

/** Takes over stdout and stderr, so that a reader that goes away does no harm. */
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
