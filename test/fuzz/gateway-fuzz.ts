/** Drives planned connections against two running gateways, one for each door, looks for faults, and cuts down what makes one. */

import type { GatewayFigures } from '../helpers/gateway-process.ts'
import { ConnectionJudge } from './connection-judge.ts'
import { DOORS, type Door, makePlan, type Piece, type Plan, SYSTEMATIC_COUNT } from './connection-plan.ts'
import { FuzzedGateway } from './fuzzed-gateway.ts'
import { shrink } from './mutation.ts'
import { addressOf, playConnection, type Sessions } from './play-connection.ts'
import { print } from './target.ts'

/** Connections at once. */
const PLAYERS = 64
/** Between two looks at what is left behind. */
const BATCH = 5_000
/** What was played this long before a fault may have caused it, milliseconds. */
const SUSPECT_MS = 5_000
const REDUCE_MS = 120_000
const PRINTED = 20

export type GatewayFuzzOptions = Readonly<{
  seed: number
  connections: number
  /** These numbers alone, in place of the first `connections`. */
  only?: readonly number[]
  /** What a worker may hold. */
  mostBytes: number
  /** For finding out which connections make a fault, milliseconds. */
  reduceMs?: number
  onProgress?: (line: string) => void
  /** Called once the gateways serve. */
  onStart?: (gateways: readonly FuzzedGateway[]) => Promise<void>
}>

export type GatewayFuzzOutcome = Readonly<{
  played: number
  /** Connections that came about, and those of them that got an answer. */
  connected: number
  answered: number
  /** Requests that endpoints saw. */
  sighted: number
  failure: string | undefined
}>

type Judged = { plan: Plan; endedAt: number }

export class GatewayFuzz {
  readonly #options: GatewayFuzzOptions
  readonly #judge = new ConnectionJudge()
  readonly #sessions: Sessions = new Map()
  readonly #figures: Partial<Record<Door, GatewayFigures>> = {}
  readonly #running = new Set<Plan>()
  #ended: Judged[] = []
  #next = 0
  #played = 0
  #connected = 0
  #answered = 0

  constructor(options: GatewayFuzzOptions) {
    this.#options = options
  }

  async run(): Promise<GatewayFuzzOutcome> {
    const { onStart, onProgress = () => {} } = this.#options
    const gateways = await Promise.all(DOORS.map((door) => FuzzedGateway.start(door)))
    let failure: string | undefined
    try {
      await onStart?.(gateways)
      const startedAt = performance.now()
      while (this.#next < this.#total && failure === undefined) {
        const most = Math.min(this.#total, this.#next + BATCH)
        await Promise.all(Array.from({ length: PLAYERS }, () => this.#play(gateways, most)))
        failure = await this.#look(gateways)
        const rate = Math.round(this.#played / ((performance.now() - startedAt) / 1000))
        onProgress(`${this.#played} connections, ${rate} a second; ${this.#describe()}`)
      }
    } finally {
      await Promise.all(gateways.map((gateway) => gateway.stop()))
    }
    const sighted = gateways.reduce((sum, { endpoints }) => sum + endpoints.total, 0)
    return { played: this.#played, connected: this.#connected, answered: this.#answered, sighted, failure }
  }

  get #total(): number {
    return this.#options.only?.length ?? this.#options.connections
  }

  #describe(): string {
    const memory = DOORS.map(
      (door) => `${door} ${((this.#figures[door]?.workerResident ?? 0) / 2 ** 20).toFixed(0)} MiB`,
    )
    const systematic = Math.min(100, (this.#played / 3 / SYSTEMATIC_COUNT) * 100)
    return `${this.#answered} of ${this.#connected} answered, ${systematic.toFixed(1)} % of the systematic ones, ${memory.join(', ')}`
  }

  async #play(gateways: readonly FuzzedGateway[], most: number): Promise<void> {
    while (this.#next < most && gateways.every(({ fault }) => fault === undefined)) {
      const at = this.#next++
      const plan = makePlan(this.#options.seed, this.#options.only?.[at] ?? at)
      const gateway = gateways.find(({ door }) => door === plan.door)!
      this.#running.add(plan)
      const { isConnected, answered } = await playConnection(plan, gateway.ports[plan.transport], this.#sessions)
      this.#running.delete(plan)
      this.#ended.push({ plan, endedAt: performance.now() })
      this.#played++
      if (isConnected) this.#connected++
      if (answered > 0) this.#answered++
    }
  }

  /** Judges what has been played since the last look. */
  async #look(gateways: readonly FuzzedGateway[]): Promise<string | undefined> {
    const now = performance.now()
    for (const gateway of gateways) {
      const figures = await gateway.settle(this.#options.mostBytes)
      if (figures) this.#figures[gateway.door] = figures
      if (gateway.fault === undefined) continue
      const suspects = this.#ended.filter(
        ({ plan, endedAt }) => plan.door === gateway.door && endedAt > now - SUSPECT_MS,
      )
      return this.#explain(
        gateway.fault,
        suspects.map(({ plan }) => plan),
      )
    }
    for (const { plan } of this.#ended) {
      const gateway = gateways.find(({ door }) => door === plan.door)!
      const fault = await this.#judge.findFault(plan, gateway.endpoints.take(addressOf(plan.number)))
      if (fault !== undefined) return this.#explain(`connection ${plan.number}: ${fault}`, [plan])
    }
    for (const { endpoints } of gateways) {
      for (const client of endpoints.others) return `endpoints saw requests of ${client}, which is no client`
    }
    this.#ended = []
    return undefined
  }

  async #explain(fault: string, suspects: readonly Plan[]): Promise<string> {
    const { seed, onProgress = () => {} } = this.#options
    onProgress(`${fault}\n${suspects.length} connections may have caused it`)
    const { plans, again } = await new Reduction(this.#options, this.#judge).reduce(suspects)
    const what = again === undefined ? 'played again they did nothing; the last of them' : `these repeat it: ${again}`
    const shown = plans.slice(-PRINTED).map(printPlan)
    return `seed ${seed}: ${fault}\n${what}\n${shown.join('\n')}`
  }
}

/** Plays suspects again, fewer and fewer of them and of their bytes, as long as the gateway still fails. */
class Reduction {
  readonly #options: GatewayFuzzOptions
  readonly #judge: ConnectionJudge
  readonly #until: number
  #gateway: FuzzedGateway | undefined

  constructor(options: GatewayFuzzOptions, judge: ConnectionJudge) {
    this.#options = options
    this.#judge = judge
    this.#until = performance.now() + (options.reduceMs ?? REDUCE_MS)
  }

  async reduce(suspects: readonly Plan[]): Promise<{ plans: readonly Plan[]; again: string | undefined }> {
    if (suspects.length === 0) return { plans: suspects, again: undefined }
    try {
      const again = await this.#fails(suspects)
      if (again === undefined) return { plans: suspects, again }
      let plans = suspects
      for (let size = Math.ceil(plans.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
        for (let start = 0; start < plans.length && plans.length > 1; ) {
          const fewer = [...plans.slice(0, start), ...plans.slice(start + size)]
          if (fewer.length > 0 && (await this.#fails(fewer)) !== undefined) plans = fewer
          else start += size
        }
        this.#options.onProgress?.(`${plans.length} connections are left`)
      }
      if (plans.length === 1) plans = [await this.#shorten(plans[0]!)]
      return { plans, again }
    } finally {
      await this.#gateway?.stop()
    }
  }

  async #shorten(plan: Plan): Promise<Plan> {
    let shortest: Plan = plan
    const whole = {
      ...plan,
      pieces: [{ bytes: Buffer.concat(plan.pieces.map(({ bytes }) => bytes)), pause: 'none' as const }],
    }
    if (plan.pieces.length > 1 && (await this.#fails([whole])) !== undefined) shortest = whole
    for (let at = shortest.pieces.length - 1; at >= 0; at--) {
      const replace = (bytes: Buffer): Plan => {
        const pieces: Piece[] = [...shortest.pieces]
        pieces[at] = { ...pieces[at]!, bytes }
        return { ...shortest, pieces }
      }
      const bytes = await shrink(
        shortest.pieces[at]!.bytes,
        async (shorter) => (await this.#fails([replace(shorter)])) !== undefined,
      )
      shortest = replace(bytes)
    }
    return shortest
  }

  /** What `plans` come to at a gateway that nothing has befallen yet. */
  async #fails(plans: readonly Plan[]): Promise<string | undefined> {
    const { door } = plans[0]!
    if (performance.now() > this.#until) return undefined
    this.#gateway ??= await FuzzedGateway.start(door)
    const gateway = this.#gateway
    const sessions: Sessions = new Map()
    const left = [...plans]
    const play = async () => {
      for (let plan = left.shift(); plan && gateway.fault === undefined; plan = left.shift()) {
        await playConnection(plan, gateway.ports[plan.transport], sessions)
      }
    }
    await Promise.all(Array.from({ length: Math.min(PLAYERS, plans.length) }, play))
    await gateway.settle(this.#options.mostBytes)
    for (const plan of plans) {
      const fault = await this.#judge.findFault(plan, gateway.endpoints.take(addressOf(plan.number)))
      if (fault !== undefined) gateway.report(fault)
    }
    if (gateway.fault === undefined) return undefined
    this.#gateway = undefined
    await gateway.stop()
    return gateway.fault
  }
}

function printPlan({ number, door, transport, protocol, pieces, ending, reads }: Plan): string {
  const head = `connection ${number}: ${door} ${transport} ${protocol}, ends with ${ending}${reads ? '' : ', reads nothing'}`
  return [head, ...pieces.map(({ bytes, pause }) => `  ${pause.padEnd(6)} ${print(bytes.toString('latin1'))}`)].join(
    '\n',
  )
}
