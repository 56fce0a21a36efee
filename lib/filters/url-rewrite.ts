/** Changes the URL that an endpoint is asked for: the host, and the path as a whole, by its prefix, or by regular expressions. HOT */
import { GatewayError } from '../base/errors.ts'
import { parseAuthority } from '../base/hostname.ts'
import { isNormalPath } from '../base/path.ts'
import { CASELESS, compileBeginning, compilePattern, findPatternFault } from '../base/pattern.ts'
import { type AnnotationForm, AUTHORITY, matching, PATH } from './annotation-form.ts'
import { replacePrefix } from './path-prefix.ts'
import { type AnnotationReader, defineFilter, type Filter, type FilterRequest } from './spec.ts'

type PathChange =
  /** `isTarget`: requests of a route whose path is the same text keep their path. */
  | Readonly<{ type: 'whole'; value: string; isTarget?: true }>
  | Readonly<{ type: 'prefix'; value: string }>
  | Readonly<{ type: 'regex'; pattern: string; replacement: string }>
  /** `$1` is the first group of the expression that the route has as its path. */
  | Readonly<{ type: 'groups'; value: string }>

type Options = Readonly<{
  host: string | undefined
  path: PathChange | undefined
  keepsQuery: boolean
}>

const PATTERN: AnnotationForm = {
  pattern: /^(?!\s)[^\x00-\x1f\x7f]{1,1000}$/,
  describeFault: (text) => findPatternFault(text) ?? 'it is empty',
  help: 'write an expression of RE2, as in "^/api/(.*)$"',
}
/** Groups are `$1` and `$<name>`, and `$$` is `$`: of what other languages write for groups, nothing would take the place. */
const REPLACEMENT: AnnotationForm = {
  pattern: /^(?:\$\$|\$(?![${0])|[^$\x00-\x1f\x7f]){0,1000}$/,
  describeFault: (text) => {
    if (text.length > 1_000) return 'it is longer than 1000 characters'
    if (/[\x00-\x1f\x7f]/.test(text)) return 'it has control characters, and no path has'
    return `"${/\$0|\$\{[^}]*\}?/.exec(text)?.[0] ?? text}" names no group`
  },
  help: 'write a path with $1 for the first group, $<name> for one with a name and $& for all that is found, as in "/v1/$1"',
}
/** A whole path with groups, which may begin with one. */
const TARGET = matching(
  /^(?:\/|\$[1-9])(?:[\w\-.~!&'()*+,;=:@%/]|\$[1-9]){0,1000}\??$/,
  'is no path',
  'write a path with $1 for the first group of the path of the rule, as in "/$2"; other characters are percent-encoded',
)

export const URL_REWRITE = defineFilter<Options>({
  name: 'url-rewrite',
  order: 410,
  isGuard: false,
  annotations: {
    'rewrite-host': { about: 'the host, or host:port, that endpoints are asked for', form: AUTHORITY },
    'rewrite-path': { about: 'the whole path', form: PATH },
    'rewrite-prefix': {
      about: 'takes the place of the part of the path that the route matches; `/` strips that part',
      form: PATH,
    },
    'rewrite-regex': { about: 'a regular expression (RE2) that is looked for in the path', form: PATTERN },
    'rewrite-replacement': {
      about: 'takes the place of what rewrite-regex finds; $1 is its first group',
      form: REPLACEMENT,
    },
    'rewrite-target': {
      about:
        'the whole path, with `$1` to `$9` for the groups of the regular expression that the path of the rule is, as in `/$2` beside the path `/api(/|$)(.*)`. A group that stands for nothing is empty. A path of a rule that is the same text stays as it is. With `?` at its end the query is left out',
      form: TARGET,
    },
  },
  read(annotations) {
    const host = annotations.text('rewrite-host')
    if (host !== undefined && !parseAuthority(host)) {
      annotations.refuse('rewrite-host', `"${host}" is no host`, 'write a host, or host:port')
    }
    const path = readChange(annotations)
    const keepsQuery = annotations.text('rewrite-target')?.endsWith('?') !== true
    return host === undefined && path === undefined ? undefined : { host, path, keepsQuery }
  },
  checkRoute({ path }, { match }) {
    if (path?.type !== 'groups') return undefined
    const groups = match.type === 'regex' ? compileBeginning(match).groups : 0
    const missing = path.value.match(/\$\d/g)?.find((written) => Number(written[1]) > groups)
    if (missing === undefined) return undefined
    const help =
      match.type === 'regex'
        ? 'put parentheses around what it is to stand for, as in "/api(/|$)(.*)"'
        : 'add portico.dev/path-type: regex, and pathType: ImplementationSpecific'
    const message = `${missing} names no group of the path ${match.path}, so nothing stands in its place`
    return { annotation: 'rewrite-target', message, help }
  },
  print: ({ host, path, keepsQuery }) =>
    [
      ...(host === undefined ? [] : [`host ${host}`]),
      ...printPath(path),
      ...(keepsQuery ? [] : ['without the query']),
    ].join(', '),
  create({ host, path, keepsQuery }) {
    const rewrite = path && createRewrite(path, keepsQuery)
    return {
      ...rewrite,
      upstreamRequest(draft, request) {
        if (host !== undefined) draft.authority = host
        rewrite?.upstreamRequest?.(draft, request)
      },
    }
  },
})

function createRewrite(change: PathChange, keepsQuery: boolean): Filter {
  if (change.type === 'whole') {
    const { value, isTarget } = change
    const same = isTarget ? [value, CASELESS + value] : []
    return {
      upstreamRequest(draft, { query, match }) {
        if (!same.includes(match.path)) draft.target = keepsQuery ? value + query : value
      },
    }
  }
  const rewrite = createPathRewrite(change)
  /** What the request that was asked about last came to: mostly it is the next one to be sent. */
  let last: FilterRequest | undefined
  let rewritten: string | undefined
  return {
    /** A path that a rewriting makes must be one already: dot segments in it would lead out of where it is to lead. */
    request(request) {
      // What follows a prefix are whole elements of a path.
      if (change.type === 'prefix' && request.match.type !== 'regex') return undefined
      const path = rewrite(request)
      if (path !== undefined && !isNormalPath(path)) {
        return new GatewayError('PORTICO_REQ_BAD_PATH', 'what the rewriting of the path came to is no path')
      }
      last = request
      rewritten = path
      return undefined
    },
    upstreamRequest(draft, request) {
      const path = request === last ? rewritten : rewrite(request)
      last = undefined
      if (path !== undefined) draft.target = keepsQuery ? path + request.query : path
    },
  }
}

/** What makes the new path of a request; of undefined it stays as it is. */
function createPathRewrite(
  change: Exclude<PathChange, { type: 'whole' }>,
): (request: FilterRequest) => string | undefined {
  if (change.type === 'prefix') return (request) => replacePrefix(request, change.value)
  if (change.type === 'groups') return createTarget(change.value)
  const pattern = compilePattern(change.pattern)
  return ({ matchPath }) => {
    // To ask first whether there is something to replace would search twice.
    const path = pattern.matcher(matchPath).replaceFirst(change.replacement)
    return path === matchPath ? undefined : path
  }
}

/** What makes the path of the groups that the route's expression finds; a route without an expression has none. */
function createTarget(value: string): (request: FilterRequest) => string {
  // Texts and numbers of groups in turn.
  const parts = value.split(/\$(\d)/)
  return ({ match, matchPath }) => {
    const groups = match.type === 'regex' ? compileBeginning(match).findGroups(matchPath) : []
    let path = parts[0]!
    for (let at = 1; at < parts.length; at += 2) path += (groups[Number(parts[at]) - 1] ?? '') + parts[at + 1]
    return path
  }
}

function readChange(annotations: AnnotationReader): PathChange | undefined {
  const whole = annotations.text('rewrite-path')
  const prefix = annotations.text('rewrite-prefix')
  const pattern = annotations.text('rewrite-regex')
  const replacement = annotations.text('rewrite-replacement')
  const target = annotations.text('rewrite-target')?.replace('?', '')
  const changes: PathChange[] = []
  if (whole !== undefined) changes.push({ type: 'whole', value: whole })
  if (prefix !== undefined) changes.push({ type: 'prefix', value: prefix })
  if (pattern !== undefined && replacement !== undefined) {
    const fault = findPatternFault(pattern)
    if (fault !== undefined) annotations.refuse('rewrite-regex', fault, PATTERN.help)
    else checkGroups(annotations, pattern, replacement)
    changes.push({ type: 'regex', pattern, replacement })
  } else if (pattern !== undefined) {
    annotations.refuse('rewrite-regex', 'rewrite-replacement is missing', 'say what takes the place of the part found')
  } else if (replacement !== undefined) {
    annotations.refuse('rewrite-replacement', 'rewrite-regex is missing', 'say what is looked for')
  }
  if (target !== undefined) {
    const hasGroups = target.includes('$')
    if (!hasGroups && !isNormalPath(target)) {
      annotations.refuse('rewrite-target', `"${target}" is no path`, TARGET.help)
    }
    changes.push(hasGroups ? { type: 'groups', value: target } : { type: 'whole', value: target, isTarget: true })
  }
  if (changes.length > 1) {
    annotations.refuse(
      'rewrite-path',
      'the path is rewritten in several ways',
      'keep one of rewrite-path, -prefix, -regex and -target',
    )
  }
  return changes[0]
}

/** Refuses a replacement that names a group which the expression does not have. */
function checkGroups(annotations: AnnotationReader, pattern: string, replacement: string): void {
  const compiled = compilePattern(pattern)
  const groups = compiled.groupCount()
  for (const [written, number, name] of replacement.matchAll(/\$(?:\$|(\d)|<([^>]*)>)/g)) {
    const isMissing =
      number === undefined
        ? name !== undefined && !Object.hasOwn(compiled.namedGroups(), name)
        : Number(number) > groups
    if (!isMissing) continue
    const has = groups === 0 ? 'no groups' : groups === 1 ? 'one group' : `${groups} groups`
    const fault = `${written} names no group of rewrite-regex, which has ${has}`
    annotations.refuse(
      'rewrite-replacement',
      fault,
      'put parentheses around what it is to stand for, as in "^/api/(.*)$"',
    )
    return
  }
}

function printPath(path: PathChange | undefined): readonly string[] {
  if (path === undefined) return []
  if (path.type === 'regex') return [`path ${path.pattern} → ${path.replacement}`]
  return [path.type === 'prefix' ? `prefix ${path.value}` : `path ${path.value}`]
}
