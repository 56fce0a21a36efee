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
        '`"false"`: the access log has no lines for these requests; metrics still count them. `"true"` has no effect, since the setting `log.access` turns the log on',
      form: oneOf(['true', 'false']),
    },
  },
  read: (annotations) => (annotations.text('access-log') === 'false' ? {} : undefined),
  print: () => 'no lines in the access log',
  create: () => ({ isUnlogged: true }),
})
