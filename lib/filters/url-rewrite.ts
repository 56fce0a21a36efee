/** Changes the URL that an endpoint is asked for: the host, and the path as a whole, by its prefix, or by a regular expression. HOT */
import { RE2JS } from 're2js'
import { GatewayError } from '../base/errors.ts'
import { parseAuthority } from '../base/hostname.ts'
import { normalizePath } from '../base/path.ts'
import { type AnnotationForm, AUTHORITY, PATH } from './annotation-form.ts'
import { replacePrefix } from './path-prefix.ts'
import { type AnnotationReader, defineFilter, type Filter, type FilterRequest } from './spec.ts'

type PathChange =
  | Readonly<{ type: 'whole' | 'prefix'; value: string }>
  | Readonly<{ type: 'regex'; pattern: string; replacement: string }>

type Options = Readonly<{ host: string | undefined; path: PathChange | undefined }>

const PATTERN: AnnotationForm = {
  pattern: /^(?!\s)[^\x00-\x1f\x7f]{1,1000}$/,
  describeFault: (text) =>
    text.length > 1_000
      ? 'it is longer than 1000 characters'
      : text === ''
        ? 'it is empty'
        : 'it has control characters, and no path has',
  help: 'write an expression of RE2, as in "^/api/(.*)$"',
}
const REPLACEMENT: AnnotationForm = {
  ...PATTERN,
  pattern: /^[^\x00-\x1f\x7f]{0,1000}$/,
  help: 'write a path, as in "/v1/$1"',
}
/** Of all repetitions of an expression together: its time grows with them. */
const MAX_REPEATS = 1_000

export const URL_REWRITE = defineFilter<Options>({
  name: 'url-rewrite',
  order: 410,
  isGuard: false,
  annotations: {
    'rewrite-host': { about: 'the host, or host:port, that endpoints are asked for', form: AUTHORITY },
    'rewrite-path': { about: 'the whole path', form: PATH },
    'rewrite-prefix': { about: 'takes the place of the part of the path that the route matches', form: PATH },
    'rewrite-regex': { about: 'a regular expression (RE2) that is looked for in the path', form: PATTERN },
    'rewrite-replacement': {
      about: 'takes the place of what rewrite-regex finds; $1 is its first group',
      form: REPLACEMENT,
    },
  },
  read(annotations) {
    const host = annotations.text('rewrite-host')
    if (host !== undefined && !parseAuthority(host)) {
      annotations.refuse('rewrite-host', `"${host}" is no host`, 'write a host, or host:port')
    }
    const path = readChange(annotations)
    return host === undefined && path === undefined ? undefined : { host, path }
  },
  print: ({ host, path }) => [...(host === undefined ? [] : [`host ${host}`]), ...printPath(path)].join(', '),
  create({ host, path }) {
    const rewrite = path && createRewrite(path)
    return {
      ...rewrite,
      upstreamRequest(draft, request) {
        if (host !== undefined) draft.authority = host
        rewrite?.upstreamRequest?.(draft, request)
      },
    }
  },
})

/** Expressions of users run in linear time: V8's own engine for that needs a flag of the process, RE2 in JavaScript nothing. */
function createRewrite(change: PathChange): Filter {
  if (change.type !== 'regex') {
    const { type, value } = change
    return {
      upstreamRequest(draft, { pathname, match, query }) {
        draft.target = (type === 'whole' ? value : replacePrefix(pathname, match, value)) + query
      },
    }
  }
  const pattern = RE2JS.compile(change.pattern)
  const rewritten = new WeakMap<FilterRequest, string>()
  return {
    /** A path that a replacement makes must be one already: dot segments in it would lead out of where it is to lead. */
    request(request) {
      const matcher = pattern.matcher(request.matchPath)
      if (!matcher.find()) return undefined
      const path = matcher.reset().replaceFirst(change.replacement)
      if (normalizePath(path, 'keep')?.path !== path) {
        return new GatewayError('PORTICO_REQ_BAD_PATH', 'what the rewriting of the path came to is no path')
      }
      rewritten.set(request, path)
      return undefined
    },
    upstreamRequest(draft, request) {
      const path = rewritten.get(request)
      if (path !== undefined) draft.target = path + request.query
    },
  }
}

function readChange(annotations: AnnotationReader): PathChange | undefined {
  const whole = annotations.text('rewrite-path')
  const prefix = annotations.text('rewrite-prefix')
  const pattern = annotations.text('rewrite-regex')
  const replacement = annotations.text('rewrite-replacement')
  const changes: PathChange[] = []
  if (whole !== undefined) changes.push({ type: 'whole', value: whole })
  if (prefix !== undefined) changes.push({ type: 'prefix', value: prefix })
  if (pattern !== undefined && replacement !== undefined) {
    const fault = findPatternFault(pattern, replacement)
    if (fault !== undefined)
      annotations.refuse('rewrite-regex', fault, 'write an expression of RE2, as in "^/api/(.*)$"')
    changes.push({ type: 'regex', pattern, replacement })
  } else if (pattern !== undefined) {
    annotations.refuse('rewrite-regex', 'rewrite-replacement is missing', 'say what takes the place of the part found')
  } else if (replacement !== undefined) {
    annotations.refuse('rewrite-replacement', 'rewrite-regex is missing', 'say what is looked for')
  }
  if (changes.length > 1) {
    annotations.refuse(
      'rewrite-path',
      'the path is rewritten in several ways',
      'keep one of rewrite-path, -prefix and -regex',
    )
  }
  return changes[0]
}

function findPatternFault(pattern: string, replacement: string): string | undefined {
  let repeats = 0
  for (const [, least = 0, most] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) repeats += Number(most || least)
  if (repeats > MAX_REPEATS) return `its repetitions add up to more than ${MAX_REPEATS}`
  try {
    RE2JS.compile(pattern).matcher('/').replaceFirst(replacement)
    const groups = RE2JS.compile(pattern).groupCount()
    const highest = Math.max(0, ...[...replacement.matchAll(/\$(\d)/g)].map(([, group]) => Number(group)))
    return highest > groups ? `it has ${groups} groups, and the replacement names $${highest}` : undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function printPath(path: PathChange | undefined): readonly string[] {
  if (path === undefined) return []
  if (path.type === 'regex') return [`path ${path.pattern} → ${path.replacement}`]
  return [path.type === 'whole' ? `path ${path.value}` : `prefix ${path.value}`]
}
