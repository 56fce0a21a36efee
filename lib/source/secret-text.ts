/** Whether a text that cannot be read as YAML, or not as what it is meant to be, may be a Secret. */
import { findNearest } from '../base/nearest.ts'

/** What only Secrets have, private keys, and settings, where a token may stand. */
const SIGN =
  /\bs\w{3,10}Data\b|kubernetes\.io\/(?:basic-auth|dockercfg|dockerconfigjson|service-account-token|ssh-auth|tls)(?![\w-])|bootstrap\.kubernetes\.io\/token|\bOpaque\b|-----(?:BEGIN|END)|LS0tLS1|portico\.dev\/v\d|GatewayConf/i
const KIND = /\bkind["']?[ \t]*:\s*["']?([A-Za-z]+)/g
/** Nothing shorter is a secret. */
const VALUE = /[^\s:,"'{}[\]]{6,}(?![^\s:,"'{}[\]]|["']?[ \t]*:)/
const DATA = /\bdata["']?[ \t]*:/

/** Whatever does not say that it is something else may be one: a Secret that is cut in two has a part without a kind. */
export function mayBeSecretText(text: string): boolean {
  if (SIGN.test(text)) return true
  const kinds = Array.from(text.matchAll(KIND), ([, kind]) => kind as string)
  if (kinds.length === 0) return VALUE.test(text)
  if (kinds.some((kind) => isLikeSecret(kind) || !/^[A-Z][a-z]/.test(kind))) return true
  return DATA.test(text) && kinds.some((kind) => kind !== 'ConfigMap')
}

function isLikeSecret(kind: string): boolean {
  return findNearest(kind.replace(/List$/, ''), ['Secret', 'Secrets']) !== undefined
}
