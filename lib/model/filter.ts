/** A feature that is applied to the requests of a route. */
export type FilterConfig = Readonly<{
  /** Its spec's (filters/registry). */
  name: string
  /** Plain data that its spec has read and checked. */
  options: FilterOptions
}>

export type FilterOptions = Readonly<Record<string, unknown>>
