/** The hint at an endpoint that is at the container's own loopback. */
import t from 'tap'
import { createLog } from '../../lib/telemetry/log.ts'
import { createLoopbackHint } from '../../lib/telemetry/loopback-hint.ts'

function makeHint(isContainer: boolean) {
  const lines: Record<string, string>[] = []
  const log = createLog({ level: 'info', format: 'json' }, { write: (line) => void lines.push(JSON.parse(line)) })
  return { lines, hint: createLoopbackHint(log, () => isContainer) }
}

t.test('the first refusal at a loopback address is explained, and no other', async (t) => {
  for (const endpoint of ['127.0.0.1:3000', '[::1]:3000', 'localhost:3000', '127.5.0.1:3000']) {
    const { lines, hint } = makeHint(true)
    hint(undefined, endpoint)
    hint('PORTICO_UP_RESET', endpoint)
    hint('PORTICO_UP_CONNECT_REFUSED', undefined)
    hint('PORTICO_UP_CONNECT_REFUSED', '10.0.0.1:3000')
    t.same(lines, [], endpoint)
    hint('PORTICO_UP_CONNECT_REFUSED', endpoint)
    hint('PORTICO_UP_CONNECT_REFUSED', endpoint)
    t.equal(lines.length, 1, endpoint)
    t.match(lines[0], { level: 'warn', code: 'PORTICO_SVC_LOOPBACK' })
    for (const words of ['--network host', 'host.docker.internal:3000', '--add-host=host.docker.internal:host-gateway'])
      t.ok(lines[0]?.help?.includes(words), words)
  }
})

t.test('elsewhere than in a container there is nothing to explain', async (t) => {
  const { lines, hint } = makeHint(false)
  hint('PORTICO_UP_CONNECT_REFUSED', '127.0.0.1:3000')
  t.same(lines, [])
})
