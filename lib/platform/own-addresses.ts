/** The addresses of this machine. */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

/** The addresses of all interfaces as they are now; none where the system does not say (Android, some sandboxes). */
export function listOwnAddresses(): readonly NetworkInterfaceInfo[] {
  try {
    return Object.values(networkInterfaces()).flatMap((each) => each ?? [])
  } catch {
    return []
  }
}
