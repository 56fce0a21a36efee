/** What the system says when no file descriptor is left. */

/** Of this process, or of the whole machine. */
const EXHAUSTED: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE'])

/** What to do about it. */
export const RAISE_LIMIT =
  'raise the hard limit: ulimit -Hn 65536, LimitNOFILE=65536 (systemd), --ulimit nofile=65536 (docker)'

export function isExhaustion(error: unknown): boolean {
  return EXHAUSTED.has((error as NodeJS.ErrnoException | undefined)?.code)
}
