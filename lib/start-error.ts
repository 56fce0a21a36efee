/** Why the gateway does not start, in one line with the way out. */
import type { Diagnostic } from './base/diagnostics.ts'
import { flagName } from './settings.ts'

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

export type ListenerAddress = Readonly<{ name: 'http' | 'https' | 'admin' | 'dns'; address: string; port: number }>

/** Says why a port could not be opened. Errors of another kind are returned as they are. */
export function explainListenError(error: unknown, { name, address, port }: ListenerAddress): unknown {
  const flag = flagName(`${name}.port`)
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new StartError(
        `port ${port} is already in use on ${address}`,
        `stop what uses it, or choose another port for ${name}: ${flag} ${port < 65_000 ? port + 1 : port - 1} (0 takes a free one)`,
        { cause: error },
      )
    case 'EACCES':
    case 'EPERM':
      return new StartError(
        `this user may not open port ${port}`,
        port < 1024 ? explainPrivilege(flag, port) : `choose another port: ${flag}`,
        { cause: error },
      )
    case 'EADDRNOTAVAIL':
      return new StartError(
        `this machine has no address ${address}`,
        `set ${name}.address to one it has; "::" is every address`,
        { cause: error },
      )
    case 'EAFNOSUPPORT':
      return new StartError(
        `this machine has no ${address.includes(':') ? 'IPv6' : 'IPv4'}`,
        `set ${name}.address: "0.0.0.0"`,
        {
          cause: error,
        },
      )
    default:
      return error
  }
}

/** Every way that leaves all ports open; a right given to 443 alone would leave 80 the next to fail. */
function explainPrivilege(flag: string, port: number): string {
  return [
    'ports below 1024 need the right to bind them; one of:',
    `  sudo sysctl net.ipv4.ip_unprivileged_port_start=${Math.min(port, 80)}`,
    `  sudo setcap cap_net_bind_service=+ep ${process.execPath}`,
    '  in a unit of systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE',
    `  in Docker the usual port, mapped: --publish ${port}:${port + 8000}`,
    `  another port: ${flag} ${port + 8000}`,
  ].join('\n')
}
