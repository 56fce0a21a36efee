/** A running gateway with a file in its folder that wants more than any manifest does: it answers, and takes up other changes. */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startPortico } from './helpers/portico.ts'

const WANTED_MS = 10_000
const LIMIT_MIB = 600

const FILES: Readonly<Record<string, string>> = {
  'equal ports': `apiVersion: v1\nkind: Service\nmetadata: {name: big}\nspec: {ports: [${'{port: 80},'.repeat(430_000)}]}\n`,
  'tiny documents': '---\na\n'.repeat(2_500_000),
  'a list on one line': `[${'1,'.repeat(7_500_000)}1]`,
}

const manifest = (body: string): string => `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: shop
spec:
  defaultBackend: {service: {name: ${body}, port: {number: 80}}}
`

t.test('health is answered and another change is live within seconds', { timeout: 120_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-hostile-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const replace = (name: string, text: string): void => {
    writeFileSync(join(folder, `${name}.new`), text)
    renameSync(join(folder, `${name}.new`), join(folder, `${name}.yaml`))
  }
  replace('shop', manifest('first'))
  replace('big', manifest('other').replace('shop', 'big'))
  const portico = await startPortico(t, ['run', '-f', folder])
  const admin = `http://127.0.0.1:${portico.ports.admin}`
  let number = 0
  for (const [name, text] of Object.entries(FILES)) {
    replace('big', text)
    // The watch sees it, and it is being read.
    await sleep(300)
    const wanted = `change-${++number}`
    replace('shop', manifest(wanted))
    const began = performance.now()
    const isLive = async (): Promise<boolean> => {
      const response = await fetch(`${admin}/api/v1/diagnostics`, { signal: AbortSignal.timeout(WANTED_MS) })
      return (await response.text()).includes(wanted)
    }
    let live = false
    while (!live && performance.now() - began < WANTED_MS) {
      const health = await fetch(`${admin}/healthz`, { signal: AbortSignal.timeout(WANTED_MS) })
      await health.text()
      live = await isLive()
      await sleep(50)
    }
    t.ok(live, `${name}: the other change is live`)
  }
  t.match(portico.output(), 'PORTICO_YAML_LIMIT')
  t.match(portico.output(), /still serving .*big\.yaml/)
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${portico.process.pid}/status`, 'utf8'))?.[1]) / 1024
  t.ok(peak < LIMIT_MIB, `${Math.round(peak)} MiB at the peak`)
})
