/** The default certificate of the gateways of all tests: to make one for each takes a tenth of a second of CPU. */
import { copyFile, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../lib/base/clock.ts'
import { loadDefaultCertificate } from '../../lib/control/default-certificate.ts'
import { createMemoryLog } from './memory-log.ts'

const FILE = 'default-certificate.pem'
const KEPT = fileURLToPath(new URL('../../../.tap/data', import.meta.url))

/** Puts it into the data folder of a gateway that is to start. */
export async function giveCertificate(dataDir: string): Promise<void> {
  await loadDefaultCertificate(KEPT, systemClock, createMemoryLog())
  await mkdir(dataDir, { recursive: true })
  await copyFile(join(KEPT, FILE), join(dataDir, FILE))
}
