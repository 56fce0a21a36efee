/**
 * The same requests to Debian's nginx, configured as ingress-nginx would configure it, and to Portico with
 * `compatibility: ingress-nginx`, in front of the same servers. Set NGINX_SEED to repeat a run.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Child, run } from '../bench/child.ts'
import { findProgram } from '../bench/program.ts'
import { findFreePort } from '../helpers/free-ports.ts'
import { connectRaw } from '../helpers/raw-client.ts'
import { runGateway } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'
import { printIngresses, printService } from '../translate/ingress/nginx/nginx-ingress.ts'
import { Backend } from './nginx/backend.ts'
import { ANSWER_FIELDS, type Case, type Places, USERS } from './nginx/case.ts'
import { makeCases } from './nginx/cases.ts'
import { compare, type Difference, look, printDifference } from './nginx/compare.ts'
import { NAMED } from './nginx/named.ts'
import { printConfiguration } from './nginx/nginx-conf.ts'

const program = findProgram('nginx')
const seed = Number(process.env.NGINX_SEED ?? Date.now() % 1_000_000)

t.test('nginx and Portico do the same', { skip: program === undefined && 'nginx is not installed' }, async (t) => {
  const backend = new Backend()
  const places = await backend.start(t)
  const cases = makeCases(seed, places)
  const nginx = await startNginx(t, cases, places)
  const { http } = await startPortico(t, cases, places)
  const unexplained: Difference[] = []
  const counts = NAMED.map(() => 0)
  let asked = 0
  for (const found of cases) {
    for (const request of found.requests) {
      asked++
      const [theirs, ours] = [await look(nginx, found, request, backend), await look(http, found, request, backend)]
      for (const difference of compare(found, request, theirs, ours)) {
        const at = NAMED.findIndex(({ isIt }) => isIt(difference))
        if (at < 0) unexplained.push(difference)
        else counts[at]!++
      }
    }
  }
  t.comment(`seed ${seed}: ${cases.length} hosts, ${asked} requests, ${unexplained.length} differences without a name`)
  for (const [at, { rule, reason }] of NAMED.entries()) {
    t.comment(`${counts[at]} × ${rule}: ${reason}`)
    t.ok(counts[at]! > 0, `the difference is still there: ${rule}`)
  }
  for (const difference of unexplained) t.fail(printDifference(difference))
  t.ok(asked >= 500, `${asked} requests`)
})

async function startNginx(t: Test, cases: readonly Case[], places: Places): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'portico-nginx-'))
  const port = await findFreePort()
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, printConfiguration(cases, { folder, port, places }))
  writeFileSync(join(folder, 'htpasswd'), `${USERS.join('\n')}\n`)
  await run(program!, ['-t', '-e', 'stderr', '-p', folder, '-c', file], 'any', 10_000)
  const child = new Child(program!, ['-e', 'stderr', '-p', folder, '-c', file], {
    core: 'any',
    output: join(folder, 'output'),
  })
  t.teardown(async () => {
    await child.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  await until(() =>
    connectRaw(port).then(
      (client) => {
        client.destroy()
        return true
      },
      () => false,
    ),
  )
  return port
}

function startPortico(t: Test, cases: readonly Case[], places: Places) {
  const documents = [
    ...cases.map(({ ingresses }) => printIngresses(ingresses)),
    printService('web', `127.0.0.1:${places.web}`),
    printService('pages', `127.0.0.1:${places.pages}`),
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'users' },
      stringData: { auth: `${USERS.join('\n')}\n` },
    }),
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'fields' }, data: ANSWER_FIELDS }),
  ]
  return runGateway(t, documents.join('\n---\n'), {
    flags: { compatibility: 'ingress-nginx', 'https.redirectPort': '443' },
  })
}
