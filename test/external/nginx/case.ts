/** One virtual host, what its Ingresses say, and what clients ask of it. */
import type { WrittenIngresses } from '../../translate/ingress/nginx/nginx-ingress.ts'

export type AskedFor = Readonly<{
  method?: string
  target: string
  /** In place of the host of the case. */
  host?: string
  fields?: readonly (readonly [name: string, value: string])[]
  body?: string
  isChunked?: boolean
  /** Address of the client, of 127.0.0.0/8. */
  from?: string
}>

export type Case = Readonly<{
  area: string
  host: string
  /** The first is the oldest: it named the host. */
  ingresses: WrittenIngresses
  requests: readonly AskedFor[]
}>

/** Ports of 127.0.0.1. */
export type Places = Readonly<{ web: number; pages: number; auth: number; nobody: number }>

/** Data of the ConfigMap `fields`. */
export const ANSWER_FIELDS = { 'X-Frame-Options': 'DENY', 'X-Team': 'blue team' }

/** Lines of the Secret `users`. */
export const USERS: readonly string[] = [
  'anna:{SHA}oQY/OA7zQ+olnbeSd+ztLAk3rcs=',
  'bert:$apr1$saltsalt$N8H2Ohf4x2dVU1327dp7L0',
]
