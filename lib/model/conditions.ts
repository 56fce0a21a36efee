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
  /** There is a further condition, which cannot be read: its route is closed, and goes before others of the same path. */
  isIncomplete?: true
}>
