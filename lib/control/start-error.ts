/** Why the gateway does not start, in one line with the way out. */

import type { Diagnostic } from '../base/diagnostics.ts'
import { isExhaustion, RAISE_LIMIT } from '../base/exhaustion.ts'
import type { Listener, ServiceListener } from '../model/listener.ts'
import { fitConnections } from '../platform/descriptors.ts'
import { flagName } from '../settings/resolve.ts'
import type { Settings } from '../settings/table.ts'

export class StartError extends Error {
  /** What to do about it; a line for each way where there are several. */
  readonly help: string
  readonly exitCode: number = 1
  /** What is wrong with the configuration, where that is the reason. */
  readonly diagnostics: readonly Diagnostic[]

  constructor(message: string, help: string, details: { cause?: unknown; diagnostics?: readonly Diagnostic[] } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'StartError'
    this.help = help
    this.diagnostics = details.diagnostics ?? []
  }
}

/** Fewer client connections than this in a worker are too few for most. */
const FEW_CONNECTIONS = 1000

/** What to say of the limit of file descriptors; undefined where it is high enough. Node has raised it as far as it may. */
export function explainShortage(
  { limits }: Pick<Settings, 'limits'>,
  descriptors: number | undefined,
): Readonly<{ message: string; help: string }> | undefined {
  const fitting = fitConnections(descriptors)
  const asked = limits.connections
  if (asked === 0 ? fitting >= FEW_CONNECTIONS : fitting >= asked) return undefined
  const most = asked === 0 ? `${fitting} client connections` : `limits.connections is ${asked}, and ${fitting} are sure`
  return {
    message: `${descriptors} file descriptors: ${most} to each worker`,
    help: RAISE_LIMIT,
  }
}

/** A listener of the gateway itself; the settings below its name have its address and port. */
export type ListenerAddress = Readonly<{ name: string; address: string; port: number }>

/** Where another address and another port are set, in words. */
type Way = Readonly<{
  otherAddress: (to: string) => string
  otherPort: string
  /** Without naming one. */
  anotherPort: string
  /** One that needs no right. */
  highPort: string
}>

/** Says why a port could not be opened. Errors of another kind are returned as they are. */
export function explainListenError(error: unknown, listener: ListenerAddress): unknown {
  const { name, port } = listener
  const flag = flagName(`${name}.port`)
  return (
    explain(error, listener, {
      otherAddress: (to) => `set ${name}.address${to}`,
      otherPort: `choose another port for ${name}: ${flag} ${port < 65_000 ? port + 1 : port - 1} (0 takes a free one)`,
      anotherPort: `choose another port: ${flag}`,
      highPort: `another port: ${flag} ${port + 8000}`,
    }) ?? error
  )
}

/** Says what to do about an admin socket that cannot be had. */
export function explainSocketError(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined) return error
  const help =
    code === 'EADDRINUSE'
      ? 'another gateway runs with it: give admin.socket another path'
      : 'admin.socket names a path in a folder that this user may write'
  return new StartError(`the admin socket cannot be opened: ${message}`, help, { cause: error })
}

/** The same of any listener; errors of another kind say what they say. */
export function explainListenerPort(error: unknown, listener: Listener): Readonly<{ message: string; help: string }> {
  const explained =
    listener.kind === 'Gateway'
      ? explainListenError(error, { ...listener, name: listener.id })
      : explainServicePort(error, listener)
  if (explained instanceof StartError) return explained
  return { message: error instanceof Error ? error.message : String(error), help: '' }
}

function explainServicePort(error: unknown, listener: ServiceListener): StartError | undefined {
  const { kind, owner } = listener
  const field = FIELDS[kind]
  const where = `${field} of Service ${owner.namespace}/${owner.name}`
  return explain(error, listener, {
    otherAddress: () => `give this machine the address, or change what ${where} comes from`,
    otherPort: `choose another ${where}`,
    anotherPort: `choose another ${where}`,
    highPort: `another ${where}`,
  })
}

const FIELDS: Readonly<Record<ServiceListener['kind'], string>> = {
  ClusterIP: 'port',
  NodePort: 'nodePort',
  LoadBalancer: 'port',
  ExternalIP: 'port',
  ConfigMap: 'port that a ConfigMap opens',
}

function explain(
  error: unknown,
  { address, port }: Readonly<{ address: string; port: number }>,
  way: Way,
): StartError | undefined {
  if (isExhaustion(error)) {
    return new StartError(`no file descriptor is left to open port ${port} with`, RAISE_LIMIT, { cause: error })
  }
  switch ((error as NodeJS.ErrnoException | undefined)?.code) {
    case 'EADDRINUSE':
      return new StartError(`port ${port} is already in use on ${address}`, `stop what uses it, or ${way.otherPort}`, {
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
      return new StartError(
        `this user may not open port ${port}`,
        port < 1024 ? explainPrivilege(port, way.highPort) : way.anotherPort,
        { cause: error },
      )
    case 'EADDRNOTAVAIL':
      return new StartError(
        `this machine has no address ${address}`,
        way.otherAddress(' to one it has; "::" is every address'),
        { cause: error },
      )
    case 'EAFNOSUPPORT':
      return new StartError(
        `this machine has no ${address.includes(':') ? 'IPv6' : 'IPv4'}`,
        way.otherAddress(': "0.0.0.0"'),
        { cause: error },
      )
    default:
      return undefined
  }
}

/** Every way that leaves all ports open; a right given to 443 alone would leave 80 the next to fail. */
function explainPrivilege(port: number, highPort: string): string {
  return [
    'ports below 1024 need the right to bind them; one of:',
    `  sudo sysctl net.ipv4.ip_unprivileged_port_start=${Math.min(port, 80)}`,
    `  sudo setcap cap_net_bind_service=+ep ${process.execPath}`,
    '  in a unit of systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE',
    `  in Docker the usual port, mapped: --publish ${port}:${port + 8000}`,
    `  ${highPort}`,
  ].join('\n')
}
