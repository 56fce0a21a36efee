/**
 * Snippets: directives of nginx that are frequent and safe come to options of Portico's own, and to answers under conditions. Nothing is
 * executed; what is not read here is told by its line.
 */
import { normalizeRulePath } from '../../../base/path.ts'
import { findNameFault, isClientField, parseFields } from '../../../filters/field-lines.ts'
import { findEquivalent, findTemplateFault } from '../../../filters/field-template.ts'
import type { FilterConfig } from '../../../model/filter.ts'
import { type ConditionalAnswer, MOST_ANSWER_CONDITIONS } from '../conditional-answer.ts'
import { makeFilter } from '../made-filter.ts'
import { type NginxAnnotation, type NginxFeature, type NginxReader, printSize, SIZE } from './feature.ts'
import { findConditionVariable, readCondition } from './snippet-condition.ts'
import { mayGuard } from './snippet-risk.ts'
import { type Directive, MOST_CHARACTERS, parseSnippet } from './snippet-text.ts'

type Scope = 'location' | 'server'

/** Paths that have an answer of their own, of one snippet. */
const MOST_PATHS = 20
/** What is said of the lines of one snippet. */
const MOST_NOTES = 20

const SNIPPET: Omit<NginxAnnotation, 'options' | 'differs'> = {
  form: {
    pattern: new RegExp(`^[^]{1,${MOST_CHARACTERS}}$`),
    fault: `is longer than ${MOST_CHARACTERS} characters`,
    help: 'write filters (docs/filters.md)',
    isSecret: true,
  },
  onFault: 'closed',
}

export const CONFIGURATION_SNIPPET: NginxFeature = {
  scope: 'location',
  annotations: {
    'configuration-snippet': {
      ...SNIPPET,
      options: ['those of [its directives](#snippets), such as `response-headers-set`'],
      differs: 'a snippet with another directive that may guard closes the routes',
    },
  },
  write: (nginx) => new SnippetReader(nginx, 'configuration-snippet', 'location').read(),
}

export const SERVER_SNIPPET: NginxFeature = {
  scope: 'host',
  annotations: {
    'server-snippet': {
      ...SNIPPET,
      options: ['those of [its directives](#snippets), such as `response-headers-set`'],
      differs:
        '`return` and `if` act on the host, other directives on the paths of the Ingress alone; a snippet with another directive that may guard closes the host',
    },
  },
  write: (nginx) => new SnippetReader(nginx, 'server-snippet', 'server').read(),
}

/** Why a directive is not done; undefined: it is done. */
type Refusal = string | undefined

const FORM = 'it is not read in this form'
const VARIABLE = 'it has a variable that is not there'
const OF_LOCATIONS = 'it does nothing here, in ingress-nginx either: all paths have their own'
const SAID = 'an annotation, or a line before, says it already'

/** What nginx calls the host and the scheme besides. */
const FURTHER_VARIABLES: Readonly<Record<string, string>> = {
  best_http_host: 'request.authority',
  pass_access_scheme: 'request.scheme',
  server_name: 'request.host',
}

/** Fields of requests that say here what they are to say, by lower-case names and values of nginx. */
const USUAL_FIELDS: Readonly<Record<string, RegExp>> = {
  host: /^\$(?:host|http_host|best_http_host)$/,
  connection: /^(?:upgrade|keep-alive|close|\$connection_upgrade|\$http_connection)?$/i,
  upgrade: /^\$http_upgrade$/,
  'x-request-id': /^\$(?:req_id|request_id)$/,
  'x-forwarded-for': /^\$(?:proxy_add_x_forwarded_for|remote_addr|the_real_ip|full_x_forwarded_for)$/,
  'x-real-ip': /^\$(?:remote_addr|the_real_ip)$/,
  'x-forwarded-proto': /^\$(?:scheme|pass_access_scheme)$/,
  'x-forwarded-host': /^\$(?:host|http_host|best_http_host)$/,
}

/** Directives that change nothing that a client or an endpoint would notice here, in these forms. */
const IDLE: Readonly<Record<string, RegExp>> = {
  break: /^$/,
  proxy_http_version: /^1\.1$/,
  proxy_pass_header: /^/,
  proxy_pass_request_headers: /^on$/,
  rewrite_log: /^/,
}

const REDIRECTING = ['redirect-url', 'redirect-host', 'app-root']
const REDIRECT_CODES: ReadonlySet<string> = new Set(['301', '302', '303', '307', '308'])
/** nginx closes the connection without an answer. */
const SILENT = '444'
/** Expressions that describe every path, and have it as their first group, with or without its slash. */
const EVERY_PATH = /^(?:\^|\^?\.\*\$?|\^?\(\.\*\)\$?|\^?\/\.\*\$?|\^\/\(\.\*\)\$?)$/
const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  '': 1000,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
/** Milliseconds: the longest time that settings take. */
const LONGEST = 2_147_483_000
const EVERYBODY = '0.0.0.0/0, ::/0'

class SnippetReader {
  readonly #nginx: NginxReader
  readonly #name: string
  readonly #scope: Scope
  readonly #answers: ConditionalAnswer[] = []
  #notes = 0
  #isGuarding = false
  #mediaType: string | undefined
  /** Addresses of `allow` and `deny`, in their order. */
  readonly #addresses: Directive[] = []
  /** Nothing that follows is reached. */
  #isOver = false

  constructor(nginx: NginxReader, name: string, scope: Scope) {
    this.#nginx = nginx
    this.#name = name
    this.#scope = scope
  }

  read(): void {
    const text = this.#nginx.text(this.#name)
    if (text === undefined) return
    const directives = parseSnippet(text)
    if ('message' in directives) {
      this.#note(directives.line, `this is no text of nginx: ${directives.message}`)
      this.#isGuarding = true
    } else {
      for (const directive of directives) {
        const why = this.#take(directive)
        if (why !== undefined) this.#refuse(directive, why)
      }
      this.#takeAddresses()
    }
    if (this.#isGuarding) this.#nginx.leave(this.#name)
    if (this.#answers.length === 0) return
    if (this.#scope === 'server') this.#nginx.hosts.hostAnswers = this.#answers
    else this.#nginx.hosts.answers = this.#answers
  }

  #take(directive: Directive): Refusal {
    const { name, words, block } = directive
    if (hasControls(directive)) return 'it has control characters'
    if (name === 'if') return this.#takeIf(directive)
    if (name === 'location' && this.#scope === 'server') return this.#takeLocation(directive)
    if (block !== undefined) return 'blocks of this kind are not read'
    if (IDLE[name]?.test(words.join(' '))) return undefined
    const [first = '', second = ''] = words
    switch (name) {
      case 'more_set_headers':
        return this.#takeLines('response', words)
      case 'more_set_input_headers':
        return this.#takeLines('request', words)
      case 'more_clear_headers':
        return this.#takeNames('response', words.map(cutValue))
      case 'more_clear_input_headers':
        return this.#takeNames('request', words.map(cutValue))
      case 'proxy_hide_header':
        return words.length === 1 ? this.#takeNames('response', words) : FORM
      case 'add_header':
        if (words.length !== 2 && (words.length !== 3 || words[2] !== 'always')) return FORM
        return second === '' ? undefined : this.#takeField('response-headers-add', first, second)
      case 'proxy_set_header':
        if (words.length !== 2) return FORM
        return this.#scope === 'server' ? OF_LOCATIONS : this.#takeRequestField(first, second)
      case 'proxy_connect_timeout':
      case 'proxy_read_timeout':
        return this.#takeTime(name, words)
      case 'proxy_send_timeout':
        return '`timeouts.writeStall` of the settings says it for all routes'
      case 'client_max_body_size':
        if (this.#scope === 'server') return OF_LOCATIONS
        if (words.length !== 1 || !SIZE.pattern.test(first)) return FORM
        return this.#say('body-limit', Number.parseInt(first, 10) > 0 ? printSize(first) : 'unlimited')
      case 'proxy_buffering':
        return this.#takeSwitch('response-buffering', words, 'all', 'short')
      case 'proxy_request_buffering':
        return this.#takeSwitch('request-buffering', words, 'all', 'none')
      case 'proxy_ssl_verify':
        return 'the Service says it, with portico.dev/verify-tls: "false"'
      case 'gzip':
        if (words.length !== 1 || !/^(?:on|off)$/.test(first)) return FORM
        return this.#say('compress', first === 'on' ? 'gzip' : 'false')
      case 'access_log':
        return first === 'off' && words.length === 1 ? this.#say('access-log', 'false') : FORM
      case 'default_type':
        this.#mediaType = words.length === 1 ? first : undefined
        return undefined
      case 'return':
        return this.#takeReturn(directive)
      case 'rewrite':
        return this.#takeRewrite(directive)
      case 'allow':
      case 'deny':
        if (this.#scope === 'server' || words.length !== 1 || !/^(?:all|[\da-fA-F.:/]+)$/.test(first)) return FORM
        this.#addresses.push(directive)
        return undefined
      default:
        return 'it is not read'
    }
  }

  /** `Name: value` in each word; without a value the field is removed. */
  #takeLines(side: 'request' | 'response', words: readonly string[]): Refusal {
    if (words.length === 0 || words.some((word) => word.startsWith('-'))) return FORM
    const fields = words.map((word) => word.trim().match(/^([^:\s]+) *(?::(.*))?$/))
    if (fields.includes(null)) return FORM
    const whys = (fields as RegExpExecArray[]).map(([, name = '', value = '']) =>
      this.#changeField(side, name, value.trim()),
    )
    return whys.find((why) => why !== undefined)
  }

  #takeRequestField(name: string, value: string): Refusal {
    const usual = USUAL_FIELDS[name.toLowerCase()]
    if (usual?.test(value)) return undefined
    if (name.toLowerCase() === 'host') {
      if (!/^[\w.-]+(?::\d{1,5})?$/.test(value)) return value.includes('$') ? VARIABLE : FORM
      return this.#say('rewrite-host', value)
    }
    return this.#changeField('request', name, value)
  }

  #changeField(side: 'request' | 'response', name: string, value: string): Refusal {
    return value === '' ? this.#takeNames(side, [name]) : this.#takeField(`${side}-headers-set`, name, value)
  }

  #takeField(option: string, name: string, value: string): Refusal {
    if (findNameFault(name) !== undefined) return 'the field is not one that can be changed'
    const translated = translate(value)
    const why =
      translated === undefined
        ? VARIABLE
        : typeof parseFields(`${name}: ${translated}`, findTemplateFault) === 'string'
          ? 'no field has such a value'
          : undefined
    if (why === undefined) this.#nginx.append(option, `${name}: ${translated}`, this.#name)
    // Endpoints believe what the field says: what the client has written there does not reach them, as in nginx.
    else if (option === 'request-headers-set' && !isClientField(name)) {
      this.#nginx.append('request-headers-remove', name, this.#name)
      return `${why}; requests go on without the field`
    }
    return why
  }

  /** nginx has `*` for the rest of a name. */
  #takeNames(side: 'request' | 'response', words: readonly string[]): Refusal {
    const names = words.flatMap((word) => word.split(/[\s,]+/)).filter((name) => name !== '')
    if (names.length === 0 || words.some((word) => word.startsWith('-'))) return FORM
    if (names.some((name) => name.includes('*') || findNameFault(name) !== undefined))
      return 'a name is not one of a field that can be removed'
    for (const name of names) this.#nginx.append(`${side}-headers-remove`, name, this.#name)
    return undefined
  }

  #takeTime(name: string, words: readonly string[]): Refusal {
    if (this.#scope === 'server') return OF_LOCATIONS
    const [, count = '', unit = ''] = (words.length === 1 && /^(\d{1,9})(ms|s|m|h|d)?$/.exec(words[0]!)) || []
    const time = Math.min(Number(count) * MILLISECONDS[unit]!, LONGEST)
    if (time === 0) return FORM
    const options =
      name === 'proxy_connect_timeout'
        ? ['timeouts-connect']
        : ['timeouts-response-headers', 'timeouts-response-idle', 'timeouts-tunnel-idle']
    return options.map((option) => this.#say(option, `${time}ms`)).find((why) => why !== undefined)
  }

  #takeSwitch(option: string, words: readonly string[], on: string, off: string): Refusal {
    if (this.#scope === 'server') return OF_LOCATIONS
    return words.length === 1 && /^(?:on|off)$/.test(words[0]!) ? this.#say(option, words[0] === 'on' ? on : off) : FORM
  }

  #takeReturn({ words }: Directive): Refusal {
    if (this.#isOver) return undefined
    const texts = readReturn(words, this.#mediaType)
    const filter = texts && makeAnswer(texts)
    if (filter === undefined) return FORM
    this.#isOver = true
    if (this.#scope === 'server') {
      this.#answers.push(Object.freeze({ condition: undefined, isNegated: false, filter }))
      return undefined
    }
    return this.#sayAll(texts!)
  }

  #takeRewrite({ words }: Directive): Refusal {
    if (this.#isOver) return undefined
    const [pattern = '', target = '', flag] = words
    if (words.length < 2 || words.length > 3) return FORM
    const isRedirect = flag === 'permanent' || flag === 'redirect' || /^(?:https?:\/\/|\$scheme)/.test(target)
    const code = flag === 'permanent' ? '301' : '302'
    if (isRedirect) {
      const path = readPath(pattern)
      if (path !== undefined) return this.#answerPath(path, readPathRedirect(path, target, code))
      const texts = readRedirect(pattern, target, code)
      const filter = texts && makeAnswer(texts)
      if (filter === undefined) return FORM
      this.#isOver = !('app-root' in texts!)
      if (this.#scope === 'location') return this.#sayAll(texts!)
      this.#answers.push(Object.freeze({ condition: undefined, isNegated: false, filter }))
      return undefined
    }
    if (this.#scope === 'server') return FORM
    if (flag !== undefined && flag !== 'break' && flag !== 'last') return FORM
    if (this.#nginx.has('rewrite-target') || this.#nginx.has('rewrite-regex')) return SAID
    const texts = { 'rewrite-regex': widen(pattern), 'rewrite-replacement': target }
    if (!/^\/[^?${}]*(?:\$[1-9][^?${}]*)*$/.test(target) || makeFilter('url-rewrite', texts) === undefined) return FORM
    return this.#sayAll(texts)
  }

  #takeIf({ words, block = [] }: Directive): Refusal {
    if (this.#isOver) return undefined
    const condition = readCondition(words)
    if (condition === undefined) return 'its condition is not read'
    const texts = readAnswer(block, this.#mediaType)
    if (texts === undefined) return 'what it does is not read: one return, or one rewrite of every path to a URL'
    if (condition.type === 'plain') {
      if (!HTTPS.test(texts['redirect-url'] ?? '')) return 'it is not the redirect to HTTPS'
      if (findConditionVariable(words) === 'http_x_forwarded_proto') {
        this.#nginx.warn(
          this.#name,
          'a proxy that says X-Forwarded-Proto is believed only where trustedProxies of the settings names it',
          'name it there; without it all its requests count as plain HTTP, and are redirected again and again',
        )
      }
      // The annotation ssl-redirect: "false" does not keep nginx from it.
      this.#nginx.set('https-redirect', 'true', this.#name)
      return undefined
    }
    const filter = makeAnswer(texts)
    if (filter === undefined) return 'what it answers is not read'
    if (condition.type === 'host') return this.#takeHosts(condition.holds, filter)
    const kinds = new Set(
      [...this.#answers, condition].flatMap((one) => (one.condition ? [JSON.stringify(one.condition)] : [])),
    )
    if (kinds.size > MOST_ANSWER_CONDITIONS) return `more than ${MOST_ANSWER_CONDITIONS} conditions are not read`
    const { condition: asked, isNegated } = condition
    this.#answers.push(Object.freeze({ condition: asked, isNegated, filter }))
    return undefined
  }

  /** `location = PATH` with one answer. */
  #takeLocation({ words, block = [] }: Directive): Refusal {
    const [sign, path = ''] = words
    if (words.length !== 2 || sign !== '=')
      return 'a location other than of one path, as in "location = /a", is not read'
    const isDenied = block.length > 0 && block.every(({ name, words }) => name === 'deny' && words.join() === 'all')
    return this.#answerPath(path, isDenied ? { 'respond-status': '403' } : readAnswer(block, this.#mediaType))
  }

  #answerPath(path: string, texts: Readonly<Record<string, string>> | undefined): Refusal {
    if (this.#isOver) return undefined
    const filter = texts && makeAnswer(texts)
    if (filter === undefined || normalizeRulePath(path) !== path) return FORM
    if (new Set([...this.#answers.map((one) => one.path), path]).size > MOST_PATHS) {
      return `more than ${MOST_PATHS} paths are not read`
    }
    this.#answers.push(Object.freeze({ condition: undefined, isNegated: false, path, filter }))
    return undefined
  }

  /** Further names of a host have its routes, and no answers of their own. */
  #takeHosts(holds: (host: string) => boolean, filter: FilterConfig): Refusal {
    const { ruleHosts } = this.#nginx
    const hasAliases = this.#nginx.isWritten('server-alias') || this.#nginx.hasOwn('host-aliases')
    if (hasAliases || ruleHosts.some((host) => host === '' || host.startsWith('*'))) {
      return 'a host is compared only where all hosts of the Ingress are written out, without further names'
    }
    const hosts = Object.freeze(ruleHosts.filter(holds))
    this.#answers.push(Object.freeze({ condition: undefined, isNegated: false, hosts, filter }))
    return undefined
  }

  /**
   * The first that names a client decides. Here what is denied is denied before what is allowed is looked at (IP4), so that each `deny`
   * must stand before each `allow`, unless `deny all` follows anyway.
   */
  #takeAddresses(): void {
    const [first] = this.#addresses
    if (first === undefined) return
    const addressOf = ({ words }: Directive): string => words[0]!
    const all = this.#addresses.findIndex((one) => addressOf(one) === 'all')
    const isClosed = this.#addresses[all]?.name === 'deny'
    const listed = all < 0 ? this.#addresses : this.#addresses.slice(0, all)
    const lastAllow = listed.findLastIndex(({ name }) => name === 'allow')
    const counted = isClosed ? listed.slice(0, lastAllow + 1) : listed
    const denied = counted.filter(({ name }) => name === 'deny').map(addressOf)
    const allowed = counted.filter(({ name }) => name === 'allow').map(addressOf)
    const isOrdered = counted.slice(denied.length).every(({ name }) => name === 'allow')
    const lists = {
      ...(isClosed && allowed.length > 0 && { 'allow-source-range': allowed.join(', ') }),
      ...(denied.length > 0 && { 'deny-source-range': denied.join(', ') }),
      ...(isClosed && allowed.length === 0 && { 'deny-source-range': EVERYBODY }),
    }
    const isUsable = isOrdered && (Object.keys(lists).length === 0 || makeFilter('source-range', lists) !== undefined)
    const isDenied = this.#nginx.has('deny-source-range') || this.#nginx.hasOwn('deny-source-range')
    if (!isUsable) this.#refuse(first, 'these addresses are not read in this order')
    else if ('deny-source-range' in lists && isDenied) this.#refuse(first, SAID)
    // In nginx too a list of an annotation goes before that of the snippet.
    else if (this.#sayAll(lists) !== undefined) this.#note(first.line, `"${first.name}" is not done: ${SAID}`)
  }

  /** An annotation goes before a snippet, and all options of a redirect belong together. */
  #sayAll(texts: Readonly<Record<string, string>>): Refusal {
    const names = Object.keys(texts)
    const others = 'redirect-code' in texts ? REDIRECTING : names
    if (others.some((name) => this.#nginx.has(name))) return SAID
    for (const name of names) this.#nginx.set(name, texts[name]!, this.#name)
    return undefined
  }

  #say(option: string, value: string): Refusal {
    return this.#sayAll({ [option]: value })
  }

  #refuse(directive: Directive, why: string): void {
    const guards = mayGuard(directive)
    this.#isGuarding ||= guards
    const name = /^[\w.-]{1,60}$/.test(directive.name) ? `"${directive.name}"` : 'this directive'
    this.#note(directive.line, `${name} is not done${guards ? ', and may guard' : ''}: ${why}`)
  }

  #note(line: number, message: string): void {
    if (++this.#notes > MOST_NOTES) return
    this.#nginx.warn(
      this.#name,
      message,
      'docs/ingress-nginx.md lists what is read of snippets; docs/filters.md has options for the rest',
      line,
    )
  }
}

/** Of a field that is removed nginx takes the name alone. */
function cutValue(word: string): string {
  return word.replace(/:.*$/s, '')
}

/** The text of an answer may have lines. */
function hasControls({ name, words }: Directive): boolean {
  const controls = name === 'return' ? /[\x00-\x08\x0b-\x1f\x7f]/ : /[\x00-\x1f\x7f]/
  return words.some((word) => controls.test(word))
}

const HTTPS = /^https:\/\/\$\{request\.(?:host|authority)\}(?::443)?\$\{request\.target\}$/

/** With Portico's variables in the place of nginx's; undefined: one of them is not there. */
function translate(text: string): string | undefined {
  const translated = text.replace(/\$(?:\{(\w+)\}|(\w+))/g, (written, braced, plain) => {
    const name: string = (braced ?? plain).toLowerCase()
    const own = /^[1-9]$/.test(name) ? `match.${name}` : (FURTHER_VARIABLES[name] ?? findEquivalent(name))
    return own === undefined ? written : `\u0000{${own}}`
  })
  return translated.includes('$') ? undefined : translated.replaceAll('\u0000', '$')
}

/** The filter of the options of redirect or respond; undefined: they cannot be used. */
function makeAnswer(texts: Readonly<Record<string, string>>): FilterConfig | undefined {
  return makeFilter('respond-status' in texts ? 'respond' : 'redirect', texts)
}

/** What a block with nothing but one answer answers, in options; undefined: it has something else. */
function readAnswer(
  block: readonly Directive[],
  mediaType: string | undefined,
): Readonly<Record<string, string>> | undefined {
  const types = block.filter(({ name }) => name === 'default_type')
  const [answer, ...others] = block.filter(({ name }) => name !== 'default_type' && name !== 'break')
  if (answer === undefined || others.length > 0 || answer.block !== undefined) return undefined
  const { name, words } = answer
  if (hasControls(answer)) return undefined
  if (name === 'return') {
    // What a group stands for is found by the expression of the condition.
    return words.some((word) => /\$\{?\d/.test(word)) ? undefined : readReturn(words, types[0]?.words[0] ?? mediaType)
  }
  const [pattern = '', target = '', flag] = words
  if (name !== 'rewrite' || words.length !== 3 || !/^(?:permanent|redirect)$/.test(flag!)) return undefined
  const texts = readRedirect(pattern, target, flag === 'permanent' ? '301' : '302')
  return texts && 'app-root' in texts ? undefined : texts
}

/** `return CODE`, `return CODE TEXT`, `return CODE URL` or `return URL`, in options. */
function readReturn(
  words: readonly string[],
  mediaType: string = 'text/html',
): Readonly<Record<string, string>> | undefined {
  const [first = '', text] = words
  if (words.length > 2 || (words.length === 2 && !/^\d{3}$/.test(first))) return undefined
  if (/^\d{3}$/.test(first) && !REDIRECT_CODES.has(first)) {
    const status = first === SILENT ? '403' : first
    if (text === undefined || text === '' || status === '204') return { 'respond-status': status }
    if (text.includes('$')) return undefined
    return { 'respond-status': status, 'respond-body': text, 'respond-content-type': mediaType }
  }
  const [, asked] =
    /^([^$]*|\$scheme:\/\/\$(?:host|http_host|best_http_host)\/[^$]*)\$is_args\$(?:args|query_string)$/.exec(
      text ?? '',
    ) ?? []
  if (asked !== undefined) return readPathRedirect('', asked, first)
  const url = translate(words.length === 1 && !REDIRECT_CODES.has(first) ? first : (text ?? ''))
  return url === undefined || url === ''
    ? undefined
    : { 'redirect-url': url, 'redirect-code': words.length === 1 ? '302' : first }
}

/** A rewrite that redirects all paths, or `/` alone, in options. nginx adds the query unless the target ends with `?`. */
function readRedirect(pattern: string, target: string, code: string): Readonly<Record<string, string>> | undefined {
  if (/^\^\/\$$/.test(pattern) && /^\/[^?$]*$/.test(target)) return { 'app-root': target, 'redirect-code': code }
  if (!EVERY_PATH.test(pattern)) return undefined
  const group = pattern.includes('/(') ? '/$1' : '$1'
  const whole = /\$request_uri\??$/.test(target) ? target.replace(/\?$/, '') : undefined
  const withPath =
    pattern.includes('(') && target.endsWith(group) ? `${target.slice(0, -group.length)}$request_uri` : undefined
  const url = translate(whole ?? withPath ?? '')
  if (url !== undefined && url !== '')
    return /\$\{match/.test(url) ? undefined : { 'redirect-url': url, 'redirect-code': code }
  if (target.endsWith('?') && !target.includes('$'))
    return { 'redirect-url': target.slice(0, -1), 'redirect-code': code }
  const [, scheme, host, path] = /^(?:(https?):\/\/([\w.-]+))?(\/[^?$]*)$/.exec(target) ?? []
  if (path === undefined || scheme === undefined || host === undefined) return undefined
  return { 'redirect-scheme': scheme, 'redirect-host': host, 'redirect-path': path, 'redirect-code': code }
}

/** The one path that an expression describes, as `^/app$` and `^(/app)$` do; undefined: it describes others. */
function readPath(pattern: string): string | undefined {
  const [, plain, grouped] = /^\^(?:((?:\/(?:[\w~-]|\\?\.)+)+)|\(((?:\/(?:[\w~-]|\\?\.)+)+)\))\$$/.exec(pattern) ?? []
  return (plain ?? grouped)?.replaceAll('\\', '')
}

/** Where requests to `path` are sent, in options. nginx adds the query unless the target ends with `?`. */
function readPathRedirect(path: string, target: string, code: string): Readonly<Record<string, string>> | undefined {
  const whole = target.replace(/^\$scheme:\/\/\$(?:host|http_host|best_http_host)(?=\/)/, '').replace('$1', path)
  const [, scheme, host, to] = /^(?:(https?):\/\/([\w.-]+))?(\/[^?$]*)$/.exec(whole) ?? []
  if (to === undefined) return undefined
  return {
    ...(scheme && host && { 'redirect-scheme': scheme, 'redirect-host': host }),
    'redirect-path': to,
    'redirect-code': code,
  }
}

/** nginx replaces the whole path where an expression finds something in it. */
function widen(pattern: string): string {
  const isWhole = /^\^[^|]*\$$/.test(pattern) && !pattern.endsWith('\\$')
  return isWhole ? pattern : `^.*?(?:${pattern}).*$`
}
