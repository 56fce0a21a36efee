/** Changes the URL that an endpoint is asked for: the host, and the path as a whole, by its prefix, or by a regular expression. HOT */
import { GatewayError } from '../base/errors.ts'
import { parseAuthority } from '../base/hostname.ts'
import { normalizePath } from '../base/path.ts'
import { compilePattern, findPatternFault } from '../base/pattern.ts'
import { type AnnotationForm, AUTHORITY, PATH } from './annotation-form.ts'
import { replacePrefix } from './path-prefix.ts'
import { type AnnotationReader, defineFilter, type Filter, type FilterRequest } from './spec.ts'

type PathChange =
  | Readonly<{ type: 'whole' | 'prefix'; value: string }>
  | Readonly<{ type: 'regex'; pattern: string; replacement: string }>

type Options = Readonly<{ host: string | undefined; path: PathChange | undefined }>

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

function createRewrite(change: PathChange): Filter {
  if (change.type !== 'regex') {
    const { type, value } = change
    return {
      upstreamRequest(draft, request) {
        draft.target = (type === 'whole' ? value : replacePrefix(request, value)) + request.query
      },
    }
  }
  const pattern = compilePattern(change.pattern)
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
    const fault = findFault(pattern, replacement)
    if (fault !== undefined) annotations.refuse('rewrite-regex', fault, PATTERN.help)
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

function findFault(pattern: string, replacement: string): string | undefined {
  const fault = findPatternFault(pattern)
  if (fault !== undefined) return fault
  const compiled = compilePattern(pattern)
  const groups = compiled.groupCount()
  for (const [written, number, name] of replacement.matchAll(/\$(?:\$|(\d)|<([^>]*)>)/g)) {
    if (number !== undefined && Number(number) > groups)
      return `it has ${groups} groups, and the replacement names ${written}`
    if (name !== undefined && !Object.hasOwn(compiled.namedGroups(), name)) {
      return `it has no group "${name}", and the replacement names ${written}`
    }
  }
  return undefined
}

function printPath(path: PathChange | undefined): readonly string[] {
  if (path === undefined) return []
  if (path.type === 'regex') return [`path ${path.pattern} → ${path.replacement}`]
  return [path.type === 'whole' ? `path ${path.value}` : `prefix ${path.value}`]
}
