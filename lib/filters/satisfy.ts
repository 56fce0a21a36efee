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
        '`any`: a client comes in that allow-source-range names, or that basic-auth knows, or that the auth server of auth-url lets in; `all`: every one of these that is there must let it in (`all`)',
      form: oneOf(['all', 'any']),
    },
  },
  read: (annotations) => (annotations.text('satisfy') === 'any' ? { satisfy: 'any' } : undefined),
  print: () => 'one check is enough',
  create: () => ({ joinsChecks: true }),
})
