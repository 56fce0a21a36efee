/** Pages of other origins (CO). */
import { FLAG, type NginxFeature, type NginxForm, NUMBER, OFF, TEXT } from './feature.ts'

const USUAL_METHODS = 'GET, PUT, POST, DELETE, PATCH, OPTIONS'
const USUAL_HEADERS =
  'DNT,Keep-Alive,User-Agent,X-Requested-With,If-Modified-Since,Cache-Control,Content-Type,Range,Authorization'
const USUAL_MAX_AGE = 1_728_000
/** Seconds; browsers rely on an answer for no longer. */
const LONGEST_MAX_AGE = 86_400

const METHODS: NginxForm = {
  pattern: /^[A-Za-z]+(?:\s*,\s*[A-Za-z]+)*,?$/,
  fault: 'names no methods',
  help: 'write methods with commas between, as in "GET, PUT"',
}
const FIELDS: NginxForm = {
  pattern: /^(?:\*|[-\w]+(?:\s*,\s*[-\w]+)*,?)$/,
  fault: 'names no fields',
  help: 'write names of fields with commas between',
}

/** CO4: scheme, host, where `*.` stands for one label, and port. */
const ORIGIN =
  /^(?:null|[a-z][a-z0-9+.-]*:\/\/(?:\*\.)?(?:[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?\.)*[a-z0-9_](?:[-a-z0-9_]*[a-z0-9_])?(?::\d{1,5})?)$/

export const CORS: NginxFeature = {
  scope: 'location',
  annotations: {
    'enable-cors': {
      form: FLAG,
      onFault: 'default',
      options: ['cors-allow-origins'],
      differs:
        'OPTIONS is answered only where it is a preflight, and then to other origins too, which it allows nothing; 204 has no Content-Type',
      alike: OFF,
    },
    'cors-allow-origin': { form: TEXT, onFault: 'default', options: ['cors-allow-origins'] },
    'cors-allow-methods': { form: METHODS, onFault: 'default', options: ['cors-allow-methods'] },
    'cors-allow-headers': { form: FIELDS, onFault: 'default', options: ['cors-allow-headers'] },
    'cors-allow-credentials': {
      form: FLAG,
      onFault: 'default',
      options: ['cors-allow-credentials'],
      differs: 'credentials are not allowed where all origins, or `null`, are: any page could act for its users',
      alike: OFF,
    },
    'cors-expose-headers': { form: FIELDS, onFault: 'default', options: ['cors-expose-headers'] },
    'cors-max-age': {
      form: NUMBER,
      onFault: 'default',
      options: ['cors-max-age'],
      differs: 'at most a day, which no browser exceeds',
      alike: /^(?:\d{1,4}|[1-7]\d{4}|86400)$/,
    },
  },
  write(nginx) {
    if (nginx.flag('enable-cors') !== true) return
    const written = (nginx.text('cors-allow-origin') ?? '*').split(',').map((each) => each.trim().toLowerCase())
    const origins = written.filter((each) => each !== '')
    const bad = origins.filter((each) => each !== '*' && !ORIGIN.test(each))
    // CO5
    const isAny = origins.includes('*')
    const good = isAny ? ['*'] : origins.filter((each) => !bad.includes(each))
    if (bad.length > 0 && !isAny) {
      const help = 'write scheme, host and port, where it has one, as in "https://app.example.com"'
      nginx.warn('cors-allow-origin', `"${bad[0]}" is no origin`, `${help}; until then it is left out`)
    }
    if (good.length === 0) return
    const source = nginx.text('cors-allow-origin') === undefined ? 'enable-cors' : 'cors-allow-origin'
    const from = (name: string): string => (nginx.text(name) === undefined ? 'enable-cors' : name)
    nginx.set('cors-allow-origins', good.join(', '), source)
    const methods = splitNames(nginx.text('cors-allow-methods') ?? USUAL_METHODS)
    nginx.set('cors-allow-methods', methods.join(', '), from('cors-allow-methods'))
    const headers = splitNames(nginx.text('cors-allow-headers') ?? USUAL_HEADERS)
    nginx.set('cors-allow-headers', headers.join(', '), from('cors-allow-headers'))
    const isOpen = good.includes('*') || good.includes('null')
    const exposed = splitNames(nginx.text('cors-expose-headers') ?? '')
    const credentials = nginx.flag('cors-allow-credentials') ?? true
    if (credentials && !isOpen) {
      nginx.set('cors-allow-credentials', 'true', from('cors-allow-credentials'))
    } else if (nginx.flag('cors-allow-credentials') === true) {
      const message = 'credentials are not allowed: with these origins any page could act for its users'
      nginx.warn('cors-allow-credentials', message, 'name the origins that may send credentials in cors-allow-origin')
    }
    // With credentials browsers take "*" for a name.
    const names = credentials && !isOpen ? exposed.filter((each) => each !== '*') : exposed
    if (names.length > 0) nginx.set('cors-expose-headers', names.join(', '), 'cors-expose-headers')
    const age = Math.min(Math.max(0, nginx.number('cors-max-age') ?? USUAL_MAX_AGE), LONGEST_MAX_AGE)
    nginx.set('cors-max-age', `${age}s`, from('cors-max-age'))
  },
}

function splitNames(text: string): readonly string[] {
  return text.split(/[\s,]+/).filter((each) => each !== '')
}
