/** Tries a codec with inputs made from a seed, and cuts down what makes it fail. */
import { shrink } from './mutation.ts'
import { Random } from './random.ts'

export type Target = {
  readonly name: string
  /** Inputs that are tried as they stand, before all others. */
  readonly corpus: readonly Buffer[]
  make(random: Random): Buffer
  /** Whether the codec takes something of it. */
  accepts(bytes: Buffer): boolean
  /** What is wrong with how the codec reads it. */
  check(bytes: Buffer, random: Random): Promise<string | undefined>
}

export type Outcome = {
  readonly tried: number
  /** Of these the codec took something. */
  readonly accepted: number
  readonly failure: string | undefined
}

/** Tries the corpus and then made inputs, until `goOn(tried)` is false or one fails. */
export async function fuzz(target: Target, seed: number, goOn: (tried: number) => boolean): Promise<Outcome> {
  let tried = 0
  let accepted = 0
  for (; tried < target.corpus.length || goOn(tried); tried++) {
    // Each input has a seed of its own, so that a failure is repeated alone.
    const own = (seed + Math.imul(tried, 0x9e3779b1)) >>> 0
    const random = new Random(own)
    const bytes = target.corpus[tried] ?? target.make(random)
    if (target.accepts(Buffer.from(bytes))) accepted++
    const why = await target.check(Buffer.from(bytes), random)
    if (why !== undefined) return { tried, accepted, failure: await explain(target, bytes, own, seed, why) }
  }
  return { tried, accepted, failure: undefined }
}

async function explain(target: Target, bytes: Buffer, own: number, seed: number, why: string): Promise<string> {
  const again = async (shorter: Buffer): Promise<string | undefined> => {
    // Splits are chance: several tries, always the same ones.
    for (let attempt = 0; attempt < 5; attempt++) {
      const failure = await target.check(Buffer.from(shorter), new Random(own + attempt))
      if (failure !== undefined) return failure
    }
    return undefined
  }
  const smallest = await shrink(bytes, async (shorter) => (await again(shorter)) !== undefined)
  return `${target.name}, seed ${seed}: ${(await again(smallest)) ?? why}\n  input ${print(smallest)}`
}

/** As JSON; bytes as latin1 text, long runs of one byte by their length. */
export function print(what: unknown): string {
  const text = JSON.stringify(what, (_key, value) =>
    value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value,
  )
  return text.replace(/([^\\])\1{99,}/g, (run, byte) => `<${run.length} × ${byte}>`)
}
