/** Variables of nginx, and Portico's own for the same (docs/filters.md, Variables). */

const VARIABLES: Readonly<Record<string, string>> = {
  args: 'request.query',
  host: 'request.host',
  http_host: 'request.authority',
  query_string: 'request.query',
  remote_addr: 'client.address',
  request_id: 'request.id',
  request_method: 'request.method',
  request_uri: 'request.target',
  scheme: 'request.scheme',
  server_protocol: 'request.protocol',
  uri: 'request.path',
}

/** The text with Portico's variables, or the first variable for which there is none. */
export function translateVariables(text: string): Readonly<{ text: string } | { unknown: string }> {
  let unknown: string | undefined
  const translated = text.replace(/\$\{?([a-z]\w*)\}?/g, (variable, name: string) => {
    if (Object.hasOwn(VARIABLES, name)) return `\${${VARIABLES[name]}}`
    unknown ??= variable
    return variable
  })
  return unknown === undefined ? { text: translated } : { unknown }
}
