/** What a request must be, besides its host and path, for a route to take it. */

/** One header field, query parameter or cookie: equal to `value`, described as a whole by the expression `value`, there, or not there. */
export type ValueCondition = Readonly<{ name: string }> &
  (Readonly<{ type: 'exact' | 'regex'; value: string }> | Readonly<{ type: 'present' | 'absent' }>)

/** All of them must hold. Routes of one owner share theirs; equal conditions are equal objects, field by field and in order. */
export type RouteConditions = Readonly<{
  /** One of these. */
  methods?: readonly string[]
  /** By lower-case names. */
  headers?: readonly ValueCondition[]
  query?: readonly ValueCondition[]
  cookies?: readonly ValueCondition[]
  /** CIDRs. */
  clientAddresses?: readonly string[]
  /**
   * What the owner says of its requests cannot be read, so that the route is closed. If it guards, it goes before all others of its
   * path: nothing gets past it. If it does not, it goes after them: they are served as if it were not there.
   */
  unread?: 'guard' | 'other'
}>
