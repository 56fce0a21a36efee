/** Changes the domains and paths of the cookies that endpoints set, where clients see other ones than endpoints do. HOT */
import { type AnnotationForm, matching } from './annotation-form.ts'
import { type AnnotationReader, defineFilter, type Filter } from './spec.ts'

/** One value of an attribute, and what takes its place. */
type Change = Readonly<{ from: string; to: string }>

type Options = Readonly<{ domains: readonly Change[]; paths: readonly Change[] }>

const MOST_CHANGES = 20
const DOMAIN = '\\.?[\\w-]+(?:\\.[\\w-]+)*'
/** What may follow a path, as in `/; Secure`, are attributes. */
const PATH = "/[\\w\\-.~!&'()*+,=:@%/]*"
const ATTRIBUTES = '(?:;[ \\t]*[A-Za-z-]+(?:=[\\w\\-.]+)?)*'

function linesOf(line: string, what: string, help: string): AnnotationForm {
  return matching(new RegExp(`^(?:\\s*${line}[ \\t]*(?:\\r?\\n|$))+$`), `is no list of ${what}`, help)
}

const DOMAINS = linesOf(
  `${DOMAIN}[ \\t]+${DOMAIN}`,
  'domains',
  'write two domains a line, the one that endpoints say and the one that clients get, as in "app.internal shop.example.com"',
)
const PATHS = linesOf(
  `${PATH}[ \\t]+${PATH}${ATTRIBUTES}`,
  'paths',
  'write two paths a line, the beginning that endpoints say and the one that clients get, as in "/ /shop/"',
)

export const COOKIES = defineFilter<Options>({
  name: 'cookies',
  order: 430,
  isGuard: false,
  annotations: {
    'cookie-domain': {
      about:
        'domains of the cookies that endpoints set, and those that clients get in their place, one pair a line, as in `app.internal shop.example.com`. A dot before a domain, and capitals, make no difference',
      form: DOMAINS,
    },
    'cookie-path': {
      about:
        'the same of paths, or of what paths begin with: with `/app/ /`, `/app/cart` becomes `/cart`. The first pair that fits counts. Attributes may follow, as in `/ /shop/; Secure; SameSite=Lax`',
      form: PATHS,
    },
  },
  read(annotations) {
    const domains = readChanges(annotations, 'cookie-domain', DOMAINS.help)
    const paths = readChanges(annotations, 'cookie-path', PATHS.help)
    return domains.length + paths.length === 0 ? undefined : { domains, paths }
  },
  print: ({ domains, paths }) =>
    [
      ...domains.map(({ from, to }) => `domain ${from} → ${to}`),
      ...paths.map(({ from, to }) => `path ${from} → ${to}`),
    ].join(', '),
  create({ domains, paths }): Filter {
    const byDomain = new Map(domains.toReversed().map(({ from, to }) => [foldDomain(from), to]))
    const change = (attribute: string): string => {
      const equals = attribute.indexOf('=')
      if (equals < 0) return attribute
      const value = attribute.slice(equals + 1).trim()
      switch (attribute.slice(0, equals).trim().toLowerCase()) {
        case 'domain': {
          const domain = byDomain.get(foldDomain(value))
          return domain === undefined ? attribute : ` Domain=${domain}`
        }
        case 'path': {
          const found = paths.find(({ from }) => value.startsWith(from))
          return found === undefined ? attribute : ` Path=${movePath(value, found)}`
        }
        default:
          return attribute
      }
    }
    return {
      response(head) {
        if (head.isOwn || !SET_COOKIE.test(head.lines)) return
        head.replace(EACH_COOKIE, (_, name = '', cookie = '') => {
          const [pair = '', ...attributes] = cookie.split(';')
          return [name + pair, ...attributes.map(change)].join(';')
        })
      },
    }
  },
})

const SET_COOKIE = /^set-cookie:/im
const EACH_COOKIE = /^(set-cookie:)([^\r\n]*)/gim

function foldDomain(domain: string): string {
  return (domain.startsWith('.') ? domain.slice(1) : domain).toLowerCase()
}

/** The rest of the path follows what may have attributes behind it. */
function movePath(path: string, { from, to }: Change): string {
  const semicolon = to.indexOf(';')
  const rest = path.slice(from.length)
  return semicolon < 0 ? to + rest : to.slice(0, semicolon) + rest + to.slice(semicolon)
}

function readChanges(annotations: AnnotationReader, name: string, help: string): readonly Change[] {
  const lines = (annotations.text(name) ?? '').split('\n').filter((line) => line.trim() !== '')
  if (lines.length > MOST_CHANGES) {
    annotations.refuse(name, `it has ${lines.length} lines, and ${MOST_CHANGES} are allowed`, help)
    return []
  }
  return lines.map((line) => {
    const [, from = '', to = ''] = /^(\S+)\s+(.*)$/.exec(line.trim()) ?? []
    return { from, to }
  })
}
