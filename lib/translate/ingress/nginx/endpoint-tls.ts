/** The protocol that endpoints are spoken to in, and TLS to them (BP): settings of the Services that the paths lead to. */
import { HOLDS_FOR_PORT, type NginxFeature, type NginxForm, NUMBER, SWITCH, TEXT, WRITTEN } from './feature.ts'

/** By the value in upper case. */
const PROTOCOLS: Readonly<Record<string, string>> = { HTTP: 'http', HTTPS: 'https', AUTO_HTTP: 'auto' }

const PROTOCOL: NginxForm = {
  pattern: /^(?:HTTP|HTTPS|AUTO_HTTP|GRPC|GRPCS|FCGI)$/i,
  fault: 'is no protocol',
  help: 'write "HTTP" or "HTTPS"',
}

export const BACKEND_PROTOCOL: NginxFeature = {
  scope: 'upstream',
  annotations: {
    'backend-protocol': {
      form: PROTOCOL,
      onFault: 'default',
      options: ['protocol'],
      differs: `certificates are verified unless [compatibility](#defaults-of-ingress-nginx) is on, and the name of the Service is sent in SNI; \`AUTO_HTTP\` goes by the appProtocol of the Service port; \`GRPC\`, \`GRPCS\` and \`FCGI\` are not spoken; ${HOLDS_FOR_PORT}`,
    },
  },
  write(nginx) {
    const written = nginx.text('backend-protocol')?.toUpperCase()
    if (written === undefined) return
    const protocol = PROTOCOLS[written]
    if (protocol !== undefined) nginx.set('protocol', protocol, 'backend-protocol')
    else nginx.warn('backend-protocol', `${written} is not spoken: endpoints are asked in HTTP/1.1`, INSTEAD[written]!)
  },
}

const HTTP2_INSTEAD = 'gRPC passes through a port of the Service itself: type NodePort or LoadBalancer'

const INSTEAD: Readonly<Record<string, string>> = {
  GRPC: HTTP2_INSTEAD,
  GRPCS: HTTP2_INSTEAD,
  FCGI: 'put a web server that speaks FastCGI before the endpoints',
}

export const ENDPOINT_TLS: NginxFeature = {
  scope: 'upstream',
  annotations: {
    'proxy-ssl-secret': {
      form: {
        pattern: /^(?:[a-z0-9][-a-z0-9.]{0,252}\/)?[a-z0-9][-a-z0-9.]{0,252}$/,
        fault: 'names no Secret',
        help: 'write namespace/name',
      },
      onFault: 'closed',
      options: ['tls-secret'],
      differs: `the Secret is one of the Ingress's own namespace; ${HOLDS_FOR_PORT}`,
    },
    'proxy-ssl-verify': {
      form: SWITCH,
      onFault: 'default',
      options: ['verify-tls'],
      differs: '`on` where it is missing',
      alike: WRITTEN,
    },
    'proxy-ssl-name': {
      form: {
        pattern: /^[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,30}$/,
        fault: 'is no host',
        help: 'write a host, as example.com',
      },
      onFault: 'default',
      options: ['sni'],
    },
    'proxy-ssl-server-name': {
      form: SWITCH,
      onFault: 'default',
      options: [],
      differs: 'the name is always sent in SNI',
    },
    'proxy-ssl-verify-depth': {
      form: NUMBER,
      onFault: 'default',
      options: [],
      differs: 'a chain may have any length',
    },
    'proxy-ssl-ciphers': {
      form: TEXT,
      onFault: 'default',
      options: [],
      differs: 'the ciphers are those that Node takes for good ones',
    },
    'proxy-ssl-protocols': {
      form: TEXT,
      onFault: 'default',
      options: [],
      differs: 'TLS 1.2 and 1.3 are spoken',
    },
  },
  write(nginx) {
    const secret = nginx.text('proxy-ssl-secret')
    const verify = nginx.text('proxy-ssl-verify')
    if (verify === 'off') {
      const message =
        'certificates of endpoints are not verified: anybody on the way to them can read and change all that is sent'
      nginx.warn('proxy-ssl-verify', message, 'write "on", with the authorities in ca.crt of proxy-ssl-secret')
    }
    // Without a Secret, ingress-nginx verifies nothing; only what is written gives it up here.
    if (verify !== undefined && (secret !== undefined || verify === 'off')) {
      nginx.set('verify-tls', String(verify === 'on'), 'proxy-ssl-verify')
    }
    const name = nginx.text('proxy-ssl-name')
    if (secret === undefined) {
      // BP2
      if (name !== undefined) {
        nginx.warn('proxy-ssl-name', 'it does nothing without proxy-ssl-secret, as in ingress-nginx', 'name a Secret')
      }
      return
    }
    const [object, namespace = nginx.namespace] = secret.split('/').reverse() as [string, string?]
    if (namespace !== nginx.namespace) {
      const message = `the Secret is in namespace "${namespace}": only objects of that namespace reach it`
      nginx.close('proxy-ssl-secret', message, 'copy the Secret to the namespace of the Ingress')
      return
    }
    nginx.set('tls-secret', object, 'proxy-ssl-secret')
    if (name !== undefined) nginx.set('sni', name, 'proxy-ssl-name')
  },
}
