/** Annotations that come to nothing here, with the reason. */

/** No request, and no client, would notice them. */
export const IDLE: Readonly<Record<string, string>> = {
  'auth-keepalive': 'connections to auth servers are always kept',
  'auth-keepalive-requests': 'connections to auth servers are always kept',
  'auth-keepalive-share-vars': 'connections to auth servers are always kept',
  'auth-keepalive-timeout': 'connections to auth servers are always kept',
  'client-body-buffer-size': 'the settings under `buffering` say what memory bodies take',
  'connection-proxy-header': 'the gateway itself answers for `Connection`: connections to endpoints are kept',
  'enable-global-auth': 'it acts on `global-auth-url` of the ConfigMap of the controller, where that is read',
  'enable-opentelemetry': 'the gateway has no tracing of its own; fields of traces pass through it',
  'enable-rewrite-log': 'it is about a log of nginx',
  'http2-push-preload': 'browsers and nginx have given server push up',
  'modsecurity-transaction-id': 'it says nothing without ModSecurity',
  'opentelemetry-operation-name': 'the gateway has no tracing of its own',
  'opentelemetry-trust-incoming-span': 'the gateway has no tracing of its own; fields of traces pass through it',
  'preserve-trailing-slash': 'a slash at the end of a URL is always kept in redirects to HTTPS',
  'proxy-buffer-size': 'heads of answers may have 64Ki (`header-bytes` of the Service)',
  'proxy-buffers-number': 'the settings under `buffering` say what memory bodies take',
  'proxy-busy-buffers-size': 'the settings under `buffering` say what memory bodies take',
  'proxy-http-version': 'endpoints are asked in HTTP/1.1, which servers of HTTP/1.0 answer too',
  'proxy-max-temp-file-size': '`buffering.answerDisk` of the settings says how long buffered answers may be',
  'relative-redirects':
    'a redirect to a path names the path, and all others the whole URL, which lead to the same place',
  'service-upstream':
    'endpoints are always asked themselves, with the retries and health checks that this makes possible',
  'ssl-prefer-server-ciphers': 'the ciphers of TLS 1.3 and 1.2 that are offered are all good ones',
  'use-port-in-redirects': 'redirects to HTTPS name its port wherever it is not 443',
}

const RULES = 'rules of ModSecurity are not read'
const SNIPPET = 'text of nginx is never executed'
const CERTIFICATES = 'certificates of clients are not asked for'
const GLOBAL_LIMIT = 'ingress-nginx itself has dropped it'

/** Nothing of them is done; those that guard close routes (G4). */
export const REFUSED: Readonly<Record<string, string>> = {
  'auth-snippet': SNIPPET,
  'auth-tls-error-page': CERTIFICATES,
  'auth-tls-match-cn': CERTIFICATES,
  'auth-tls-pass-certificate-to-upstream': CERTIFICATES,
  'auth-tls-secret': CERTIFICATES,
  'auth-tls-verify-client': CERTIFICATES,
  'auth-tls-verify-depth': CERTIFICATES,
  'enable-modsecurity': RULES,
  'enable-owasp-core-rules': RULES,
  'fastcgi-index': 'endpoints are asked in HTTP/1.1',
  'fastcgi-params-configmap': 'endpoints are asked in HTTP/1.1',
  'global-rate-limit': GLOBAL_LIMIT,
  'global-rate-limit-header-based': GLOBAL_LIMIT,
  'global-rate-limit-ignored-cidrs': GLOBAL_LIMIT,
  'global-rate-limit-key': GLOBAL_LIMIT,
  'global-rate-limit-window': GLOBAL_LIMIT,
  'modsecurity-snippet': RULES,
  'ssl-ciphers': 'all hosts have the ciphers that Node takes for good ones',
  'stream-snippet': SNIPPET,
}
