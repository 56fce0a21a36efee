/** `--local`: listen on this machine alone. */
import { environmentName, type TypedSetting } from '../lib/settings/resolve.ts'
import type { Flag } from './flag.ts'

const LOOPBACK = '127.0.0.1'

/** The settings of `--local`. */
const LOCAL: Readonly<Record<string, string | readonly string[]>> = {
  'http.address': LOOPBACK,
  'https.address': LOOPBACK,
  'admin.address': LOOPBACK,
  'dns.address': LOOPBACK,
  'nodePorts.addresses': [LOOPBACK],
  'loadBalancers.address': LOOPBACK,
}

export const LOCAL_FLAG: Flag = {
  name: 'local',
  doc: `listen on ${LOOPBACK} alone: nothing is reachable from the network`,
}

/** The settings of `--local`, except those that another flag or the environment sets. */
export function readLocal(typed: object, environment: NodeJS.ProcessEnv): Readonly<Record<string, TypedSetting>> {
  const left = Object.entries(LOCAL).filter(([name]) => !(name in typed) && !environment[environmentName(name)])
  return Object.fromEntries(left.map(([name, value]) => [name, { flag: '--local', value }]))
}

/** True in a container, where nobody can reach loopback: the image sets this variable, and Podman sets it in all containers. */
export function isImage({ container }: NodeJS.ProcessEnv): boolean {
  return Boolean(container)
}
