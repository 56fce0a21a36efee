/** Measures Portico beside other proxies: `npm run bench -- --help`. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { makeCertificate } from '../helpers/certificates.ts'
import { startBackend } from './backend.ts'
import { type Candidate, checkFree } from './candidate.ts'
import { findCaddy } from './candidates/caddy.ts'
import { findEnvoy } from './candidates/envoy.ts'
import { findHaproxy } from './candidates/haproxy.ts'
import { findNginx } from './candidates/nginx.ts'
import { findPortico } from './candidates/portico.ts'
import { findTraefik } from './candidates/traefik.ts'
import type { Bench, Case } from './case.ts'
import { ATTACK_CASES } from './cases/attacks.ts'
import { FILTER_CASES } from './cases/filters.ts'
import { HTTP_CASES } from './cases/http.ts'
import { IDLE_CASE } from './cases/idle.ts'
import { LATENCY_CASE } from './cases/latency.ts'
import { SCALE_CASES } from './cases/scale.ts'
import { WORKER_CASES } from './cases/workers.ts'
import { canPin, killAll } from './child.ts'
import { type CaseResult, printCase, printTogether, summarize } from './report.ts'
import { BACKEND_PORTS, measureCase } from './suite.ts'

const BENCH_CASES: readonly Case[] = [
  ...HTTP_CASES,
  IDLE_CASE,
  LATENCY_CASE,
  ...WORKER_CASES,
  ...SCALE_CASES,
  ...FILTER_CASES,
]
const PEERS = { nginx: findNginx, haproxy: findHaproxy, caddy: findCaddy, envoy: findEnvoy, traefik: findTraefik }

const { values: flags } = parseArgs({
  options: {
    attacks: { type: 'boolean', default: false },
    cases: { type: 'string' },
    candidates: { type: 'string' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    node: { type: 'string', multiple: true },
    against: { type: 'string', multiple: true, default: [] },
    port: { type: 'string', default: '27100' },
    json: { type: 'string' },
    list: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

/** An attack takes its time, and tells in one round what it does. */
const MODE = flags.attacks
  ? ({ script: 'attacks', cases: ATTACK_CASES, rounds: '1', seconds: '25' } as const)
  : ({ script: 'bench', cases: BENCH_CASES, rounds: '5', seconds: '4' } as const)

const USAGE = `usage: npm run ${MODE.script} -- [flags]

  --cases IDS         some cases, or the beginnings of their ids: get,tls (default: all)
  --candidates NAMES  of ${Object.keys(PEERS).join(', ')}, portico (default: all that are installed)
  --rounds N          rounds, each candidate once in each (default ${MODE.rounds})
  --seconds N         of load in each round (default ${MODE.seconds})
  --node PATH         run Portico on this Node; repeatable (default: the one that runs this)
  --against PATH      compare with another build, a clone or worktree with a dist folder; repeatable
  --port N            first of the ports to use (default 27100)
  --json FILE         write the results as JSON too
  --list              print the cases and candidates and stop

cases: ${MODE.cases.map(({ id }) => id).join(' ')}

Programs are looked for in PORTICO_BENCH_<NAME>, the folder of npm run bench:peers, and the PATH.
Tables go to standard output, progress to standard error.`

const folder = mkdtempSync(join(tmpdir(), 'portico-bench-'))
process.once('exit', () => {
  killAll()
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
})
// Not `once`: a second signal would end this process in the midst of ending the others.
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.on(signal, () => process.exit(code))

if (flags.help) console.log(USAGE)
else {
  try {
    await main()
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exit(1)
  }
}

async function main(): Promise<void> {
  const cases = choose(flags.cases, MODE.cases, ({ id }) => id, 'case')
  const { found, missing } = await findCandidates()
  if (flags.list) {
    for (const { id, title } of MODE.cases) console.log(`${id.padEnd(20)} ${title}`)
    for (const { name, version } of found) console.log(`${name.padEnd(20)} ${version}`)
    for (const name of missing) console.log(`${name.padEnd(20)} not installed`)
    return
  }
  const firstPort = readCount('port', flags.port)
  const seconds = readCount('seconds', flags.seconds ?? MODE.seconds)
  const rounds = readCount('rounds', flags.rounds ?? MODE.rounds)
  await checkFree(Array.from({ length: BACKEND_PORTS }, (_, at) => firstPort + at))
  const [proxyCore, loadCore] = canPin ? ([0, 1] as const) : (['any', 'any'] as const)
  const backend = await startBackend(join(folder, 'backend'), firstPort, loadCore)
  const bench: Bench = { backend, seconds, proxyCore, loadCore }
  const suite = {
    bench,
    folder,
    firstPort,
    rounds,
    ...(await writeCertificate()),
    log,
  }
  const results: CaseResult[] = []
  for (const name of missing) log(`left out: ${name} is not installed`)
  console.log(`${describeMachine(backend.name)}\n`)
  for (const each of cases) {
    const result = await measureCase(each, found, suite)
    results.push(result)
    console.log(printCase(result))
    // After each case: a run that is cut short keeps what it has.
    if (flags.json !== undefined) writeJson(flags.json, results, missing)
  }
  const rows = flags.attacks ? results : results.filter(({ id }) => FILTER_CASES.some((each) => each.id === id))
  if (rows.length > 1) console.log(printTogether(rows))
  process.exit()
}

/** The peers, then this build on each Node, then the other builds. */
async function findCandidates(): Promise<{ found: readonly Candidate[]; missing: readonly string[] }> {
  const own = fileURLToPath(new URL('../../../', import.meta.url))
  const nodes = flags.node ?? [process.execPath]
  const porticos: Candidate[] = []
  for (const build of [own, ...flags.against.map((path) => resolve(path))]) {
    const main = join(build, 'bin', 'portico')
    statSync(main)
    for (const node of nodes) {
      const major =
        nodes.length > 1
          ? `@${execFileSync(node, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' }).trim()}`
          : ''
      porticos.push(await findPortico(main, node, `${build === own ? '' : `:${basename(build)}`}${major}`))
    }
  }
  const names = [...Object.keys(PEERS), 'portico']
  const wanted = new Set(choose(flags.candidates, names, (name) => name, 'candidate'))
  const found: Candidate[] = []
  const missing: string[] = []
  for (const [name, find] of Object.entries(PEERS)) {
    if (!wanted.has(name)) continue
    const peer = await find()
    if (peer === undefined) missing.push(name)
    else found.push(peer)
  }
  return { found: wanted.has('portico') ? [...found, ...porticos] : found, missing }
}

/** Those whose names begin with one of `list`, which is separated by commas; all where it is left out. */
function choose<T>(list: string | undefined, all: readonly T[], name: (each: T) => string, kind: string): readonly T[] {
  if (list === undefined) return all
  const beginnings = list.split(',').map((part) => part.trim())
  const unknown = beginnings.find((beginning) => !all.some((each) => name(each).startsWith(beginning)))
  if (unknown !== undefined) throw new Error(`there is no ${kind} ${unknown}: ${all.map(name).join(', ')}`)
  // An exact name is that one alone: get-1k, not get-1k-more.
  return all.filter((each) =>
    beginnings.some((beginning) =>
      all.some((other) => name(other) === beginning) ? name(each) === beginning : name(each).startsWith(beginning),
    ),
  )
}

function readCount(name: string, text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > 60_000)
    throw new Error(`--${name} is a number above 0, not ${text}`)
  return count
}

async function writeCertificate(): Promise<{ certificate: string; key: string }> {
  const { certificate, key } = await makeCertificate({ names: ['localhost'], keyType: 'ec' })
  const files = { certificate: join(folder, 'certificate.pem'), key: join(folder, 'key.pem') }
  writeFileSync(files.certificate, certificate)
  writeFileSync(files.key, key)
  // HAProxy wants both in one file.
  writeFileSync(`${files.certificate}.haproxy.pem`, `${certificate}\n${key}\n`)
  return files
}

function describeMachine(backend: string): string {
  const cores = cpus()
  const pinned = canPin
    ? 'the proxy on core 0, load and backend on core 1'
    : 'NOT pinned (no taskset or one core): CPU figures are comparable, the rates are not'
  return `${cores.length} × ${cores[0]?.model.trim() ?? 'unknown'}; ${pinned}; backend: ${backend}`
}

function writeJson(path: string, results: readonly CaseResult[], missing: readonly string[]): void {
  const cases = results.map((result) => ({ ...result, figures: summarize(result) }))
  const machine = { cores: cpus().length, model: cpus()[0]?.model, pinned: canPin }
  const options = { rounds: Number(flags.rounds ?? MODE.rounds), seconds: Number(flags.seconds ?? MODE.seconds) }
  const text = JSON.stringify({ date: new Date().toISOString(), machine, options, missing, cases }, undefined, 2)
  writeFileSync(path, `${text}\n`)
}

function log(text: string): void {
  console.error(text)
}
