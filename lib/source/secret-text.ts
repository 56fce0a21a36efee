/** Guesses whether a text that cannot be decoded may be a Secret. */
import { findNearest } from '../base/nearest.ts'

/** Signs of Secrets and private keys. */
const SIGN =
  /\bs\w{3,10}Data\b|kubernetes\.io\/(?:basic-auth|dockercfg|dockerconfigjson|service-account-token|ssh-auth|tls)(?![\w-])|bootstrap\.kubernetes\.io\/token|\bOpaque\b|-----(?:BEGIN|END)|LS0tLS1/i
/** Signs of settings, which may hold a token. A RoutePolicy has the same apiVersion. */
const OWN = /portico\.dev\/v\d|GatewayConf/i
/** Words for what in a RoutePolicy may be, or hold, a secret. */
const CONFIDENTIAL = /GatewayConf|secret|auth|token|pass|credential|cookie|header|key|sign/i
/** Of a RoutePolicy and of its targets. */
const POLICY_KINDS: ReadonlySet<string> = new Set(['RoutePolicy', 'Ingress', 'Service'])
const KIND = /\bkind["']?[ \t]*:\s*["']?([A-Za-z]+)/g
/** A value long enough to be a secret. */
const VALUE = /[^\s:,"'{}[\]]{6,}(?![^\s:,"'{}[\]]|["']?[ \t]*:)/
const DATA = /\bdata["']?[ \t]*:/

/** A text without a kind may be a Secret too: a Secret cut in two has a part without a kind. */
export function mayBeSecretText(text: string): boolean {
  if (SIGN.test(text)) return true
  const kinds = Array.from(text.matchAll(KIND), ([, kind]) => kind as string)
  if (OWN.test(text) && !isPlainPolicy(kinds, text)) return true
  if (kinds.length === 0) return VALUE.test(text)
  if (kinds.some((kind) => isLikeSecret(kind) || !/^[A-Z][a-z]/.test(kind))) return true
  return DATA.test(text) && kinds.some((kind) => kind !== 'ConfigMap')
}

/** True for a RoutePolicy without any option that may hold a secret. */
function isPlainPolicy(kinds: readonly string[], text: string): boolean {
  return kinds.includes('RoutePolicy') && kinds.every((kind) => POLICY_KINDS.has(kind)) && !CONFIDENTIAL.test(text)
}

function isLikeSecret(kind: string): boolean {
  return findNearest(kind.replace(/List$/, ''), ['Secret', 'Secrets']) !== undefined
}
