/** What an Ingress says of its hosts as a whole: further names, whether the host with `www.`, or without it, leads to them, and where TLS ends. */
import type { DiagnosticList } from '../../base/diagnostics.ts'
import type { Schema } from '../../settings/setting.ts'
import { describeChoices, describeText } from '../annotation-schema.ts'
import type { OptionForm, OptionText } from '../route-policy/option-form.ts'
import { type FilterMention, type FilterMentions, reportMention } from './mention.ts'

const MOST_ALIASES = 100

/** RFC 1123 §2.1, in lower case; `*.` stands for one label. */
const HOST = /^(?:\*\.)?(?:[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/

export const HOST_ANNOTATIONS = {
  'host-aliases': describeText(
    'Further names of the hosts of the Ingress, with commas between: they have the routes of the first host. A name that a rule has is left out.',
  ),
  'host-www': describeChoices(
    'redirect: www.example.com, where no rule has it, redirects to the host example.com of the Ingress, or the other way round (308).',
    ['redirect'],
  ),
  'tls-passthrough': describeChoices(
    'true: TLS of the hosts of the Ingress does not end at the gateway. Connections go to the Service of the path / as they are; no filter acts on them.',
    ['true', 'false'],
  ),
} as const satisfies Readonly<Record<string, Schema>>

type HostAnnotation = keyof typeof HOST_ANNOTATIONS

/** What to write, and how a RoutePolicy may write it. */
export const HOST_FORMS: Readonly<Record<HostAnnotation, OptionForm>> = {
  'host-aliases': { structure: 'list', help: 'write hosts, as in "shop.example.org, *.shop.example.org"' },
  'host-www': { help: 'write "redirect"' },
  'tls-passthrough': { help: 'write "true" or "false"' },
}

/** What is said of the hosts of an Ingress. */
export type HostOptions = Readonly<{ aliases: readonly string[]; hasWww: boolean; passesTls: boolean }>

const NO_OPTIONS: HostOptions = Object.freeze({ aliases: [], hasWww: false, passesTls: false })

/** What cannot be used is left out. */
export function readHostOptions(said: FilterMentions): HostOptions {
  if (!Object.keys(HOST_FORMS).some((name) => said.has(name))) return NO_OPTIONS
  const aliases = readAliases(said).filter((name) => HOST.test(name))
  return {
    aliases: aliases.slice(0, MOST_ALIASES),
    hasWww: readText(said.get('host-www')) === 'redirect',
    passesTls: readText(said.get('tls-passthrough')) === 'true',
  }
}

/** Reports what an object says and cannot be used. */
export function checkHostOptions(said: FilterMentions, diagnostics: DiagnosticList): void {
  const aliases = readAliases(said)
  const wrong = aliases.find((name) => !HOST.test(name))
  if (wrong !== undefined)
    report(said, 'host-aliases', `"${wrong}" is no host`, HOST_FORMS['host-aliases'].help, diagnostics)
  if (aliases.length > MOST_ALIASES) {
    report(said, 'host-aliases', `it has more than ${MOST_ALIASES} names`, 'leave some out', diagnostics)
  }
  const www = readText(said.get('host-www'))
  if (www !== undefined && www !== 'redirect') {
    report(said, 'host-www', `"${www}" says nothing of hosts`, HOST_FORMS['host-www'].help, diagnostics)
  }
  const passthrough = readText(said.get('tls-passthrough'))
  if (passthrough !== undefined && !['true', 'false'].includes(passthrough)) {
    const { help } = HOST_FORMS['tls-passthrough']
    report(said, 'tls-passthrough', `"${passthrough}" is neither true nor false`, help, diagnostics)
  }
}

function readAliases(said: FilterMentions): readonly string[] {
  const text = readText(said.get('host-aliases')) ?? ''
  return text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((name) => name !== '')
}

/** Undefined where nothing is said, or no text. */
function readText(mention: FilterMention | undefined): string | undefined {
  const value = mention?.config?.options.value as OptionText | undefined
  return typeof value === 'string' ? value : undefined
}

function report(
  said: FilterMentions,
  name: HostAnnotation,
  message: string,
  help: string,
  diagnostics: DiagnosticList,
): void {
  reportMention(said.get(name)!, message, `${help}; until then it is left out`, diagnostics)
}
