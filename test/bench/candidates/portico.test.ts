/** A candidate that is started again has what it is asked to serve, and nothing of what it served before. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { MAIN } from '../../bin/process.ts'
import { makeCertificate } from '../../helpers/certificates.ts'
import { findFreePorts } from '../../helpers/free-ports.ts'
import { ask, waitUntilServing } from '../candidate.ts'
import { createHosts, createScenario } from '../scenario.ts'
import { findPortico } from './portico.ts'

t.test('a host that a reload of the round before brought is not served from the start', async (t) => {
  const upstream = createServer((_, response) => response.end())
  await once(upstream.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => upstream.close())
  const endpoints = [`127.0.0.1:${(upstream.address() as AddressInfo).port}`]
  const [http = 0, https = 0, admin = 0] = await findFreePorts(3)
  const folder = t.testdir({})
  const [certificate, key] = [join(folder, 'certificate'), join(folder, 'key')]
  const made = await makeCertificate({ names: ['localhost'] })
  writeFileSync(certificate, made.certificate)
  writeFileSync(key, made.key)
  const portico = await findPortico(MAIN, process.execPath, '')
  // One more host than goes into a file: it comes in a file of its own.
  const scenario = createScenario(endpoints, { routes: createHosts(100) })
  const changed = createScenario(endpoints, { routes: createHosts(101) })
  for (const round of [1, 2]) {
    const running = await portico.start(scenario, { folder, http, https, admin, core: 'any', certificate, key })
    t.teardown(() => running.child.kill())
    await waitUntilServing(running, 'app-99.example.com', '/')
    t.equal(await ask(http, 'app-100.example.com', '/'), 404, `round ${round}`)
    await running.reload(changed)
    await waitUntilServing(running, 'app-100.example.com', '/')
    await running.child.stop()
  }
})
