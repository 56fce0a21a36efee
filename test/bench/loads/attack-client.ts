/** Makes an attack for a time, ends its connections and prints what came of it. `attack-client.js JSON`. */
import type { Attack, AttackOptions, Target } from '../attacks/attack.ts'
import { Swarm } from '../attacks/attack.ts'
import { closedWindow } from '../attacks/closed-window.ts'
import { adminCrowd, idleCrowd } from '../attacks/crowd.ts'
import { goneUpgrades, goneUploads, goneWebsockets } from '../attacks/gone.ts'
import { longPoll } from '../attacks/long-poll.ts'
import { nonReader } from '../attacks/non-reader.ts'
import { pipeliner } from '../attacks/pipeliner.ts'
import { slowPost } from '../attacks/slow-post.ts'
import { upgradeCrash } from '../attacks/upgrade-crash.ts'

const KINDS = {
  'slow-post': slowPost,
  'non-reader': nonReader,
  'long-poll': longPoll,
  'closed-window': closedWindow,
  pipeliner,
  'upgrade-crash': upgradeCrash,
  'idle-crowd': idleCrowd,
  'admin-crowd': adminCrowd,
  'gone-websockets': goneWebsockets,
  'gone-uploads': goneUploads,
  'gone-upgrades': goneUpgrades,
} as const satisfies Record<string, Attack>

export type AttackKind = keyof typeof KINDS

export type AttackLoad = Readonly<{ kind: AttackKind; options: AttackOptions; target: Target; seconds: number }>

/** Connections get this long to end. */
const END_MS = 500

const { kind, options, target, seconds } = JSON.parse(process.argv[2] ?? '') as AttackLoad
const swarm = new Swarm()
KINDS[kind](target, swarm, options)
setTimeout(() => {
  swarm.stop()
  setTimeout(() => {
    process.stdout.write(`${JSON.stringify(swarm.outcome)}\n`, () => process.exit())
  }, END_MS)
}, seconds * 1000)
