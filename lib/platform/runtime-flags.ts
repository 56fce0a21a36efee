/** What Node was started with that would undo Portico's safety (LC-20). */

export type RuntimeFlags = Readonly<{
  /** Refuse to start, for these reasons. */
  refused: readonly string[]
  /** Start, but say so. */
  warned: readonly string[]
}>

/** Looks at `process.execArgv` and the environment; each finding is one sentence for a person. */
export function checkRuntimeFlags(
  execArgv: readonly string[] = process.execArgv,
  environment: NodeJS.ProcessEnv = process.env,
): RuntimeFlags {
  const flags = [...execArgv, ...(environment.NODE_OPTIONS ?? '').split(/\s+/)].map(
    // Node takes underscores for dashes and ignores quotes around an option.
    (flag) => flag.replace(/^["']|["']$/g, '').replaceAll('_', '-'),
  )
  const refused: string[] = []
  const warned: string[] = []
  if (flags.includes('--insecure-http-parser')) {
    refused.push('--insecure-http-parser lets requests be smuggled past the gateway; start node without it')
  }
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    warned.push(
      'NODE_TLS_REJECT_UNAUTHORIZED=0 is set; certificates of https endpoints are still verified unless upstream.verifyTls is off',
    )
  }
  return { refused, warned }
}
