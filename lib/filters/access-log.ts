/** Keeps requests out of the access log. */
import { oneOf } from './annotation-form.ts'
import { defineFilter } from './spec.ts'

export const ACCESS_LOG = defineFilter({
  name: 'access-log',
  order: 440,
  isGuard: false,
  annotations: {
    'access-log': {
      about:
        '`"false"`: the access log leaves the requests out, whatever their answers are; metrics count the requests all the same. `"true"` does nothing: `log.access` of the settings turns the log on',
      form: oneOf(['true', 'false']),
    },
  },
  read: (annotations) => (annotations.text('access-log') === 'false' ? {} : undefined),
  print: () => 'no lines in the access log',
  create: () => ({ isUnlogged: true }),
})
