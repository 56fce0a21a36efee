/** What values of options look like, and what they come to. */

/** How an option may be written beside a text, a number or a boolean. */
export type OptionForm = Readonly<{
  /**
   * A list of texts without commas and white space, which the annotation separates by commas; fields, names with values, which the
   * annotation has one a line; conditions, the same where a name may stand without a value; weights, names with numbers; a secret, a
   * file or a variable in place of the name of a Secret.
   */
  structure?: 'list' | 'fields' | 'conditions' | 'weights' | 'secret'
  /** What to write. */
  help: string
  /** What to write as an option, where `help` is of annotations alone. */
  optionHelp?: string
}>

/** A secret that is no object. */
export type SecretSource = Readonly<{ file: string }> | Readonly<{ env: string }>

/** The text; or what is wrong with a value that no text stands for. */
export type OptionText = string | Readonly<{ message: string; help: string }>

export type OptionValue = OptionText | SecretSource
