/** Says whether a request must pass all checks of its route, or one of them, as nginx's `satisfy` does. */
import { oneOf } from './annotation-form.ts'
import { defineFilter } from './spec.ts'

/** There are options only where one check is enough. */
type Options = Readonly<{ satisfy: 'any' }>

export const SATISFY = defineFilter<Options>({
  name: 'satisfy',
  order: 115,
  isGuard: true,
  annotations: {
    satisfy: {
      about:
        '`any`: a client is let in if allow-source-range names it, if basic-auth knows it, or if the auth server of auth-url lets it in; `all`: all of these checks that the object has must let it in (`all`)',
      form: oneOf(['all', 'any']),
    },
  },
  read: (annotations) => (annotations.text('satisfy') === 'any' ? { satisfy: 'any' } : undefined),
  print: () => 'one check is enough',
  create: () => ({ joinsChecks: true }),
})
