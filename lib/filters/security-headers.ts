/** Has browsers be careful with answers: a set of security fields, and HSTS (RFC 6797). HOT */
import { traceNames } from '../http1/name-traces.ts'
import { matching, oneOf } from './annotation-form.ts'
import { type Field, printFields, SoughtNames } from './field-lines.ts'
import { type AnnotationReader, defineFilter, type FilterHead } from './spec.ts'

type Options = Readonly<{
  preset: 'true' | 'strict' | undefined
  /** The value of Strict-Transport-Security. */
  hsts: string | undefined
  /** The fields take the place of those that endpoints send. */
  overrides: boolean
}>

/** None of them breaks a page that works by itself. Content-Security-Policy is missing: only the page knows what its scripts may do. */
const PRESETS: Readonly<Record<'true' | 'strict', readonly Field[]>> = {
  true: [
    ['X-Content-Type-Options', 'nosniff'],
    ['X-Frame-Options', 'SAMEORIGIN'],
    ['Referrer-Policy', 'strict-origin-when-cross-origin'],
  ],
  strict: [
    ['X-Content-Type-Options', 'nosniff'],
    ['X-Frame-Options', 'DENY'],
    ['Referrer-Policy', 'no-referrer'],
    ['Cross-Origin-Opener-Policy', 'same-origin'],
    ['Cross-Origin-Resource-Policy', 'same-origin'],
    ['Permissions-Policy', 'camera=(), geolocation=(), microphone=()'],
    ['X-Permitted-Cross-Domain-Policies', 'none'],
  ],
}
const HSTS = new SoughtNames(['strict-transport-security'])
/** Seconds; the list of browsers (hstspreload.org) takes no host with less. */
const LEAST_PRELOADED = 31_536_000

export const SECURITY_HEADERS = defineFilter<Options>({
  name: 'security-headers',
  order: 425,
  isGuard: false,
  annotations: {
    'security-headers': {
      about: `\`"true"\`: answers get ${printPreset('true')}; \`strict\`: ${printPreset('strict')}. What an endpoint says itself stays. \`"false"\` does nothing`,
      form: oneOf(['true', 'strict', 'false']),
    },
    hsts: {
      about:
        'the value of Strict-Transport-Security in answers over HTTPS, as in `max-age=31536000; includeSubDomains; preload`; over plain HTTP no answer has this field',
      form: matching(
        /^max-age=\d{1,10}(?:\s*;\s*includeSubDomains)?(?:\s*;\s*preload)?$/,
        'is no value of Strict-Transport-Security',
        'write "max-age=31536000" (seconds), and behind it "; includeSubDomains" and "; preload" if they are meant',
      ),
    },
    'security-headers-override': {
      about:
        '`"true"`: the fields of security-headers and hsts take the place of fields with the same names that an endpoint sends; `"false"`: the fields of the endpoint stay (`"false"`)',
      form: oneOf(['true', 'false']),
    },
  },
  read(annotations) {
    const written = annotations.text('security-headers')
    const preset = written === 'true' || written === 'strict' ? written : undefined
    const hsts = readHsts(annotations)
    const override = annotations.text('security-headers-override')
    if (override !== undefined && written === undefined && hsts === undefined) {
      annotations.refuse(
        'security-headers-override',
        'it says nothing without security-headers or hsts',
        'add one of them, or leave it out',
      )
    }
    if (preset === undefined && hsts === undefined) return undefined
    return { preset, hsts, overrides: override === 'true' }
  },
  print: ({ preset, hsts, overrides }) =>
    [
      ...(preset === undefined ? [] : [preset === 'strict' ? 'the strict set' : 'the usual set']),
      ...(hsts === undefined ? [] : [`over HTTPS Strict-Transport-Security: ${hsts}`]),
      ...(overrides ? ['also where endpoints send them'] : []),
    ].join(', '),
  create({ preset, hsts, overrides }) {
    const plain = preset === undefined ? [] : PRESETS[preset]
    const secure: readonly Field[] = hsts === undefined ? plain : [...plain, ['Strict-Transport-Security', hsts]]
    const addPlain = createAddition(plain, overrides)
    const addSecure = createAddition(secure, overrides)
    return {
      response(head, { scheme }) {
        if (scheme === 'https') addSecure(head)
        // A browser must not be told over plain HTTP, where anybody may be heard (RFC 6797 §7.2).
        else {
          if (hsts !== undefined) head.remove(HSTS)
          addPlain(head)
        }
      },
    }
  },
})

/** Adds the fields, in place of those that are there, or only where there are none. */
function createAddition(fields: readonly Field[], overrides: boolean): (head: FilterHead) => void {
  const names = new SoughtNames(fields.map(([name]) => name))
  const traces = traceNames(names.names)
  if (overrides) {
    const added = printFields(fields)
    return (head) => {
      head.remove(names)
      head.add(added, traces)
    }
  }
  /** By the fields that are present: an endpoint mostly sends the same. */
  const missing: string[] = []
  return (head) => {
    const present = head.mark(names)
    missing[present] ??= printFields(fields.filter((_, at) => (present & (1 << at)) === 0))
    head.add(missing[present], traces)
  }
}

/** In the spelling of RFC 6797 §6.1. */
function readHsts(annotations: AnnotationReader): string | undefined {
  const text = annotations.text('hsts')
  if (text === undefined) return undefined
  const isPreloaded = text.endsWith('preload')
  if (isPreloaded && (!text.includes('includeSubDomains') || Number(/\d+/.exec(text)![0]) < LEAST_PRELOADED)) {
    const fault = `the preload list of browsers takes no host without includeSubDomains and a max-age of ${LEAST_PRELOADED} or more`
    annotations.refuse(
      'hsts',
      fault,
      `write "max-age=${LEAST_PRELOADED}; includeSubDomains; preload", or leave preload out`,
    )
  }
  return text
    .split(';')
    .map((part) => part.trim())
    .join('; ')
}

function printPreset(preset: 'true' | 'strict'): string {
  return PRESETS[preset].map(([name, value]) => `\`${name}: ${value}\``).join(', ')
}
