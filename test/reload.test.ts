import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { systemClock } from '../lib/base/clock.ts'
import { type Configuration, ConfigurationLoader, loadConfiguration } from '../lib/control/configuration.ts'
import { Reloader } from '../lib/control/reload.ts'
import { findIngressTable } from '../lib/model/route-table.ts'
import type { ServedConfiguration } from '../lib/model/served.ts'
import { printChange } from '../lib/report/diff.ts'
import type { Reloaded, ReloadFailed } from '../lib/report/reloaded.ts'

function appYaml(host: string, port = 3000): string {
  return `apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {portico.dev/endpoints: "127.0.0.1:${port}"}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: ${host}
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
`
}

function putSettings(folder: string, text: string): void {
  writeFileSync(join(folder, 'portico.yaml'), `apiVersion: portico.dev/v1alpha1\nkind: GatewayConfiguration\n${text}`)
}

/** A reloader over one real file; `gate` may hold a load back. */
async function createReloader(t: Test, flags: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'portico-reload-'))
  const file = join(folder, 'app.yaml')
  writeFileSync(file, appYaml('a.test'))
  const loader = new ConfigurationLoader({ sources: [folder], flags, environment: {} })
  const first = await loader.load()
  const applied: ServedConfiguration[] = []
  const outcomes: (Reloaded | ReloadFailed)[] = []
  const waiting: (() => void)[] = []
  let gate: Promise<void> = Promise.resolve()
  const load = { running: 0, most: 0, count: 0, fail: false }
  const reloader = new Reloader({
    apply: async (served) => void applied.push(served),
    clock: systemClock,
    first,
    load: async (request): Promise<Configuration> => {
      load.count++
      load.most = Math.max(load.most, ++load.running)
      try {
        await gate
        if (load.fail) throw new Error('broken by the test')
        return await loader.load({ ...request, isForced: true })
      } finally {
        load.running--
      }
    },
    onReloaded: (result) => finish(result),
    onFailed: (failure) => finish(failure),
  })
  const finish = (outcome: Reloaded | ReloadFailed) => {
    outcomes.push(outcome)
    for (const wake of waiting.splice(0)) wake()
  }
  t.teardown(async () => {
    await reloader.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    reloader,
    applied,
    load,
    outcomes,
    folder,
    write: (text: string) => writeFileSync(file, text),
    outcome: () => new Promise<void>((resolve) => waiting.push(resolve)),
    hold(): () => void {
      let open = () => {}
      gate = new Promise((resolve) => {
        open = resolve
      })
      return open
    },
    hosts: () => findIngressTable(reloader.current.model).hosts.map(({ host }) => host),
  }
}

t.test('a change is taken up after a pause, and told as a diff of routes', async (t) => {
  const { reloader, write, outcome, outcomes, applied, hosts } = await createReloader(t)
  const before = reloader.current
  t.same(hosts(), ['a.test'])
  write(appYaml('b.test'))
  reloader.trigger()
  t.equal(reloader.current, before, 'not at once')
  await outcome()
  t.same(hosts(), ['b.test'])
  const [reloaded] = outcomes as Reloaded[]
  t.equal(reloaded?.served, reloader.current)
  t.same(applied, [reloader.current], 'it is told when it is in force')
  t.match(reloaded?.files, [/app\.yaml$/])
  t.match(reloaded?.changes.map(printChange), [/^- a\.test/, /^\+ b\.test/])
  t.ok(reloader.current.generation > before.generation)
  t.same(findIngressTable(before.model).hosts[0]?.host, 'a.test', 'what was in force before is not touched')
})

t.test('CF-26 the same content makes no reload, unless one is asked for', async (t) => {
  const { reloader, write, load, outcomes } = await createReloader(t)
  const before = reloader.current
  write(appYaml('a.test'))
  reloader.trigger()
  await reloader.reload()
  t.same([load.count, outcomes.length], [1, 1], 'asking takes the pending change with it')
  t.not(reloader.current, before)
  t.same((outcomes[0] as Reloaded).changes, [])
})

t.test('CF-23 a hundred changes make few reloads that never overlap, and the last one wins', async (t) => {
  const { reloader, write, load, outcome, hosts } = await createReloader(t)
  for (let turn = 1; turn <= 100; turn++) {
    write(appYaml(`host-${turn}.test`))
    reloader.trigger()
    await new Promise(setImmediate)
  }
  while (hosts()[0] !== 'host-100.test') await outcome()
  t.ok(load.count <= 12, `${load.count} loads`)
  t.equal(load.most, 1)
})

t.test('a change during a load is taken up after it', async (t) => {
  const { reloader, write, load, outcome, hold, hosts } = await createReloader(t)
  const open = hold()
  write(appYaml('b.test'))
  const first = reloader.reload()
  await new Promise(setImmediate)
  reloader.trigger()
  const second = outcome()
  open()
  await first
  await second
  write(appYaml('c.test'))
  await reloader.reload()
  t.same([hosts(), load.most], [['c.test'], 1])
})

t.test('reloads asked for at the same time are one', async (t) => {
  const { reloader, load } = await createReloader(t)
  await Promise.all([reloader.reload(), reloader.reload(), reloader.reload()])
  t.equal(load.count, 1)
})

t.test('settings that did not change stay the same object, also those that were read at the start', async (t) => {
  const { reloader, folder } = await createReloader(t)
  const { settings } = reloader.current
  putSettings(folder, 'workers: 7\n')
  await reloader.reload()
  t.equal(reloader.current.settings, settings, 'read at the start')
  putSettings(folder, 'workers: 7\ntimeouts: {connect: 1s}\n')
  await reloader.reload()
  t.same([reloader.current.settings.workers, reloader.current.settings.timeouts.connect], [settings.workers, 1_000])
})

t.test('what cannot be put in force changes nothing', async (t) => {
  const first = await loadConfiguration({ sources: [], flags: {}, environment: {} })
  const failures: ReloadFailed[] = []
  const reloader = new Reloader({
    load: async () => first,
    apply: () => Promise.reject(new Error('broken by the test')),
    clock: systemClock,
    first,
    onReloaded: () => t.fail('nothing was reloaded'),
    onFailed: (failure) => failures.push(failure),
  })
  const before = reloader.current
  await reloader.reload()
  t.match(failures, [{ reason: 'broken by the test', servingSince: before.builtAt }])
  t.equal(reloader.current, before)
})

t.test('CF-24 a broken edit keeps what was good; with strict it changes nothing at all', async (t) => {
  const bad = appYaml('b.test').replace('port: 80}', 'port: 99999}')
  const lenient = await createReloader(t)
  lenient.write(bad)
  await lenient.reloader.reload()
  const [told] = lenient.outcomes as Reloaded[]
  t.ok(told?.newDiagnostics.some(({ severity }) => severity === 'error'))
  t.same(lenient.hosts(), ['a.test'])

  const strict = await createReloader(t, { strict: 'true' })
  const before = strict.reloader.current
  strict.write(bad)
  await strict.reloader.reload()
  const [failed] = strict.outcomes as ReloadFailed[]
  t.match(failed, { reason: /^1 error, and strict is on$/, servingSince: before.builtAt, error: undefined })
  t.ok(failed?.newDiagnostics.some(({ severity }) => severity === 'error'))
  t.equal(strict.reloader.current, before)
  strict.write(appYaml('c.test'))
  await strict.reloader.reload()
  t.same(strict.hosts(), ['c.test'])
})

t.test('while an older version is served every reload says so again, with the reasons', async (t) => {
  const { reloader, folder, write, outcomes, hosts } = await createReloader(t)
  write(appYaml('b.test').replace('pathType', 'pathTyp'))
  await reloader.reload()
  await reloader.reload()
  writeFileSync(join(folder, 'other.yaml'), 'apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n')
  await reloader.reload()
  t.same(hosts(), ['a.test'])
  for (const { kept, newDiagnostics } of outcomes as Reloaded[]) {
    t.match(kept, [{ text: /^still serving .*app\.yaml as of \d\d:\d\d:\d\d$/ }])
    t.match(
      newDiagnostics.find(({ severity }) => severity === 'error'),
      { code: 'PORTICO_RES_FIELD_REQUIRED', notes: [{ message: kept[0]?.text }] },
    )
  }
  write(appYaml('b.test'))
  await reloader.reload()
  const last = outcomes.at(-1) as Reloaded
  t.same([hosts(), last.kept, last.newDiagnostics], [['b.test'], [], []])
})

t.test('a load that throws keeps the old configuration, and the next one counts', async (t) => {
  const { reloader, write, load, outcomes, hosts } = await createReloader(t)
  const before = reloader.current
  load.fail = true
  write(appYaml('b.test'))
  await reloader.reload()
  t.match(outcomes, [{ reason: 'broken by the test', error: Error }])
  t.equal(reloader.current, before)
  load.fail = false
  await reloader.reload()
  t.same(hosts(), ['b.test'])
})

t.test('a problem is told once, and that it is gone', async (t) => {
  const { reloader, write, outcomes } = await createReloader(t)
  const missing = appYaml('a.test').replace('name: web, port', 'name: wep, port')
  for (const text of [missing, `# moved by a line\n${missing}`, appYaml('a.test')]) {
    write(text)
    await reloader.reload()
  }
  const told = (outcomes as Reloaded[]).map(({ newDiagnostics, goneDiagnostics }) => [
    newDiagnostics.map(({ code }) => code),
    goneDiagnostics,
  ])
  t.same(told, [
    [['PORTICO_REF_SERVICE_NOT_FOUND'], 0],
    [[], 0],
    [[], 1],
  ])
})

t.test('LC-07 settings follow a reload; those read at the start are named, once, and stay as they were', async (t) => {
  const { reloader, folder, outcomes } = await createReloader(t)
  putSettings(
    folder,
    'trustedProxies: [10.0.0.0/8]\nhttp: {port: 9999, proxyProtocol: required}\nhttps: {enabled: false}\ntimeouts: {connect: 1s}\n',
  )
  await reloader.reload()
  await reloader.reload()
  t.same(
    (outcomes as Reloaded[]).map(({ restartSettings }) => restartSettings),
    [['http.port', 'https.enabled'], []],
  )
  const { settings, model } = reloader.current
  t.same([settings.http.port, settings.timeouts.connect], [8080, 1_000])
  t.match(
    model.listeners,
    [
      { id: 'https', port: 8443, proxyProtocol: false },
      { id: 'http', port: 8080, proxyProtocol: true },
    ],
    'the model is translated with them',
  )
})

t.test('settings with an error leave those in force that were there before', async (t) => {
  const { reloader, folder, outcomes } = await createReloader(t)
  const put = (text: string) => putSettings(folder, text)
  put('timeouts: {connect: 1s}\nhttps: {redirect: false}\n')
  await reloader.reload()
  put('timeouts: {connect: 1y}\nhttps: {redirect: true}\n')
  await reloader.reload()
  const { settings } = reloader.current
  t.same([settings.timeouts.connect, settings.https.redirect], [1_000, false])
  t.match((outcomes[1] as Reloaded).newDiagnostics, [
    { code: 'PORTICO_SET_FIELD_VALUE', notes: [{ message: /^still using the settings as of/ }] },
  ])
  t.match((outcomes[1] as Reloaded).kept, [{ text: /^still using the settings as of/ }])
})

t.test('after close nothing follows', async (t) => {
  const { reloader, write, load, outcomes } = await createReloader(t)
  write(appYaml('b.test'))
  reloader.trigger()
  await reloader.close()
  reloader.trigger()
  await reloader.reload()
  t.same([load.count, outcomes.length], [0, 0])
})
