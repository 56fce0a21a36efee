/** The command was typed wrongly: one line and a way out, exit code 2. */

export class UsageError extends Error {
  /** What to type instead. */
  readonly help: string | undefined

  constructor(message: string, help?: string) {
    super(message)
    this.help = help
  }
}
