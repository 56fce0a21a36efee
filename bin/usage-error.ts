/** A wrong command line: one line, help, and exit code 2. */

export class UsageError extends Error {
  /** The right command. */
  readonly help: string | undefined

  constructor(message: string, help?: string) {
    super(message)
    this.help = help
  }
}
