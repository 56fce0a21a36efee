/** How an object of the configuration is called in what people read. */

/** `namespace/name`, or `name` where there is no namespace. */
export function printName({ namespace, name }: Readonly<{ namespace: string; name: string }>): string {
  return namespace === '' ? name : `${namespace}/${name}`
}

/** The parts of `namespace/name`. */
export function splitName(text: string): Readonly<{ namespace: string; name: string }> {
  const [namespace = '', name = ''] = text.split('/')
  return { namespace, name }
}
