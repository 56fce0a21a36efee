/** Lets requests in that have the name and the password of a user (RFC 7617), as an htpasswd file or a Secret has them. HOT */
import { GatewayError } from '../base/errors.ts'
import { flattenText } from '../base/flat-text.ts'
import { traceNames } from '../http1/name-traces.ts'
import { matching, oneOf, SECRET_NAME } from './annotation-form.ts'
import { createNames, findNameFault, isClientField, SoughtNames, TOKEN_CHARACTER } from './field-lines.ts'
import { parseHtpasswd, readUserMap, type User } from './htpasswd.ts'
import { Kept } from './kept.ts'
import { type LoginOutcome, Logins } from './logins.ts'
import { NoteKey } from './notes.ts'
import { type AnnotationReader, defineFilter, type FilterRequest, PendingOutcome, type SecretContent } from './spec.ts'

type Options = Readonly<{
  /** For people: where the users stand. */
  source: string
  /** Never printed. */
  users: readonly User[]
  realm: string
  /** The field that tells endpoints the user. */
  userField: string
  keepsAuthorization: boolean
}>

const USUAL_REALM = 'Restricted'
const USUAL_FIELD = 'X-Forwarded-User'

/** The Authorization with which the last request of a connection was let in. */
type LastLogin = Readonly<{ logins: Logins; authorization: string; user: string }>

/** One for all filters, so that a connection keeps no more than one. */
const LAST = new NoteKey<LastLogin>()

export const BASIC_AUTH = defineFilter<Options>({
  name: 'basic-auth',
  order: 125,
  isGuard: true,
  dependsOn: 'the password of a user',
  annotations: {
    'basic-auth-secret': {
      about:
        'a Secret in the namespace of the Ingress with the users and the hashes of their passwords: bcrypt, apr1 (MD5), SHA-1, SHA-256-crypt or SHA-512-crypt, as `htpasswd` and `openssl passwd` make them. Other clients are answered 401.',
      form: SECRET_NAME,
    },
    'basic-auth-secret-type': {
      about:
        '`auth-file`: the Secret has a file of htpasswd under the key `auth`; `auth-map`: each of its keys is a user, with the hash as value (`auth-file`)',
      form: oneOf(['auth-file', 'auth-map']),
      needs: 'basic-auth-secret',
    },
    'basic-auth-realm': {
      about: `what browsers show where they ask for the password (\`${USUAL_REALM}\`)`,
      form: matching(/^[\x21-\x7e][\x20-\x7e]{0,199}$/, 'is no realm', 'write up to 200 characters of ASCII'),
      needs: 'basic-auth-secret',
    },
    'basic-auth-user-header': {
      about: `the field in which endpoints get the name of the user, and never from the client (\`${USUAL_FIELD}\`)`,
      form: matching(
        new RegExp(`^${TOKEN_CHARACTER}{1,64}$`),
        'is no name of a field',
        `write one, as in ${USUAL_FIELD}`,
      ),
      needs: 'basic-auth-secret',
    },
    'basic-auth-keep-authorization': {
      about: '`"true"`: endpoints get the field `Authorization`, with the password; `"false"`: they do not (`"false"`)',
      form: oneOf(['true', 'false']),
      needs: 'basic-auth-secret',
    },
  },
  read(annotations) {
    const secret = annotations.secret('basic-auth-secret')
    const users = secret && readUsers(annotations, secret)
    const userField = readField(annotations)
    if (secret === undefined || users === undefined) return undefined
    return {
      source: secret.source,
      users,
      realm: annotations.text('basic-auth-realm') ?? USUAL_REALM,
      userField,
      keepsAuthorization: annotations.text('basic-auth-keep-authorization') === 'true',
    }
  },
  print({ source, users, realm, userField, keepsAuthorization }) {
    const kept = keepsAuthorization ? ', keeps Authorization' : ''
    const count = users.length === 1 ? 'the user' : `one of ${users.length} users`
    return `asks for ${count} of ${source}, realm ${JSON.stringify(realm)}, tells ${userField}${kept}`
  },
  secret: ({ users }) => printUsers(users),
  create({ users: listed, realm, userField, keepsAuthorization }, { shared }) {
    // An unchanged Secret costs nobody another check, and requests that began before a change keep the users of then.
    const logins = shared(() => new Kept<Logins>()).find(printUsers(listed), () => new Logins(listed))
    const challenge = `WWW-Authenticate: Basic realm="${realm.replaceAll(/["\\]/g, '\\$&')}", charset="UTF-8"\r\n`
    const refuse = (why: string): GatewayError =>
      new GatewayError('PORTICO_REQ_UNAUTHORIZED', why, undefined, { lines: challenge })
    const names = keepsAuthorization ? [userField] : [userField, 'authorization']
    const removed = new SoughtNames(names, 'underscores')
    const traces = traceNames([userField])
    const users = new NoteKey<string>()
    const conclude = (request: FilterRequest, found: LoginOutcome): GatewayError | undefined => {
      if (typeof found !== 'string') return found ?? refuse('the credentials are wrong')
      request.notes.set(users, found)
      return undefined
    }
    return {
      check(request) {
        const authorization = request.header('authorization') ?? ''
        const { connectionNotes } = request
        const last = connectionNotes.get(LAST)
        if (last !== undefined && last.logins === logins && isEqual(last.authorization, authorization)) {
          request.notes.set(users, last.user)
          return undefined
        }
        const token = readToken(authorization)
        if (token === undefined) return refuse('there are no credentials')
        const known = logins.find(token)
        if (known !== undefined) {
          connectionNotes.set(LAST, { logins, authorization: flattenText(authorization), user: known })
          return conclude(request, known)
        }
        const checked = logins.check(token, request.clientNetwork)
        if (typeof checked !== 'object' || checked instanceof GatewayError) return conclude(request, checked)
        return new PendingOutcome(
          checked.outcome.then((found) => conclude(request, found)),
          checked.leave,
        )
      },
      requestNames: createNames(names),
      upstreamRequest(draft, request) {
        const user = request.notes.get(users)
        draft.remove(removed)
        if (user !== undefined) draft.add(`${userField}: ${user}\r\n`, traces)
      },
    }
  },
})

function printUsers(users: readonly User[]): string {
  return users.map((user) => user.join(':')).join('\n')
}

/** Two texts of ASCII are compared in a time that tells nothing of where they differ: clients of a proxy share its connections. */
function isEqual(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let at = 0; at < a.length; at++) difference |= a.charCodeAt(at) ^ b.charCodeAt(at)
  return difference === 0
}

/** The credentials in base64; undefined: there are none. */
function readToken(authorization: string): string | undefined {
  if (authorization.slice(0, 6).toLowerCase() !== 'basic ') return undefined
  return authorization.slice(6).trim()
}

function readUsers(annotations: AnnotationReader, { source, content }: SecretContent): readonly User[] | undefined {
  const isMap = annotations.text('basic-auth-secret-type') === 'auth-map'
  const isWhole = typeof content === 'string'
  if (isWhole && isMap) {
    const help = 'leave it out: a file has a user and a hash in each line'
    annotations.refuse('basic-auth-secret-type', `a ${source.split(' ')[0]} has no keys`, help)
    return undefined
  }
  const file = isWhole ? content : isMap || !Object.hasOwn(content, 'auth') ? undefined : content.auth
  if (!isMap && file === undefined) {
    const help = 'put a file of htpasswd under it, or write portico.dev/basic-auth-secret-type: auth-map'
    annotations.refuse('basic-auth-secret', `${source} has no key "auth"`, help)
    return undefined
  }
  const users = file === undefined ? readUserMap(content as Readonly<Record<string, string>>) : parseHtpasswd(file)
  if (typeof users !== 'string') return users
  const message = `${isMap || isWhole ? '' : 'the key "auth" of '}${source}: ${users}`
  annotations.refuse(
    'basic-auth-secret',
    message,
    'make each line with htpasswd -nB USER, or the hash with openssl passwd -6',
  )
  return undefined
}

function readField(annotations: AnnotationReader): string {
  const name = annotations.text('basic-auth-user-header') ?? USUAL_FIELD
  const fault = findNameFault(name) ?? (isClientField(name) ? `${name} is written by the gateway itself` : undefined)
  if (fault !== undefined) annotations.refuse('basic-auth-user-header', fault, `write another, as in ${USUAL_FIELD}`)
  return name
}
