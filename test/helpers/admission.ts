/** What lets client connections in, for a test that has ports alone. */
import { systemClock } from '../../lib/base/clock.ts'
import { Admission } from '../../lib/downstream/admission.ts'
import { DescriptorReserve } from '../../lib/platform/descriptors.ts'
import type { Settings } from '../../lib/settings/table.ts'
import type { Log } from '../../lib/telemetry/log.ts'
import type { ConnectionResult } from '../../lib/telemetry/request-counts.ts'

/** As ports take it. */
export function makeAdmission(
  settings: Settings,
  log: Log,
  onResult: (listener: string, result: ConnectionResult) => void = () => {},
): { admission: Admission; onResult: (listener: string, result: ConnectionResult) => void } {
  const reserve = new DescriptorReserve()
  return { admission: new Admission({ settings, reserve, onResult, clock: systemClock, log }), onResult }
}
