/** How an object of the configuration is called in what people read. */

/** `namespace/name`, or `name` where there is no namespace. */
export function printName({ namespace, name }: Readonly<{ namespace: string; name: string }>): string {
  return namespace === '' ? name : `${namespace}/${name}`
}
