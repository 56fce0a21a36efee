/** Listening on this machine alone, for what is run to be looked at. */
import { environmentName, type TypedSetting } from '../lib/settings/resolve.ts'
import type { Flag } from './flag.ts'

const LOOPBACK = '127.0.0.1'

/** Where listeners are that have no address of their own. */
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

/** What `--local` says, but for what another flag or the environment says. */
export function readLocal(typed: object, environment: NodeJS.ProcessEnv): Readonly<Record<string, TypedSetting>> {
  const left = Object.entries(LOCAL).filter(([name]) => !(name in typed) && !environment[environmentName(name)])
  return Object.fromEntries(left.map(([name, value]) => [name, { flag: '--local', value }]))
}

/** Loopback of a container is reached by nobody: the image sets this variable, as Podman does for all its containers. */
export function isImage({ container }: NodeJS.ProcessEnv): boolean {
  return Boolean(container)
}
