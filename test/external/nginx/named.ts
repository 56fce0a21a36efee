/** The only differences that may be, each as narrow as its reason. */
import { type Difference, resolveDots } from './compare.ts'

export type Named = Readonly<{ rule: string; reason: string; isIt: (difference: Difference) => boolean }>

const says = ({ case: found }: Difference, annotation: string): string | undefined =>
  Object.values(found.ingresses)[0]!.nginx[annotation]

const has = ({ request }: Difference, field: string): boolean =>
  request.fields?.some(([name]) => name.toLowerCase() === field) === true

const isOutcome = ({ key, nginx, portico }: Difference, theirs: RegExp, ours: RegExp): boolean =>
  key === 'outcome' && theirs.test(nginx) && ours.test(portico)

export const NAMED: readonly Named[] = [
  {
    rule: 'R1',
    reason: 'a path of type ImplementationSpecific is matched by elements, as Prefix is, and not as a text',
    isIt: (found) =>
      found.case.area === 'paths' &&
      isOutcome(found, /^200 by web/, /^404/) &&
      JSON.stringify(found.case.ingresses).includes('ImplementationSpecific'),
  },
  {
    rule: 'slashes',
    reason: 'dot segments are resolved before slashes are merged (docs/routing.md), and nginx does both at once',
    isIt: (found) => isOutcome(found, /^404/, /^200 by web/) && found.request.target === '/a//../b',
  },
  {
    rule: 'G8',
    reason: 'a path that no rule has is answered 404, whatever the Ingress that named the host says',
    isIt: (found) => isOutcome(found, /^302/, /^404/) && says(found, 'rewrite-target')?.startsWith('http') === true,
  },
  {
    rule: 'AR3',
    reason: 'app-root acts where a path of its Ingress takes /',
    isIt: (found) => isOutcome(found, /^302/, /^404/) && says(found, 'app-root') !== undefined,
  },
  {
    rule: 'RD6 guards',
    reason: 'guards go before redirects',
    isIt: (found) => isOutcome(found, /^301/, /^403/) && says(found, 'allowlist-source-range') !== undefined,
  },
  {
    rule: 'RD6 HTTPS',
    reason: 'HTTPS goes before redirects',
    isIt: (found) => isOutcome(found, /^30[12]/, /^308/) && says(found, 'force-ssl-redirect') === 'true',
  },
  {
    rule: 'RD2',
    reason: 'nginx sends a text and no Location with 300, 304, 305 and 306',
    isIt: (found) =>
      found.key === 'answer location' &&
      found.nginx === '-' &&
      /^30[0456]$/.test(says(found, 'permanent-redirect-code') ?? ''),
  },
  {
    rule: 'SSL3',
    reason: 'the redirect to HTTPS keeps a slash at the end',
    isIt: (found) =>
      found.key === 'answer location' &&
      says(found, 'force-ssl-redirect') === 'true' &&
      `${found.nginx}/` === found.portico,
  },
  {
    rule: 'WW1',
    reason: 'the redirect to www names no usual port, and keeps a slash at the end',
    isIt: ({ case: { area }, key, nginx, portico }) => {
      const plain = nginx.replace(':80', '')
      return area === 'hosts' && key === 'answer location' && (portico === plain || portico === `${plain}/`)
    },
  },
  {
    rule: 'AC2',
    reason: 'a client that is denied stays out with satisfy: any',
    isIt: (found) =>
      isOutcome(found, /^(?:200 by web|401|403)/, /^403, asked: none/) &&
      found.request.from === '127.1.2.3' &&
      says(found, 'satisfy') === 'any',
  },
  {
    rule: 'CO2',
    reason: 'OPTIONS that is no preflight goes to the endpoint',
    isIt: (found) =>
      isOutcome(found, /^204, asked: none/, /^200 by web/) &&
      !(has(found, 'origin') && has(found, 'access-control-request-method')),
  },
  {
    rule: 'CO3',
    reason: 'the preflight of another origin is answered, and allows nothing',
    isIt: (found) =>
      isOutcome(found, /^200 by web/, /^204, asked: none/) && has(found, 'access-control-request-method'),
  },
  {
    rule: 'CO4',
    reason: 'an origin in capitals, which no browser sends, is another one',
    isIt: ({ request, key, nginx, portico }) =>
      request.fields?.some(([name, value]) => name === 'Origin' && value === 'https://A.test') === true &&
      key.startsWith('answer access-control-') &&
      nginx !== '-' &&
      portico === '-',
  },
  {
    rule: 'CO1 preflight',
    reason:
      'methods, fields and age are told in preflights alone, and fields to read outside of them, where browsers look for them',
    isIt: ({ request, key, portico }) => {
      const [, name] = /^answer access-control-(allow-methods|allow-headers|max-age|expose-headers)$/.exec(key) ?? []
      return name !== undefined && portico === '-' && (request.method === 'OPTIONS') === (name === 'expose-headers')
    },
  },
  {
    rule: 'CO1 lists',
    reason: 'lists of fields have a blank behind each comma',
    isIt: ({ key, nginx, portico }) =>
      key === 'answer access-control-allow-headers' && nginx.replaceAll(',', ', ') === portico,
  },
  {
    rule: 'CO1 age',
    reason: 'cors-max-age is a day at most',
    isIt: ({ key, nginx, portico }) =>
      key === 'answer access-control-max-age' && nginx === '1728000' && portico === '86400',
  },
  {
    rule: 'CO1 credentials',
    reason: 'credentials are not allowed where all origins are',
    isIt: (found) =>
      found.key === 'answer access-control-allow-credentials' &&
      says(found, 'cors-allow-origin') === undefined &&
      found.portico === '-',
  },
  {
    rule: 'CO1 Vary',
    reason: 'caches are told that an answer depends on the origin',
    isIt: ({ case: { area }, key, portico }) => area === 'cors' && key === 'answer vary' && portico === 'Origin',
  },
  {
    rule: 'paths',
    reason: 'endpoints get the path with its dot segments resolved',
    isIt: ({ key, nginx, portico }) =>
      /^(?:\w+ request|pages x-original-uri)$/.test(key) && nginx !== portico && resolveDots(nginx) === portico,
  },
  {
    rule: 'G13',
    reason: 'the field Server of endpoints passes, and answers of the gateway have one',
    isIt: ({ key, portico }) => key === 'answer server' && /^(?:endpoint|portico)$/.test(portico),
  },
  {
    rule: 'answer X-Request-ID',
    reason: 'clients are told the id of their request',
    isIt: ({ key, nginx }) => key === 'answer x-request-id' && nginx === '-',
  },
  {
    rule: 'G11 scheme',
    reason:
      'endpoints get no X-Forwarded-Scheme and no X-Scheme, not of clients either; X-Forwarded-Proto says the scheme',
    isIt: ({ key, nginx, portico }) => /^web x-(?:forwarded-)?scheme$/.test(key) && nginx === 'http' && portico === '-',
  },
  {
    rule: 'G11 original',
    reason: 'endpoints get no X-Original-Forwarded-For and -Host, not of clients either',
    isIt: ({ key, portico }) => /^web x-original-forwarded-(?:for|host)$/.test(key) && portico === '-',
  },
  {
    rule: 'XP1',
    reason: 'groups in X-Forwarded-Prefix stay encoded: bytes above 127 are for no field',
    isIt: ({ key, nginx, portico }) =>
      key === 'web x-forwarded-prefix' && Buffer.from(nginx, 'latin1').toString() === decodeURIComponent(portico),
  },
  {
    rule: 'G11 TE',
    reason: 'TE: trailers is told to endpoints, since trailers pass',
    isIt: ({ key, nginx, portico }) => key === 'web te' && nginx === '-' && portico === 'trailers',
  },
  {
    rule: 'G11 port',
    reason: 'X-Forwarded-Port is the port that the client named',
    isIt: ({ request, key, portico }) =>
      key === 'web x-forwarded-port' && request.host?.endsWith(`:${portico}`) === true,
  },
  {
    rule: 'BA2',
    reason: 'the realm comes with the charset of the password (RFC 7617), and quotes in it are escaped',
    isIt: ({ key, nginx, portico }) =>
      key === 'answer www-authenticate' && `${nginx}, charset="UTF-8"` === portico.replaceAll('\\', ''),
  },
  {
    rule: 'BA user',
    reason: 'endpoints get the name of the user',
    isIt: ({ key, nginx, portico }) =>
      key === 'web x-forwarded-user' && nginx === '-' && /^(?:anna|bert)$/.test(portico),
  },
  {
    rule: 'EA1 more',
    reason: 'auth servers are told more of the request',
    isIt: ({ key, nginx }) =>
      /^auth x-(?:forwarded-(?:host|method|proto|uri|port)|original-uri|portico-auth-question|scheme)$/.test(key) &&
      nginx === '-',
  },
  {
    rule: 'EA1 Host',
    reason: 'the Host of an auth server has the port',
    isIt: ({ key, nginx, portico }) => key === 'auth host' && portico.startsWith(`${nginx}:`),
  },
  {
    rule: 'EA1 sender',
    reason: 'Portico is no nginx-ingress-controller',
    isIt: ({ key, portico }) => key === 'auth x-sent-from' && portico === '-',
  },
  {
    rule: 'EA4',
    reason: 'an answer of the auth server that refuses goes to the client as it is, with its cookies',
    isIt: ({ key, nginx, portico }) =>
      key === 'answer set-cookie' && nginx === '-' && portico === 'session=fresh; path=/',
  },
  {
    rule: 'EA5',
    reason: 'a redirect to the sign-in has no challenge',
    isIt: (found) =>
      found.key === 'answer www-authenticate' && found.portico === '-' && says(found, 'auth-signin') !== undefined,
  },
  {
    rule: 'CE1',
    reason: 'pages are asked for with GET, without the query, the body and the fields of the client',
    isIt: ({ case: { area }, request, key, nginx, portico }) => {
      if (area !== 'errors' || !key.startsWith('pages ')) return false
      if (key === 'pages request')
        return nginx.replace(/\?.*/, '') === `${request.method ?? 'GET'} /` && portico === 'GET /'
      return /^pages (?:body|x-reply|x-forwarded-for)$/.test(key) && portico === '-'
    },
  },
  {
    rule: 'RL fields',
    reason: 'clients are told their limit in RateLimit',
    isIt: ({ case: { area }, key, nginx }) =>
      area === 'rates' && /^answer ratelimit(?:-policy)?$/.test(key) && nginx === '-',
  },
]
