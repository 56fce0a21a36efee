/** Whether a text that cannot be read as YAML, or not as what it is meant to be, may be a Secret. */
import { findNearest } from '../base/nearest.ts'
import { PRIVATE_KEY } from '../base/veil.ts'

/** What only Secrets and settings with a token have. */
const SIGN =
  /stringData|kubernetes\.io\/(?:basic-auth|dockercfg|dockerconfigjson|service-account-token|ssh-auth|tls)(?![\w-])|bootstrap\.kubernetes\.io\/token|\bOpaque\b|\btok(?!enFile)\w*["']?[ \t]*:/i
const KIND = /(?:^|[\s{,])["']?kind["']?[ \t]*:\s*["']?([A-Za-z]+)/g
/** Nothing shorter is a secret. */
const VALUE = /[^\s:,"'{}[\]]{6,}(?![^\s:,"'{}[\]]|["']?[ \t]*:)/
const DATA = /(?:^|[\s{,])["']?data["']?[ \t]*:/

/** Whatever does not say that it is something else may be one: a Secret that is cut in two has a part without a kind. */
export function mayBeSecretText(text: string): boolean {
  if (SIGN.test(text) || PRIVATE_KEY.test(text)) return true
  const kinds = Array.from(text.matchAll(KIND), ([, kind]) => kind as string)
  if (kinds.length === 0) return VALUE.test(text)
  if (kinds.some(isLikeSecret)) return true
  return DATA.test(text) && kinds.some((kind) => kind !== 'ConfigMap')
}

function isLikeSecret(kind: string): boolean {
  return findNearest(kind.replace(/List$/, ''), ['Secret', 'Secrets']) !== undefined
}
